"""The services of a master: their entries below cn=masters, and the units behind their names.

Names, entries and start orders are FreeIPA's (`cn=masters,cn=ipa,cn=etc`); units are Debian's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.node.facts import RealmFacts
from lab.node.ldapi import Directory


@dataclass(frozen=True)
class MasterService:
    """`entry` names it in the directory, `name` in ipactl's output, `unit` in systemd; lower orders start
    earlier.
    """

    entry: str
    name: str
    unit: str
    order: int


SERVICES = (
    MasterService("KDC", "krb5kdc", "krb5-kdc.service", 10),
    MasterService("KPASSWD", "kadmin", "krb5-admin-server.service", 20),
    MasterService("DNS", "named", "named.service", 30),
    MasterService("HTTP", "httpd", "apache2.service", 40),
    MasterService("KEYS", "ipa-custodia", "ipa-custodia.service", 41),
    MasterService("CA", "pki-tomcatd", "pki-tomcatd@pki-tomcat.service", 50),
)
#: The authority on servers that were set up with Dogtag 9.
DOGTAG_9 = MasterService("CA", "pki-cad", "pki-cad@pki-ca.service", 50)
BY_ENTRY = {service.entry: service for service in SERVICES}
BY_NAME = {service.name: service for service in (*SERVICES, DOGTAG_9)}


def enable_service(directory: Directory, facts: RealmFacts, entry: str) -> None:
    """List a service of this master, to be started by ipactl. `entry` is a key of BY_ENTRY."""
    dn = f"cn={entry},{facts.master_dn}"
    settings = ["enabledService", f"startOrder {BY_ENTRY[entry].order}"]
    directory.add_if_missing(
        dn,
        {"objectClass": ["top", "nsContainer", "ipaConfigObject"], "cn": entry, "ipaConfigString": settings},
    )
    directory.ensure_values(dn, "ipaConfigString", settings)


def disable_service(directory: Directory, facts: RealmFacts, entry: str) -> None:
    """Take a service off the list of this master."""
    directory.delete(f"cn={entry},{facts.master_dn}")


def enabled_services(directory: Directory, facts: RealmFacts) -> list[MasterService]:
    """The services listed for this master that can be started here, in start order."""
    found: list[tuple[int, MasterService]] = []
    for _, entry in directory.search(facts.master_dn, "(ipaConfigString=enabledService)", ["cn", "ipaConfigString"]):
        service = BY_ENTRY.get(entry["cn"][0].decode())
        if service is not None and service.entry == DOGTAG_9.entry and facts.dogtag_version < 10:
            service = DOGTAG_9
        if service is not None:
            found.append((_start_order(entry["ipaConfigString"], service.order), service))
    return [service for _, service in sorted(found, key=lambda pair: (pair[0], pair[1].entry))]


def _start_order(settings: list[bytes], default: int) -> int:
    for setting in settings:
        said = re.fullmatch(r"startOrder\s+(\d+)", setting.decode())
        if said:
            return int(said[1])
    return default
