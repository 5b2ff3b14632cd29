"""Zones and records as the directory has them (FreeIPA's idnsZone and idnsRecord), and as a zone file says them."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import dns.name

from lab.node.facts import RealmFacts
from lab.node.ldapi import Entry, Values

RECORD_TYPES = {
    "A": "aRecord",
    "AAAA": "aAAARecord",
    "CNAME": "cNAMERecord",
    "DNAME": "dNameRecord",
    "MX": "mXRecord",
    "NS": "nSRecord",
    "PTR": "pTRRecord",
    "SRV": "sRVRecord",
    "SSHFP": "sSHFPRecord",
    "TXT": "tXTRecord",
    "URI": "uRIRecord",
}
DEFAULT_TTL = 86400
SERVICE_RECORDS = (
    ("_ldap._tcp", 389),
    ("_kerberos._tcp", 88),
    ("_kerberos._udp", 88),
    ("_kerberos-master._tcp", 88),
    ("_kerberos-master._udp", 88),
    ("_kpasswd._tcp", 464),
    ("_kpasswd._udp", 464),
    ("_ntp._udp", 123),
)


@dataclass(frozen=True)
class Zone:
    """A zone with its records: lines of a zone file by name, sorted, without the SOA."""

    name: str
    active: bool
    primary: str
    mailbox: str
    refresh: int
    retry: int
    expire: int
    minimum: int
    ttl: int
    serial: int
    lines: tuple[str, ...]

    def text(self, serial: int) -> str:
        """The zone file."""
        soa = f"{self.primary} {self.mailbox} {serial} {self.refresh} {self.retry} {self.expire} {self.minimum}"
        return "\n".join([f"$ORIGIN {self.name}", f"$TTL {self.ttl}", f"@ IN SOA {soa}", *self.lines]) + "\n"


def absolute(name: str) -> str:
    """A name in full, with its last dot, in lower case. Raises dns.exception.DNSException."""
    return str(dns.name.from_text(name.lower()).to_text())


def next_serial(present: int) -> int:
    """The time in seconds, or one more than the present serial if that is not less."""
    return max(present + 1, int(time.time()))


def zone_attributes(zone: str, facts: RealmFacts, mailbox: str = "") -> dict[str, Values]:
    """The entry of a new zone that this host serves."""
    return {
        "objectClass": ["top", "idnsRecord", "idnsZone"],
        "idnsName": zone,
        "idnsZoneActive": "TRUE",
        "idnsSOAmName": f"{facts.host}.",
        "idnsSOArName": _mailbox(mailbox) if mailbox else f"hostmaster.{zone}",
        "idnsSOAserial": next_serial(0),
        "idnsSOArefresh": 3600,
        "idnsSOAretry": 900,
        "idnsSOAexpire": 1209600,
        "idnsSOAminimum": 3600,
        "idnsUpdatePolicy": f"grant {facts.realm} krb5-self * A; grant {facts.realm} krb5-self * AAAA; "
        f"grant {facts.realm} krb5-self * SSHFP;",
        "idnsAllowDynUpdate": "FALSE",
        "idnsAllowQuery": "any;",
        "idnsAllowTransfer": "none;",
        "nSRecord": f"{facts.host}.",
    }


def _mailbox(address: str) -> str:
    """An e-mail address as a SOA record has it."""
    local, _, domain = address.rstrip(".").partition("@")
    return f"{local.replace('.', chr(92) + '.')}.{domain}." if domain else f"{address.rstrip('.')}."


def reverse_zone(network: str) -> str:
    """The reverse zone that an address or a network belongs to: of its /24, of a /64 for IPv6. Raises ValueError."""
    found = ipaddress.ip_interface(network)
    if found.version == 4:
        whole = found.network.prefixlen // 8 if "/" in network else 3
        labels = str(found.ip).split(".")[: max(1, min(3, whole))]
        return ".".join(reversed(labels)) + ".in-addr.arpa."
    nibbles = found.ip.exploded.replace(":", "")[: (found.network.prefixlen // 4 if "/" in network else 16)]
    return ".".join(reversed(nibbles)) + ".ip6.arpa."


def pointer_name(address: str, zone: str) -> str:
    """The name of an address's pointer, relative to its reverse zone."""
    full = dns.name.from_text(ipaddress.ip_address(address).reverse_pointer)
    return str(full.relativize(dns.name.from_text(zone)).to_text())


def zones_of(entries: Iterable[Entry]) -> list[Zone]:
    """Zones with their records, from all entries below cn=dns."""
    plain = [(dn, {name.lower(): values for name, values in entry.items()}) for dn, entry in entries]
    heads = {dn.lower(): entry for dn, entry in plain if b"idnszone" in _classes(entry)}
    lines: dict[str, list[str]] = {dn: [] for dn in heads}
    for dn, entry in plain:
        if b"idnsrecord" not in _classes(entry):
            continue
        own = dn.lower() in heads
        parent = dn.lower() if own else dn.lower().partition(",")[2]
        if parent in lines:
            lines[parent] += _lines("@" if own else entry["idnsname"][0].decode(), entry)
    return [_zone(entry, sorted(lines[dn])) for dn, entry in sorted(heads.items())]


def _classes(entry: Mapping[str, list[bytes]]) -> set[bytes]:
    return {value.lower() for value in entry.get("objectclass", [])}


def _lines(name: str, entry: Mapping[str, list[bytes]]) -> list[str]:
    ttl = entry["dnsttl"][0].decode() + " " if "dnsttl" in entry else ""
    return [
        f"{name} {ttl}IN {kind} {quoted(kind, value.decode())}"
        for kind, attribute in RECORD_TYPES.items()
        for value in entry.get(attribute.lower(), [])
    ]


def quoted(kind: str, value: str) -> str:
    """A TXT record's text in quotes; every other value as it is."""
    if kind != "TXT" or value.startswith('"'):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _zone(entry: Mapping[str, list[bytes]], lines: list[str]) -> Zone:
    def number(name: str, default: int) -> int:
        return int(entry[name][0]) if name in entry else default

    return Zone(
        name=absolute(entry["idnsname"][0].decode()),
        active=entry.get("idnszoneactive", [b"TRUE"])[0].upper() == b"TRUE",
        primary=entry["idnssoamname"][0].decode(),
        mailbox=entry["idnssoarname"][0].decode(),
        refresh=number("idnssoarefresh", 3600),
        retry=number("idnssoaretry", 900),
        expire=number("idnssoaexpire", 1209600),
        minimum=number("idnssoaminimum", 3600),
        ttl=number("dnsdefaultttl", DEFAULT_TTL),
        serial=number("idnssoaserial", 0),
        lines=tuple(lines),
    )
