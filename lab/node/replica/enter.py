"""From the words of ipa-replica-install to a replica: what is asked, checked and refused before anything is made."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lab.node.ca.authority import pem
from lab.node.facts import InstallOptions, RealmFacts
from lab.node.files import write_file
from lab.node.install import checks, dse
from lab.node.install.checks import Refused
from lab.node.install.server_certificates import GivenCertificates
from lab.node.ldapi import Directory
from lab.node.replica.conncheck import check_connections, foreign_realm, get_ticket
from lab.node.replica.credentials import fetch_authorities, fetch_info, random_password, with_keytabs, with_ticket
from lab.node.replica.file import read_replica_file
from lab.node.replica.info import ReplicaInfo
from lab.node.replica.install import install_replica
from lab.node.replica.joining import Joining
from lab.node.replica.marks import check_mark, use_mark
from lab.node.replica.ports import AUTHORITY_DIRECTORY_PORT, in_use
from lab.node.replica.remote import master_directory
from lab.node.replica.suffixes import AUTHORITY_SUFFIX, domain_suffix
from lab.node.version import VERSION

EXISTS_ALREADY = 3
DNS_SECONDS = 3.0
Ask = Callable[[str], str]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Entry:
    """What the administrator said. Without a `file`, `server`, `domain` and `realm` say where to go."""

    file: Path | None
    hostname: str
    dm_password: str = field(default="", repr=False)
    principal: str = "admin"
    admin_password: str = field(default="", repr=False)
    server: str = ""
    domain: str = ""
    realm: str = ""
    setup_ca: bool = False
    setup_dns: bool = False
    skip_conncheck: bool = False
    ip_addresses: tuple[str, ...] = ()
    forwarders: tuple[str, ...] = ()
    no_forwarders: bool = False
    auto_forwarders: bool = False
    reverse_zones: tuple[str, ...] = ()
    no_reverse: bool = False
    dirsrv_config_file: str = ""
    unattended: bool = False
    certificates: GivenCertificates | None = None


def enter(entry: Entry, *, ask: Ask, ask_secret: Ask, say: Say) -> None:
    """Install the replica. Raises Refused before anything is changed, and what the parts raise afterwards."""
    if entry.dirsrv_config_file:
        dse.database_library(dse.read_changes_file(entry.dirsrv_config_file))
    with tempfile.TemporaryDirectory(dir="/run") as name:
        if entry.file:
            _from_file(entry, entry.file, Path(name), ask=ask, ask_secret=ask_secret, say=say)
        else:
            _by_credentials(entry, Path(name), ask_secret=ask_secret, say=say)


def _from_file(entry: Entry, file: Path, place: Path, *, ask: Ask, ask_secret: Ask, say: Say) -> None:
    password = entry.dm_password or _asked("-p", entry, ask_secret, "Directory Manager (existing master) password: ")
    info = read_replica_file(file, password)
    hostname = agreed_hostname(info, entry, ask)
    check_version(info.version, info.master)
    check_authority(entry, has_signing_key=info.secrets.signing is not None, master=info.master)
    warn_without_dns(hostname, say)
    authorities = place / "ca.crt"
    write_file(authorities, b"".join(pem(one) for one in info.secrets.authorities))
    if not entry.skip_conncheck:
        with foreign_realm(place, info.realm, info.domain, info.master):
            _check_connections(entry, info.realm, info.master, hostname, authorities, ask_secret, say)
    master = partial(master_directory, info.master, dm_password=password, authorities=authorities)
    joining = _joining(entry, info, hostname, master)
    with master() as server:
        check_mark(server, joining.facts, info.host, info.mark)
        check_agreements(server, joining)
    _install(entry, joining, password, say)
    with master() as server:
        use_mark(server, joining.facts, info.host, info.mark)


def _by_credentials(entry: Entry, place: Path, *, ask_secret: Ask, say: Say) -> None:
    hostname = checks.check_hostname(entry.hostname)
    check_authority(entry, has_signing_key=True, master=entry.server)
    warn_without_dns(hostname, say)
    password = entry.admin_password or _asked(
        "-w", entry, ask_secret, f"Password for {entry.principal}@{entry.realm}: "
    )
    with foreign_realm(place, entry.realm, entry.domain, entry.server):
        get_ticket(f"{entry.principal}@{entry.realm}", password)
        authorities = fetch_authorities(entry.server, entry.domain, place)
        if not entry.skip_conncheck:
            _check_connections(entry, entry.realm, entry.server, hostname, authorities, lambda _: password, say)
        info = fetch_info(
            entry.realm, entry.domain, entry.server, hostname, authorities=authorities, given=entry.certificates
        )
    check_version(info.version, info.master)
    check_authority(entry, has_signing_key=info.secrets.signing is not None, master=info.master)
    joining = _joining(entry, info, hostname, partial(with_ticket, place, entry.realm, entry.domain, entry.server))
    with joining.master() as server:
        check_agreements(server, joining)
    joining = with_keytabs(joining, place, entry.principal, password)
    _install(entry, joining, random_password(), say)


def _check_connections(
    entry: Entry, realm: str, master: str, hostname: str, authorities: Path, ask_secret: Ask, say: Say
) -> None:
    prompt = f"{entry.principal}@{realm} password: "
    check_connections(
        realm,
        master,
        hostname,
        principal=entry.principal,
        password=lambda: entry.admin_password or _asked("-w", entry, ask_secret, prompt),
        authorities=authorities,
        say=say,
    )


def _joining(
    entry: Entry, info: ReplicaInfo, hostname: str, master: Callable[[], AbstractContextManager[Directory]]
) -> Joining:
    facts = RealmFacts(info.realm, info.domain, hostname, ca_host=info.master if info.secrets.agent is not None else "")
    return Joining(info, facts, master, with_authority=entry.setup_ca)


def _install(entry: Entry, joining: Joining, dm_password: str, say: Say) -> None:
    options = InstallOptions(
        realm=joining.facts.realm,
        domain=joining.facts.domain,
        hostname=joining.facts.host,
        dm_password=dm_password,
        admin_password=entry.admin_password,
        ip_addresses=entry.ip_addresses,
        setup_dns=entry.setup_dns,
        forwarders=entry.forwarders,
        no_forwarders=entry.no_forwarders,
        auto_forwarders=entry.auto_forwarders,
        reverse_zones=entry.reverse_zones,
        no_reverse=entry.no_reverse,
        dirsrv_config_file=entry.dirsrv_config_file,
        subject_base=joining.info.subject_base,
        unattended=entry.unattended,
    )
    address = checks.host_address(joining.facts.host, entry.ip_addresses)
    install_replica(joining, options, address, say)


def agreed_hostname(info: ReplicaInfo, entry: Entry, ask: Ask) -> str:
    """The name that the file was made for: this host's own, or one that the administrator confirms. Raises Refused."""
    if info.host == entry.hostname:
        return checks.check_hostname(info.host)
    warning = (
        f"This replica was created for '{info.host}' but this machine is named '{entry.hostname}'\n"
        "This may cause problems."
    )
    if entry.unattended:
        raise Refused(f"{warning}\nRun ipa-replica-prepare {entry.hostname} on {info.master}, and use that file.")
    answer = ask(f"{warning} Continue? [no]: ").strip().lower()
    if answer not in ("y", "yes"):
        raise Refused("Installation aborted.")
    return checks.check_hostname(info.host)


def check_version(theirs: str, master: str, mine: str = VERSION) -> None:
    """Refuse a master of another version."""
    if theirs != mine:
        raise Refused(
            f"The replica and the master server must be running the same version: {master} has {theirs}, "
            f"this host {mine}."
        )


def check_authority(entry: Entry, *, has_signing_key: bool, master: str, taken: Callable[[int], bool] = in_use) -> None:
    """Refuse an authority that the master cannot hand out, or whose port is taken here."""
    if not entry.setup_ca:
        return
    if not has_signing_key:
        raise Refused(
            f"The CA is not installed on {master}: leave --setup-ca out, or take the file from another master."
        )
    if taken(AUTHORITY_DIRECTORY_PORT):
        raise Refused(
            f"Port {AUTHORITY_DIRECTORY_PORT} is in use on this host: the certificate server cannot be set up.\n"
            "If a replica installation failed before, remove it with ipa-server-install --uninstall. Make sure that\n"
            f"port {AUTHORITY_DIRECTORY_PORT} is free, and try the installation again."
        )


def check_agreements(master: Directory, joining: Joining) -> None:
    """Refuse a host that the master replicates to already, or lists as a master."""
    host = joining.facts.host
    known = (domain_suffix(joining.facts), AUTHORITY_SUFFIX)
    if any(master.exists(suffix.agreement_dn(host)) for suffix in known) or master.exists(joining.facts.master_dn):
        raise Refused(
            "A replication agreement for this host already exists. It needs to be removed.\n"
            f"Run this on {joining.info.master}:\n    % ipa-replica-manage del {host} --force",
            EXISTS_ALREADY,
        )


def warn_without_dns(hostname: str, say: Say) -> None:
    """The document's warning: DNS does not know the name. What stands in /etc/hosts does not count."""
    if not known_to_dns(hostname):
        say(f"Warning: Hostname ({hostname}) not found in DNS")


def known_to_dns(hostname: str) -> bool:
    """Whether the DNS servers of resolv.conf have an address for the name."""
    import dns.exception
    import dns.resolver

    for kind in ("A", "AAAA"):
        try:
            dns.resolver.resolve(hostname, kind, lifetime=DNS_SECONDS)
        except dns.exception.DNSException:
            continue
        return True
    return False


def _asked(option: str, entry: Entry, ask_secret: Ask, prompt: str) -> str:
    if entry.unattended:
        raise Refused(f"In unattended mode {option} is needed: nothing is asked.")
    return ask_secret(prompt)
