"""DNS zones and records: FreeIPA's dnszone_* and dnsrecord_*."""

from __future__ import annotations

import ipaddress
from typing import Any

import dns.exception
import dns.name
import dns.rdata
import dns.reversename
import ldap

from lab.node.api.caller import Attributes, Caller, Options, Result
from lab.node.api.errors import Duplicate, Invalid, Missing, NotFound, NothingToDo
from lab.node.api.objects import Kind, as_json, delete, fetch, find, found_result, not_found, wanted
from lab.node.api.registry import argument, command, many, optional
from lab.node.dns.records import RECORD_TYPES, absolute, quoted, reverse_zone, zone_attributes
from lab.node.ldapi import escape_dn

ZONE = Kind(
    "DNS zone",
    "DNS zones",
    "idnsName",
    "cn=dns",
    "(objectClass=idnsZone)",
    (
        "idnsName",
        "idnsZoneActive",
        "idnsSOAmName",
        "idnsSOArName",
        "idnsSOAserial",
        "idnsSOArefresh",
        "idnsSOAretry",
        "idnsSOAexpire",
        "idnsSOAminimum",
        "idnsUpdatePolicy",
        "idnsAllowDynUpdate",
        "idnsAllowQuery",
        "idnsAllowTransfer",
        "nSRecord",
    ),
    ("idnsName",),
)
APEX = "@"


def _zone_name(given: str) -> str:
    try:
        return absolute(given)
    except dns.exception.DNSException as error:
        raise Invalid("name", str(error)) from None


def _record_dn(caller: Caller, zone: str, name: str) -> str:
    base = ZONE.dn(caller, zone)
    return base if name == APEX else f"idnsName={escape_dn(name)},{base}"


def _relative(name: str, zone: str) -> str:
    """A record's name below its zone: relative, the zone itself as @. Raises Invalid for one outside."""
    if name == APEX:
        return name
    try:
        full = dns.name.from_text(name, dns.name.from_text(zone))
    except dns.exception.DNSException as error:
        raise Invalid("name", str(error)) from None
    if not full.is_subdomain(dns.name.from_text(zone)):
        raise Invalid("name", "out-of-zone data: record name must be a subdomain of the zone or a relative name")
    found = full.relativize(dns.name.from_text(zone)).to_text()
    return str(found)


@command("dnszone_show")
def dnszone_show(caller: Caller, arguments: list[Any], options: Options) -> Result:
    zone = _zone_name(argument(arguments, 0, "name"))
    shown = fetch(caller, ZONE, zone, wanted(ZONE, options))
    return {"result": _zone(shown, options), "value": zone, "summary": None}


def _zone(shown: Attributes, options: Options) -> Attributes:
    if not options.get("all"):
        shown.pop("nsrecord", None)
    return shown


@command("dnszone_find")
def dnszone_find(caller: Caller, arguments: list[Any], options: Options) -> Result:
    found = find(caller, ZONE, optional(arguments, 0), options)
    found["result"] = [_zone(shown, options) for shown in found["result"]]
    found["summary"] = None
    return found


@command("dnszone_add")
def dnszone_add(caller: Caller, arguments: list[Any], options: Options) -> Result:
    given = optional(arguments, 0)
    if options.get("name_from_ip"):
        try:
            given = reverse_zone(str(options["name_from_ip"]))
        except ValueError as error:
            raise Invalid("name_from_ip", str(error)) from None
    if not given:
        raise Missing("name")
    zone = _zone_name(given)
    attributes = zone_attributes(zone, caller.facts, str(options.get("idnssoarname") or ""))
    try:
        caller.directory.add(ZONE.dn(caller, zone), attributes)
    except ldap.ALREADY_EXISTS:
        raise Duplicate(f'DNS zone with name "{zone}" already exists') from None
    return {"result": _zone(fetch(caller, ZONE, zone, wanted(ZONE, options)), options), "value": zone, "summary": None}


@command("dnszone_del")
def dnszone_del(caller: Caller, arguments: list[Any], _options: Options) -> Result:
    given = many(arguments[0] if arguments else None)
    if not given:
        raise Missing("name")
    return delete(caller, ZONE, [_zone_name(name) for name in given], with_children=True)


@command("dnsrecord_show")
def dnsrecord_show(caller: Caller, arguments: list[Any], _options: Options) -> Result:
    zone, name = _names(caller, arguments)
    return {"result": _record(caller, zone, name), "value": name, "summary": None}


@command("dnsrecord_find")
def dnsrecord_find(caller: Caller, arguments: list[Any], _options: Options) -> Result:
    zone = _zone_name(argument(arguments, 0, "dnszone"))
    fetch(caller, ZONE, zone, ["1.1"])
    criteria = optional(arguments, 1)
    entries = caller.directory.search(ZONE.dn(caller, zone), "(objectClass=idnsRecord)", _record_attributes())
    shown = []
    for dn, entry in entries:
        one = as_json(dn, entry)
        if dn.lower() == ZONE.dn(caller, zone).lower():
            one["idnsname"] = [APEX]
        if criteria in one["idnsname"][0]:
            shown.append(one)
    shown.sort(key=lambda one: (one["idnsname"][0] != APEX, one["idnsname"][0]))
    return found_result(shown, "DNS record", "DNS records") | {"summary": None}


@command("dnsrecord_add")
def dnsrecord_add(caller: Caller, arguments: list[Any], options: Options) -> Result:
    zone, name = _names(caller, arguments)
    given = _given(options, zone)
    if not given:
        raise Missing("record")
    add_records(caller, zone, name, given)
    return {"result": _record(caller, zone, name), "value": name, "summary": None}


@command("dnsrecord_del")
def dnsrecord_del(caller: Caller, arguments: list[Any], options: Options) -> Result:
    zone, name = _names(caller, arguments)
    dn = _record_dn(caller, zone, name)
    entry = caller.directory.get(dn, _record_attributes())
    if entry is None:
        raise NotFound(f"{name}: DNS resource record not found")
    deleted = {"result": {"failed": []}, "value": [name], "summary": f'Deleted record "{name}"'}
    if options.get("del_all") and name != APEX:
        caller.directory.delete(dn)
        return deleted
    given = _given(options, zone)
    if not given:
        raise Missing("record")
    for attribute, values in given.items():
        try:
            caller.directory.remove_values(dn, attribute, values)
        except ldap.NO_SUCH_ATTRIBUTE:
            label = attribute.removesuffix("Record").upper()
            raise NotFound(f"{label} record does not contain '{', '.join(values)}'") from None
    left = caller.directory.get(dn, _record_attributes()) or {}
    if name != APEX and not any(_is_record(attribute) for attribute in left):
        caller.directory.delete(dn)
        return deleted
    return {"result": _record(caller, zone, name), "value": [name], "summary": None}


def _names(caller: Caller, arguments: list[Any]) -> tuple[str, str]:
    zone = _zone_name(argument(arguments, 0, "dnszone"))
    if not caller.directory.exists(ZONE.dn(caller, zone)):
        raise not_found(ZONE, zone)
    return zone, _relative(argument(arguments, 1, "name"), zone)


def _record_attributes() -> list[str]:
    return ["idnsName", "dNSTTL", *RECORD_TYPES.values()]


def _is_record(attribute: str) -> bool:
    return attribute.lower().endswith("record")


def _record(caller: Caller, zone: str, name: str) -> Attributes:
    dn = _record_dn(caller, zone, name)
    entry = caller.directory.get(dn, _record_attributes())
    if entry is None:
        raise NotFound(f"{name}: DNS resource record not found")
    return as_json(dn, entry) | {"idnsname": [name]}


def _given(options: Options, zone: str) -> dict[str, list[str]]:
    """The records that the options name, by attribute, each checked as its type. Raises Invalid."""
    given: dict[str, list[str]] = {}
    origin = dns.name.from_text(zone)
    for kind, attribute in RECORD_TYPES.items():
        for value in many(options.get(attribute.lower())):
            try:
                dns.rdata.from_text("IN", kind, quoted(kind, value), origin)
            except (dns.exception.DNSException, ValueError) as error:
                raise Invalid(f"{kind.lower()}_rec", f"{value}: {error}") from None
            given.setdefault(attribute, []).append(value)
    return given


def add_records(caller: Caller, zone: str, name: str, records: dict[str, list[str]]) -> None:
    """Add records to a name, which is made if need be. Raises NothingToDo when all were there before."""
    dn = _record_dn(caller, zone, name)
    if caller.directory.add_if_missing(dn, {"objectClass": ["top", "idnsRecord"], "idnsName": name, **records}):
        return
    if not [caller.directory.ensure_values(dn, attribute, values) for attribute, values in records.items()].count(True):
        raise NothingToDo


def zone_of(caller: Caller, name: str) -> str | None:
    """The closest zone here that a full name belongs to."""
    full = dns.name.from_text(name)
    while full != dns.name.root:
        full = full.parent()
        if caller.directory.exists(ZONE.dn(caller, full.to_text())):
            return str(full.to_text())
    return None


def has_zone_for(caller: Caller, name: str) -> bool:
    return zone_of(caller, name) is not None


def host_has_address(caller: Caller, name: str) -> bool:
    """Whether a record here gives the host an address."""
    zone = zone_of(caller, name)
    if zone is None:
        return False
    entry = caller.directory.get(_record_dn(caller, zone, _relative(f"{name}.", zone))) or {}
    return any(attribute.lower() in ("arecord", "aaaarecord") for attribute in entry)


def add_host_records(caller: Caller, name: str, address: str) -> None:
    """An address record, and a pointer back where there is a zone for it. Raises Invalid, NotFound."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError as error:
        raise Invalid("ip_address", str(error)) from None
    zone = zone_of(caller, name)
    if zone is None:
        raise NotFound(f"{name}: DNS zone not found")
    attribute = "aRecord" if parsed.version == 4 else "aAAARecord"
    add_records(caller, zone, _relative(f"{name}.", zone), {attribute: [address]})
    pointer = dns.reversename.from_address(address).to_text()
    reverse = zone_of(caller, pointer)
    if reverse is not None:
        add_records(caller, reverse, _relative(pointer, reverse), {"pTRRecord": [f"{name}."]})
