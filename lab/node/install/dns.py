"""DNS: the zones in the directory, the service that follows them, and named."""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.node import services
from lab.node.component import Install
from lab.node.dns.address import AUTHORITY_NAME, add_pointer, present_addresses
from lab.node.dns.layout import ACCOUNT, FOLLOWER, KEYTAB, NAMED, ZONE_LIST, ZONES, principal
from lab.node.dns.records import SERVICE_RECORDS, absolute, zone_attributes
from lab.node.facts import RealmFacts
from lab.node.files import remove_file, remove_tree, render, write_file
from lab.node.kadmin import new_keytab_entry
from lab.node.ldapi import Directory, Values, directory, escape_dn
from lab.node.masters import enable_service
from lab.node.run import run
from lab.node.services import wait_for

ETC = Path("/etc/bind")
CONF = ETC / "named.conf"
OPTIONS_EXT = ETC / "ipa-options-ext.conf"
EXT = ETC / "ipa-ext.conf"
LOGGING_EXT = ETC / "ipa-logging-ext.conf"
RESOLV_CONF = Path("/etc/resolv.conf")
RESOLV_AT_BOOT = Path("/etc/tmpfiles.d/ipa-resolv.conf")
NAMED_DROP_IN = Path(f"/etc/systemd/system/{NAMED}.d/ipa.conf")
FOLLOWER_DROP_IN = Path(f"/etc/systemd/system/{FOLLOWER}.d/ipa.conf")
GROUP = "cn=DNS Servers,cn=privileges,cn=pbac"
ANSWER_LIMIT = 15.0

CONF_TEXT = """\
/* WARNING: This config file is managed by the identity server's installer.
 * Add settings in ipa-options-ext.conf, ipa-ext.conf and ipa-logging-ext.conf. */
options {
	listen-on-v6 { any; };
	directory "/var/cache/bind";
	pid-file "/run/named/named.pid";
	managed-keys-directory "/var/cache/bind";
	forward first;
	forwarders { ${forwarders} };
	include "${options_ext}";
};
include "${logging_ext}";
include "/etc/bind/named.conf.root-hints";
include "${ext}";
include "${zone_list}";
"""
OPTIONS_EXT_TEXT = """\
/* Additional options. A lab's network has no way to the root's keys. */
allow-recursion { any; };
allow-query-cache { any; };
dnssec-validation no;
"""
NAMED_DROP_IN_TEXT = f"[Unit]\nRequires={FOLLOWER}\nAfter={FOLLOWER}\n"


class Dns:
    """BIND with the realm's zones."""

    name = "dns"
    title = "DNS (named)"

    def configure(self, install: Install) -> None:
        facts = install.facts
        addresses = list(install.options.ip_addresses) or present_addresses()
        install.run_steps(
            self.title,
            [
                ("allowing DNS servers to follow the zones", lambda: _with(facts, _grant)),
                ("creating a keytab for named", lambda: _keytab(install)),
                ("setting up our zone", lambda: _with(facts, lambda d, f: _zone(d, f, install, addresses))),
                ("setting up reverse zone", lambda: _reverse(install, addresses)),
                ("setting up named.conf", lambda: _write(install)),
                ("starting the service that follows the directory, and named", lambda: services.restart(NAMED)),
                ("waiting for named to answer", lambda: _answers(facts)),
                ("changing resolv.conf to point to ourselves", lambda: _resolve(install)),
                ("enabling the DNS service of this master", lambda: _with(facts, _list)),
            ],
        )

    def unconfigure(self, install: Install) -> None:
        for unit in (NAMED, FOLLOWER):
            services.stop(unit)
            services.reset_failed(unit)
        for path in (RESOLV_CONF, RESOLV_AT_BOOT, CONF, OPTIONS_EXT, EXT, LOGGING_EXT, NAMED_DROP_IN, FOLLOWER_DROP_IN):
            install.sysrestore.restore(path)
        for path in (NAMED_DROP_IN, FOLLOWER_DROP_IN):
            remove_tree(path.parent)
        remove_file(KEYTAB)
        remove_tree(ZONES)
        install.sysrestore.pop_state("named", "running")
        install.sysrestore.pop_state("named", "enabled")
        services.daemon_reload()


def _with(facts: RealmFacts, deed: Callable[[Directory, RealmFacts], None]) -> None:
    with directory(facts.ldapi_uri) as server:
        deed(server, facts)


def _grant(server: Directory, facts: RealmFacts) -> None:
    group = f"{GROUP},{facts.basedn}"
    name = principal(facts)
    entry = f"krbprincipalname={name},cn=services,cn=accounts,{facts.basedn}"
    server.add_if_missing(
        entry,
        {
            "objectClass": ["top", "ipaservice", "ipaobject", "pkiuser", "krbprincipalaux", "krbticketpolicyaux"],
            "krbPrincipalName": name,
            "krbCanonicalName": name,
            "krbTicketFlags": 128,
            "ipaUniqueID": str(uuid.uuid1()),
            "managedBy": f"fqdn={facts.host},cn=computers,cn=accounts,{facts.basedn}",
        },
    )
    server.add_if_missing(
        group,
        {"objectClass": ["top", "groupOfNames", "nestedGroup"], "cn": "DNS Servers", "member": entry},
    )
    server.ensure_values(group, "member", entry)
    server.ensure_values(
        f"cn=dns,{facts.basedn}",
        "aci",
        '(targetattr = "*")(version 3.0; acl "DNS servers follow and number the zones"; '
        f'allow (read, search, compare, write, add, delete) groupdn = "ldap:///{group}";)',
    )


def _keytab(install: Install) -> None:
    draft = KEYTAB.with_name(".named.keytab.new")
    remove_file(draft)
    new_keytab_entry(principal(install.facts), str(draft))
    write_file(KEYTAB, draft.read_bytes(), mode=0o400, owner=ACCOUNT, group=ACCOUNT)
    remove_file(draft)


def _record(server: Directory, zone_dn: str, name: str, records: Mapping[str, Values]) -> None:
    dn = f"idnsName={escape_dn(name)},{zone_dn}"
    server.add_if_missing(dn, {"objectClass": ["top", "idnsRecord"], "idnsName": name})
    for attribute, values in records.items():
        server.ensure_values(dn, attribute, values)


def _zone(server: Directory, facts: RealmFacts, install: Install, addresses: list[str]) -> None:
    """The domain's zone with this host, the services that clients look for, and the authority's name."""
    zone = absolute(facts.domain)
    dn = f"idnsName={zone},cn=dns,{facts.basedn}"
    server.ensure_values(f"cn=dns,{facts.basedn}", "objectClass", "idnsConfigObject")
    server.add_if_missing(dn, zone_attributes(zone, facts, install.options.zonemgr))
    server.ensure_values(dn, "nSRecord", f"{facts.host}.")
    add_host_services(server, facts, addresses, with_authority=not install.options.ca_less)


def add_host_services(server: Directory, facts: RealmFacts, addresses: list[str], *, with_authority: bool) -> None:
    """This host's address in the domain's zone, and the services that clients look for there."""
    dn = f"idnsName={absolute(facts.domain)},cn=dns,{facts.basedn}"
    own: dict[str, list[str]] = {}
    for address in addresses:
        version = ipaddress.ip_address(address).version
        own.setdefault("aRecord" if version == 4 else "aAAARecord", []).append(address)
    _record(server, dn, facts.host.removesuffix(f".{facts.domain}"), own)
    if with_authority:
        _record(server, dn, AUTHORITY_NAME, own)
    _record(server, dn, "_kerberos", {"tXTRecord": facts.realm})
    for name, port in SERVICE_RECORDS:
        _record(server, dn, name, {"sRVRecord": f"0 100 {port} {facts.host}."})


def _reverse(install: Install, addresses: list[str]) -> None:
    facts = install.facts
    if install.options.no_reverse:
        return
    with directory(facts.ldapi_uri) as server:
        for name in install.options.reverse_zones:
            zone = absolute(name)
            server.add_if_missing(f"idnsName={escape_dn(zone)},cn=dns,{facts.basedn}", zone_attributes(zone, facts))
        for address in addresses:
            add_pointer(server, facts, address)


def _forwarders(install: Install) -> list[str]:
    if not install.options.auto_forwarders:
        return list(install.options.forwarders)
    lines = RESOLV_CONF.read_text(encoding="utf-8").split("\n")
    servers = [line.split()[1] for line in lines if line.startswith("nameserver ")]
    return [server for server in servers if not ipaddress.ip_address(server).is_loopback]


def _write(install: Install) -> None:
    keep = install.sysrestore
    keep.set_state("named", "running", services.is_active(NAMED))
    keep.set_state("named", "enabled", services.is_enabled(NAMED))
    forwarders = " ".join(f"{address};" for address in _forwarders(install))
    text = render(
        CONF_TEXT,
        forwarders=forwarders,
        options_ext=OPTIONS_EXT,
        logging_ext=LOGGING_EXT,
        ext=EXT,
        zone_list=ZONE_LIST,
    )
    install.put_file(CONF, text, mode=0o640, group=ACCOUNT)
    install.put_file(OPTIONS_EXT, OPTIONS_EXT_TEXT, mode=0o640, group=ACCOUNT)
    for path, what in ((EXT, "settings"), (LOGGING_EXT, "logging")):
        install.put_file(path, f"/* Additional {what} go here. */\n", mode=0o640, group=ACCOUNT)
    install.put_file(NAMED_DROP_IN, NAMED_DROP_IN_TEXT)
    after = f"[Unit]\nAfter={install.facts.dirsrv_unit} krb5-kdc.service\n"
    install.put_file(FOLLOWER_DROP_IN, after)
    services.daemon_reload()


def _answers(facts: RealmFacts) -> None:
    def asked() -> bool:
        done = run(["host", "-W", "1", facts.host, "127.0.0.1"], check=False)
        return done.status == 0 and "has address" in done.stdout

    wait_for(f"named to answer for {facts.host}", asked, ANSWER_LIMIT)


def _resolve(install: Install) -> None:
    """Now, and at every boot: a container engine writes the file anew when it starts a host."""
    lines = (f"search {install.facts.domain}", "nameserver 127.0.0.1")
    install.put_file(RESOLV_CONF, "\n".join(lines) + "\n")
    escaped = "".join(f"{line}\\n" for line in lines)
    install.put_file(RESOLV_AT_BOOT, f"f+ {RESOLV_CONF} 0644 root root - {escaped}\n")


def _list(server: Directory, facts: RealmFacts) -> None:
    enable_service(server, facts, "DNS")
