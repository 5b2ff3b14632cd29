"""Keeping this host's own records at its present address: a host that is moved or copied gets another one."""

from __future__ import annotations

import ipaddress
import json
import logging
import subprocess
from collections.abc import Iterable

import dns.name

from lab.node.dns.records import absolute, pointer_name, reverse_zone, zone_attributes
from lab.node.facts import RealmFacts
from lab.node.ldapi import Directory, escape_dn

log = logging.getLogger(__name__)
ATTRIBUTES = {4: "aRecord", 6: "aAAARecord"}
# The name that certificates point to for the authority's publications.
AUTHORITY_NAME = "ipa-ca"
# in-addr, arpa and the root.
SHORTEST_REVERSE = 3


def present_addresses() -> list[str]:
    """The global addresses of this host's interfaces, IPv4 first."""
    listed = subprocess.run(
        ["/usr/sbin/ip", "-j", "addr", "show", "scope", "global"],
        capture_output=True,
        check=True,
        encoding="utf-8",
        timeout=10,
    )
    infos = [info for link in json.loads(listed.stdout) for info in link.get("addr_info", [])]
    # Of an address that is not global an empty object is listed.
    found = [info["local"] for info in infos if "local" in info]
    return sorted(found, key=lambda address: ipaddress.ip_address(address).version)


def outdated(recorded: Iterable[str], present: Iterable[str]) -> bool:
    """Whether none of the recorded addresses is one of this host's any more. No records at all are no fault."""
    known = {ipaddress.ip_address(address) for address in recorded}
    return bool(known) and not known & {ipaddress.ip_address(address) for address in present}


def refresh(directory: Directory, facts: RealmFacts, present: list[str]) -> list[str]:
    """Bring this host's own records to its present addresses; what was changed, in words.

    Only records that name none of the present addresses are touched: an administrator may have chosen among several.
    """
    zone = f"idnsName={absolute(facts.domain)},cn=dns,{facts.basedn}"
    relative = facts.host.removesuffix(f".{facts.domain}")
    entry = directory.get(f"idnsName={escape_dn(relative)},{zone}")
    if entry is None:
        return []
    authority = directory.get(f"idnsName={AUTHORITY_NAME},{zone}") or {}
    changed = []
    for version, attribute in ATTRIBUTES.items():
        recorded = [value.decode() for value in _values(entry, attribute)]
        usable = [address for address in present if ipaddress.ip_address(address).version == version]
        if not outdated(recorded, usable):
            continue
        directory.replace(f"idnsName={escape_dn(relative)},{zone}", {attribute: usable[:1]})
        changed.append(f"{facts.host}: {', '.join(recorded)} became {', '.join(usable[:1]) or 'nothing'}")
        published = [value.decode() for value in _values(authority, attribute)]
        if set(published) & set(recorded):
            # By value: another master may do the same at this moment, and neither may undo the other.
            shared = f"idnsName={AUTHORITY_NAME},{zone}"
            directory.ensure_values(shared, attribute, usable[:1])
            directory.remove_values(shared, attribute, sorted(set(published) & set(recorded)))
        had_pointer = [_drop_pointer(directory, facts, address) for address in recorded]
        if any(had_pointer) and usable:
            add_pointer(directory, facts, usable[0])
    return changed


def add_pointer(directory: Directory, facts: RealmFacts, address: str) -> None:
    """A pointer from an address to this host, in a reverse zone that is made if need be."""
    zone = _zone_of(directory, facts, address)
    base = f"idnsName={zone},cn=dns,{facts.basedn}"
    directory.add_if_missing(base, zone_attributes(zone, facts))
    name = pointer_name(address, zone)
    dn = f"idnsName={name},{base}"
    target = f"{facts.host}."
    if not directory.add_if_missing(dn, {"objectClass": ["top", "idnsRecord"], "idnsName": name, "pTRRecord": target}):
        directory.ensure_values(dn, "pTRRecord", target)


def _zone_of(directory: Directory, facts: RealmFacts, address: str) -> str:
    """The closest reverse zone that is there for an address, or the usual one that is still to be made.

    Masters that share a wide one do not make each the same small one when they come up on a new network together.
    """
    name = dns.name.from_text(ipaddress.ip_address(address).reverse_pointer).parent()
    while len(name.labels) > SHORTEST_REVERSE:
        if directory.exists(f"idnsName={name.to_text()},cn=dns,{facts.basedn}"):
            return str(name.to_text())
        name = name.parent()
    return reverse_zone(address)


def _drop_pointer(directory: Directory, facts: RealmFacts, address: str) -> bool:
    """Remove this host's pointer from an address; whether there was one."""
    zone = _zone_of(directory, facts, address)
    dn = f"idnsName={pointer_name(address, zone)},idnsName={zone},cn=dns,{facts.basedn}"
    entry = directory.get(dn) or {}
    target = f"{facts.host}.".encode()
    pointers = _values(entry, "pTRRecord")
    if target not in pointers:
        return False
    if pointers == [target]:
        directory.delete(dn)
    else:
        directory.remove_values(dn, "pTRRecord", target)
    return True


def _values(entry: dict[str, list[bytes]], attribute: str) -> list[bytes]:
    return next((values for name, values in entry.items() if name.lower() == attribute.lower()), [])
