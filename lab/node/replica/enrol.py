"""A host of the realm that is no master: found servers, its principal and keytab, SSSD, and all of it undone."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.resolver
from cryptography import x509

from lab.node.api.transport import ClientError, call
from lab.node.component import Install
from lab.node.facts import DEFAULT_CONF, InstallOptions, RealmFacts
from lab.node.files import remove_tree, render
from lab.node.install import sssd, trust
from lab.node.install.checks import Refused
from lab.node.install.kerberos import HOST_KEYTAB, INCLUDED, KRB5_CONF, krb5_conf
from lab.node.replica.conncheck import foreign_realm, get_ticket
from lab.node.replica.credentials import ADMIN_SERVICE, fetch_authorities, fetch_keytab
from lab.node.run import CommandFailed, run
from lab.node.sysrestore import Sysrestore

SYSRESTORE = Path("/var/lib/ipa-client/sysrestore")
DNS_SECONDS = 5.0
ALREADY_CONFIGURED, NOT_CONFIGURED = 3, 2
Say = Callable[[str], None]

CONNECTION = """\
dns_discovery_domain = ${domain}
ldap_uri = ${servers}
ldap_sasl_mech = GSSAPI
ldap_sasl_authid = host/${host}
ldap_krb5_keytab = /etc/krb5.keytab
"""
CONF_TEXT = """\
[global]
host = ${host}
basedn = ${basedn}
realm = ${realm}
domain = ${domain}
server = ${server}
xmlrpc_uri = https://${server}/ipa/xml
enable_ra = True
"""


@dataclass(frozen=True)
class Enrolment:
    """What the administrator said; `servers` are fixed ones, without any they are found by DNS, always."""

    hostname: str
    domain: str
    realm: str = ""
    servers: tuple[str, ...] = ()
    principal: str = "admin"
    password: str = field(default="", repr=False)
    force_join: bool = False


def discover(domain: str) -> tuple[str, list[str]]:
    """The realm and the servers that DNS names for a domain, the best server first. Raises Refused."""
    try:
        found = dns.resolver.resolve(f"_ldap._tcp.{domain}", "SRV", lifetime=DNS_SECONDS)
    except dns.exception.DNSException as error:
        raise Refused(
            f"Failed to verify that {domain} has IPA servers: DNS does not answer for _ldap._tcp.{domain} ({error}).\n"
            "Name one with --server, or check /etc/resolv.conf."
        ) from error
    records = sorted(found, key=lambda record: (record.priority, -record.weight, record.target.to_text()))
    servers = [record.target.to_text().rstrip(".") for record in records]
    try:
        texts = dns.resolver.resolve(f"_kerberos.{domain}", "TXT", lifetime=DNS_SECONDS)
        realm = b"".join(next(iter(texts)).strings).decode()
    except dns.exception.DNSException:
        realm = domain.upper()
    return realm, servers


def enrolled(sysrestore: Sysrestore) -> bool:
    """Whether this host is a client of a realm, whole or half."""
    return not sysrestore.is_empty()


def enrol(enrolment: Enrolment, say: Say) -> None:
    """Make this host a client. Raises Refused before anything is changed here, and what the steps raise."""
    sysrestore = Sysrestore(SYSRESTORE)
    if enrolled(sysrestore):
        raise Refused(
            "IPA client is already configured on this system.\n"
            "If you want to reinstall the IPA client, uninstall it first using 'ipa-client-install --uninstall'.",
            ALREADY_CONFIGURED,
        )
    if DEFAULT_CONF.exists():
        raise Refused("IPA server is already configured on this system.", ALREADY_CONFIGURED)
    realm, servers = enrolment.realm, list(enrolment.servers)
    if not servers:
        found, servers = discover(enrolment.domain)
        realm = realm or found
        say("Discovery was successful!")
    facts = RealmFacts(realm or enrolment.domain.upper(), enrolment.domain, enrolment.hostname)
    server = servers[0]
    for label, value in (
        ("Client hostname", facts.host),
        ("Realm", facts.realm),
        ("DNS Domain", facts.domain),
        ("IPA Server", ", ".join(servers)),
        ("BaseDN", facts.basedn),
    ):
        say(f"{label}: {value}")
    say("")
    with tempfile.TemporaryDirectory(dir="/run") as name:
        place = Path(name)
        with foreign_realm(place, facts.realm, facts.domain, server):
            get_ticket(f"{enrolment.principal}@{facts.realm}", enrolment.password)
            authorities = fetch_authorities(server, facts.domain, place)
            _join(facts, server, authorities, force=enrolment.force_join)
            cache = f"FILE:{place}/kadmin"
            service = f"{ADMIN_SERVICE}@{facts.realm}"
            get_ticket(f"{enrolment.principal}@{facts.realm}", enrolment.password, service=service, cache=cache)
            keytab = place / "host.keytab"
            fetch_keytab(f"host/{facts.host}@{facts.realm}", facts.realm, cache, keytab)
        say(f"Enrolled in IPA realm {facts.realm}")
        install = Install(facts, InstallOptions(), sysrestore, say)
        _configure(install, servers, bool(enrolment.servers), keytab.read_bytes(), authorities.read_bytes(), say)
    say("Client configuration complete.")


def _join(facts: RealmFacts, server: str, authorities: Path, *, force: bool) -> None:
    """The host's entry on the server. Raises Refused when there is one with keys, unless `force` is set."""
    try:
        call(server, "host_add", [facts.host], {"force": True}, authorities=authorities)
    except ClientError as error:
        if "already exists" not in str(error):
            raise Refused(f"Joining realm failed: {error}") from error
        shown = call(server, "host_show", [facts.host], {}, authorities=authorities)
        if shown["result"].get("has_keytab") and not force:
            raise Refused(
                "Joining realm failed: Host is already joined.\n"
                "Use --force-join option to override the host entry on the server and force client enrollment."
            ) from error


def _configure(install: Install, servers: list[str], fixed: bool, keytab: bytes, authorities: bytes, say: Say) -> None:
    facts, server = install.facts, servers[0]
    install.sysrestore.set_state("installation", "domain", facts.domain)
    known = {"realm": facts.realm, "domain": facts.domain, "host": facts.host, "basedn": facts.basedn, "server": server}
    install.put_file(HOST_KEYTAB, keytab, mode=0o600)
    say(f"Configured {HOST_KEYTAB}")
    install.put_file(DEFAULT_CONF, render(CONF_TEXT, **known))
    say(f"Created {DEFAULT_CONF}")
    install.put_file(KRB5_CONF, INCLUDED + krb5_conf(facts.realm, facts.domain, facts.host, servers if fixed else ()))
    say(f"Configured {KRB5_CONF} for IPA realm {facts.realm}")
    trust.trust_here(x509.load_pem_x509_certificates(authorities))
    found = [f"ldap://{one}" for one in servers] if fixed else ["_srv_", f"ldap://{server}"]
    asked = servers if fixed else ["_srv_", server]
    connection = render(CONNECTION, **known, servers=", ".join(found))
    sssd.configure(install, server, ", ".join(asked), connection, offline=True)
    sssd.start()
    sssd.wait_known()
    say("SSSD enabled")


def unenrol(facts: RealmFacts | None, server: str, say: Say) -> None:
    """Take the client away again: its keys on a server, where one can be reached, and all that was written here."""
    sysrestore = Sysrestore(SYSRESTORE)
    if not enrolled(sysrestore):
        raise Refused("IPA client is not configured on this system.", NOT_CONFIGURED)
    say("Unenrolling client from IPA server")
    if facts is not None:
        _disable(facts, server, say)
    say("Disabling client Kerberos and LDAP configurations")
    sssd.stop()
    sysrestore.restore_all()
    sssd.clear_caches()
    trust.withdraw()
    remove_tree("/run/ipa")
    sysrestore.forget_state()
    say("Client uninstall complete.")


def _disable(facts: RealmFacts, server: str, say: Say) -> None:
    """Have the server forget this host's keys, as the host itself."""
    principal = f"host/{facts.host}@{facts.realm}"
    with (
        tempfile.TemporaryDirectory(dir="/run") as place,
        foreign_realm(Path(place), facts.realm, facts.domain, server),
    ):
        try:
            run(["kinit", "-k", "-t", str(HOST_KEYTAB), principal])
            call(server, "host_disable", [facts.host], {})
        except (CommandFailed, ClientError) as error:
            say(f"Unenrolling host failed: {error}")
