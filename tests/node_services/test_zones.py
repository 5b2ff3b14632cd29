"""Zones of the directory as zone files, and this host's own address in them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("dns.zone", reason="needs dnspython")

import dns.zone

from lab.node.dns import records
from lab.node.dns.address import outdated, refresh
from lab.node.dns.zonefiles import ZoneFiles
from lab.node.facts import RealmFacts
from lab.node.ldapi import Entry, encoded

FACTS = RealmFacts("EXAMPLE.TEST", "example.test", "ipa1.example.test")
BASE = f"cn=dns,{FACTS.basedn}"
ZONE = f"idnsName=example.test.,{BASE}"


def entry(dn: str, attributes: Mapping[str, Any]) -> Entry:
    return dn, {name: encoded(values) for name, values in attributes.items()}


def realm_entries() -> list[Entry]:
    found = [entry(ZONE, records.zone_attributes("example.test.", FACTS))]
    for name, attribute, value in [
        ("ipa1", "aRecord", "192.0.2.1"),
        ("_kerberos", "tXTRecord", "EXAMPLE.TEST"),
        *((name, "sRVRecord", f"0 100 {port} ipa1.example.test.") for name, port in records.SERVICE_RECORDS),
    ]:
        attributes = {"objectClass": ["top", "idnsRecord"], "idnsName": name, attribute: value}
        found.append(entry(f"idnsName={name},{ZONE}", attributes))
    return found


@pytest.mark.row("P5")
def test_the_zone_file_holds_the_eight_service_records() -> None:
    (zone,) = records.zones_of(realm_entries())
    parsed = dns.zone.from_text(zone.text(7), zone.name)
    services = {str(name) for name, _ in parsed.iterate_rdatasets("SRV")}
    assert services == {
        "_ldap._tcp",
        "_kerberos._tcp",
        "_kerberos._udp",
        "_kerberos-master._tcp",
        "_kerberos-master._udp",
        "_kpasswd._tcp",
        "_kpasswd._udp",
        "_ntp._udp",
    }
    assert parsed.get_soa().serial == 7


def test_text_records_are_quoted_and_their_quotes_escaped() -> None:
    assert records.quoted("TXT", 'say "hi" \\o/') == '"say \\"hi\\" \\\\o/"'
    assert records.quoted("A", "192.0.2.1") == "192.0.2.1"


def test_a_zone_is_the_same_whatever_order_the_directory_gives() -> None:
    entries = realm_entries()
    assert records.zones_of(entries) == records.zones_of(list(reversed(entries)))


@given(st.ip_addresses())
def test_an_address_has_its_pointer_in_its_reverse_zone(address: ipaddress.IPv4Address) -> None:
    zone = records.reverse_zone(str(address))
    assert f"{records.pointer_name(str(address), zone)}.{zone}" == address.reverse_pointer + "."


@pytest.mark.parametrize(
    ("network", "zone"),
    [
        ("192.0.2.7", "2.0.192.in-addr.arpa."),
        ("10.1.0.0/16", "1.10.in-addr.arpa."),
        ("10.0.0.0/8", "10.in-addr.arpa."),
        ("2001:db8::/32", "8.b.d.0.1.0.0.2.ip6.arpa."),
    ],
)
def test_a_network_names_its_reverse_zone(network: str, zone: str) -> None:
    assert records.reverse_zone(network) == zone


@given(st.integers(0, 2**31))
def test_serials_only_grow(present: int) -> None:
    assert records.next_serial(present) > present


class TreeOfEntries:
    """A directory that keeps entries in a dictionary; the part of Directory that `refresh` uses."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = {dn.lower(): dict(attributes) for dn, attributes in entries}

    def get(self, dn: str, attributes: Iterable[str] | None = None) -> dict[str, list[bytes]] | None:
        return self.entries.get(dn.lower())

    def exists(self, dn: str) -> bool:
        return dn.lower() in self.entries

    def ensure_values(self, dn: str, attribute: str, values: Iterable[str]) -> bool:
        present = self.entries[dn.lower()].setdefault(attribute, [])
        lacking = [value for value in encoded(values) if value not in present]
        present.extend(lacking)
        return bool(lacking)

    def remove_values(self, dn: str, attribute: str, values: Iterable[str]) -> None:
        gone = encoded(values)
        entry_ = self.entries[dn.lower()]
        entry_[attribute] = [value for value in entry_[attribute] if value not in gone]

    def add_if_missing(self, dn: str, attributes: Mapping[str, Any]) -> bool:
        if dn.lower() in self.entries:
            return False
        self.entries[dn.lower()] = entry(dn, attributes)[1]
        return True

    def replace(self, dn: str, attributes: Mapping[str, Any]) -> None:
        self.entries[dn.lower()].update({name: encoded(values) for name, values in attributes.items()})

    def search(self, base: str) -> list[Entry]:
        return [(dn, attributes) for dn, attributes in self.entries.items() if dn.endswith(base.lower())]

    def delete(self, dn: str) -> bool:
        return self.entries.pop(dn.lower(), None) is not None


def pointer(address: str) -> str:
    zone = records.reverse_zone(address)
    return f"idnsname={records.pointer_name(address, zone)},idnsname={zone},{BASE}".lower()


def with_pointer() -> list[Entry]:
    zone = records.reverse_zone("192.0.2.1")
    return [
        *realm_entries(),
        entry(f"idnsName={zone},{BASE}", records.zone_attributes(zone, FACTS)),
        entry(pointer("192.0.2.1"), {"objectClass": "idnsRecord", "idnsName": "1", "pTRRecord": "ipa1.example.test."}),
    ]


@pytest.mark.row("L1")
def test_a_copied_host_takes_its_records_to_its_new_address() -> None:
    tree = TreeOfEntries(with_pointer())
    said = refresh(tree, FACTS, ["198.51.100.9"])  # type: ignore[arg-type]
    assert said == ["ipa1.example.test: 192.0.2.1 became 198.51.100.9"]
    assert tree.entries[f"idnsname=ipa1,{ZONE}".lower()]["aRecord"] == [b"198.51.100.9"]
    assert pointer("192.0.2.1") not in tree.entries
    assert tree.entries[pointer("198.51.100.9")]["pTRRecord"] == [b"ipa1.example.test."]


def test_a_host_that_stayed_changes_nothing() -> None:
    tree = TreeOfEntries(with_pointer())
    before = {dn: dict(attributes) for dn, attributes in tree.entries.items()}
    assert refresh(tree, FACTS, ["192.0.2.1", "198.51.100.9"]) == []  # type: ignore[arg-type]
    assert tree.entries == before


def test_a_host_without_records_is_given_none() -> None:
    assert refresh(TreeOfEntries([]), FACTS, ["192.0.2.1"]) == []  # type: ignore[arg-type]


@given(st.lists(st.ip_addresses(v=4).map(str)), st.lists(st.ip_addresses(v=4).map(str)))
def test_records_are_outdated_only_when_none_of_them_is_present(recorded: list[str], present: list[str]) -> None:
    assert outdated(recorded, present) == (bool(recorded) and not set(recorded) & set(present))


def serial_in(file: Path) -> int:
    return int(file.read_text().split(" SOA ")[1].split()[2])


def test_a_changed_record_renumbers_and_reloads_its_zone_and_no_other(tmp_path: Path) -> None:
    told: list[tuple[str, ...]] = []
    tree = TreeOfEntries(with_pointer())
    files = ZoneFiles(tmp_path, lambda *words: told.append(words))
    files.bring_up_to(tree, BASE)  # type: ignore[arg-type]
    assert told == [("reconfig",)]
    assert 'zone "example.test."' in (tmp_path / "zones.conf").read_text()
    before = serial_in(tmp_path / "example.test.db")

    tree.entries[f"idnsname=ipa1,{ZONE}".lower()]["aRecord"] = [b"198.51.100.9"]
    files.bring_up_to(tree, BASE)  # type: ignore[arg-type]
    assert told == [("reconfig",), ("reload", "example.test.")]
    assert "ipa1 IN A 198.51.100.9" in (tmp_path / "example.test.db").read_text()
    assert serial_in(tmp_path / "example.test.db") > before
    assert tree.entries[ZONE.lower()]["idnsSOAserial"] == [str(serial_in(tmp_path / "example.test.db")).encode()]

    files.bring_up_to(tree, BASE)  # type: ignore[arg-type]
    assert len(told) == 2


def test_a_restart_with_nothing_changed_keeps_the_serial_numbers(tmp_path: Path) -> None:
    tree = TreeOfEntries(realm_entries())
    ZoneFiles(tmp_path, lambda *_: None).bring_up_to(tree, BASE)  # type: ignore[arg-type]
    before = serial_in(tmp_path / "example.test.db")
    ZoneFiles(tmp_path, lambda *_: None).bring_up_to(tree, BASE)  # type: ignore[arg-type]
    assert serial_in(tmp_path / "example.test.db") == before


def test_a_deleted_zone_is_no_longer_served(tmp_path: Path) -> None:
    told: list[tuple[str, ...]] = []
    tree = TreeOfEntries(with_pointer())
    files = ZoneFiles(tmp_path, lambda *words: told.append(words))
    files.bring_up_to(tree, BASE)  # type: ignore[arg-type]
    for dn in [dn for dn in tree.entries if "in-addr.arpa" in dn]:
        tree.delete(dn)
    files.bring_up_to(tree, BASE)  # type: ignore[arg-type]
    assert files.names == ["example.test."]
    assert "in-addr" not in (tmp_path / "zones.conf").read_text()
    assert not list(tmp_path.glob("*in-addr*"))
    assert told == [("reconfig",), ("reconfig",)]
