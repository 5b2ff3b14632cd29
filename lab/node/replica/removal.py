"""Taking a master out of the realm: agreements, entries, DNS records, and its traces in the update vectors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress

import ldap
import ldap.dn

from lab.node.dns.address import AUTHORITY_NAME
from lab.node.dns.records import RECORD_TYPES, absolute
from lab.node.install.checks import Refused
from lab.node.ldapi import Directory, escape_dn, escape_filter
from lab.node.replica import agreements
from lab.node.replica.links import Realm
from lab.node.replica.remote import MasterUnreachable
from lab.node.replica.suffixes import AUTHORITY_SUFFIX, TOMBSTONE, Suffix, domain_suffix, managers_dn, replicates
from lab.node.services import WaitedTooLong, wait_for

TASKS = "cn=cleanallruv,cn=tasks,cn=config"
CLEAN_LIMIT = 60.0
SERVICES = ("ldap", "HTTP", "DNS")


def orphans(links: Mapping[str, Iterable[str]], without: str) -> list[str]:
    """The masters that could not be reached from the others any more, once `without` is gone.

    `links` names for each master whom it supplies; a link in one direction does not connect.
    """
    left = sorted(host for host in links if host != without)
    if not left:
        return []
    reached, waiting = {left[0]}, [left[0]]
    while waiting:
        here = waiting.pop()
        for there in left:
            if there not in reached and there in links[here] and here in links[there]:
                reached.add(there)
                waiting.append(there)
    return [host for host in left if host not in reached]


def delete_master(realm: Realm, local: str, host: str, *, force: bool, suffixes: tuple[Suffix, ...]) -> None:
    """Remove `host` from the suffixes; from the realm, when the domain is among them. `local` is the master that
    stays and does it.

    Raises Refused when a master does not answer or would be cut off, unless `force` is set.
    """
    if host == local:
        raise Refused(f"'{host}' cannot delete itself: run this on another master, or with --host=ANOTHER")
    with realm.open(local) as server:
        masters = realm.masters(server)
        if host not in masters and not force:
            raise Refused(f"'{local}' has no replication agreement for '{host}'")
        if not force:
            _refuse_last_authority(realm, server, host)
        links = {}
        for suffix in suffixes:
            links[suffix] = _links(realm, suffix, masters, host, force=force)
            cut_off = orphans(links[suffix], host)
            if cut_off and not force:
                raise Refused(
                    f"Deleting this server will orphan {', '.join(cut_off)}.\n"
                    "You will need to reconfigure your replication topology to delete this server."
                )
        for suffix in suffixes:
            _part(realm, suffix, host, sorted(links[suffix]))
        if any(suffix.prefix == "meTo" for suffix in suffixes):
            _remove_entries(realm, server, host)
            _remove_records(realm, server, local, host)
        for suffix in suffixes:
            if replicates(server, suffix):
                _clean(realm, server, suffix, host, force=force)


def _refuse_last_authority(realm: Realm, server: Directory, host: str) -> None:
    if realm.masters_with(server, "CA") == [host]:
        raise Refused("Deleting this server is not allowed as it would leave your installation without a CA.")


def _links(realm: Realm, suffix: Suffix, masters: list[str], host: str, *, force: bool) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for master in masters:
        try:
            with realm.open(master) as server:
                if replicates(server, suffix):
                    found[master] = [one.host for one in agreements.agreements(server, suffix)]
        except MasterUnreachable as error:
            if not force:
                raise Refused(f"Unable to connect to {master}: {error}\nUse --force to go on without it.") from error
            realm.say(f"Unable to connect to replica {master}, forcing removal" if master == host else f"{error}")
    return found


def _part(realm: Realm, suffix: Suffix, host: str, reached: list[str]) -> None:
    """Delete the agreements to `host` everywhere, and its own."""
    for master in reached:
        with realm.open(master) as server:
            gone = (
                agreements.agreements(server, suffix)
                if master == host
                else [one for one in agreements.agreements(server, suffix) if one.host == host]
            )
            for one in gone:
                server.delete(one.dn)
                realm.say(f"Deleted replication agreement from '{master}' to '{one.host}'")


def _remove_entries(realm: Realm, server: Directory, host: str) -> None:
    base = realm.facts.basedn
    server.delete_tree(f"cn={host},cn=masters,cn=ipa,cn=etc,{base}")
    server.delete(f"cn={host},cn=replicas,cn=ipa,cn=etc,{base}")
    for service in SERVICES:
        dn = f"krbprincipalname={service}/{host}@{realm.facts.realm},cn=services,cn=accounts,{base}"
        for group in (managers_dn(realm.facts), f"cn=DNS Servers,cn=privileges,cn=pbac,{base}"):
            with suppress(ldap.NO_SUCH_ATTRIBUTE, ldap.NO_SUCH_OBJECT):
                server.remove_values(group, "member", dn)
        server.delete(dn)
    server.delete(f"fqdn={host},cn=computers,cn=accounts,{base}")


def _remove_records(realm: Realm, server: Directory, local: str, host: str) -> None:
    """Everything in the zones that names the host or its addresses."""
    realm.say("Updating DNS system records")
    base, target = f"cn=dns,{realm.facts.basedn}", f"{host}."
    zone = f"idnsName={absolute(realm.facts.domain)},{base}"
    own = f"idnsName={escape_dn(host.removesuffix(f'.{realm.facts.domain}'))},{zone}"
    addresses = {
        value
        for name, values in (server.get(own) or {}).items()
        if name.lower() in ("arecord", "aaaarecord")
        for value in values
    }
    server.delete(own)
    named = escape_filter(target)
    for dn, entry in server.search(base, f"(|(sRVRecord=* {named})(nSRecord={named})(pTRRecord={named}))"):
        _drop_values(server, dn, entry, lambda value: value.decode().split(" ")[-1] == target)
    shared = f"idnsName={AUTHORITY_NAME},{zone}"
    if addresses and server.exists(shared):
        _drop_values(server, shared, server.get(shared) or {}, lambda value: value in addresses)
    for dn, _ in server.search(base, f"(idnsSOAmName={named})", ["1.1"]):
        server.replace(dn, {"idnsSOAmName": f"{local}."})


def _drop_values(server: Directory, dn: str, entry: dict[str, list[bytes]], unwanted: object) -> None:
    assert callable(unwanted)
    kinds = {attribute.lower() for attribute in RECORD_TYPES.values()}
    records = {name: values for name, values in entry.items() if name.lower() in kinds}
    kept = {name: [value for value in values if not unwanted(value)] for name, values in records.items()}
    is_zone = any(value.lower() == b"idnszone" for value in entry.get("objectClass", []))
    if not any(kept.values()) and not is_zone:
        server.delete(dn)
        return
    for name, values in records.items():
        gone = [value for value in values if value not in kept[name]]
        if gone:
            server.remove_values(dn, name, gone)


def numbers_of(values: Iterable[bytes], host: str) -> list[int]:
    """The replica numbers under which an update vector (nsds50ruv) knows a host."""
    pattern = re.compile(rb"\{replica (\d+) ldaps?://" + re.escape(host.encode()) + rb":\d+\}")
    return [int(found[1]) for value in values for found in [pattern.match(value)] if found]


def _clean(realm: Realm, server: Directory, suffix: Suffix, host: str, *, force: bool) -> None:
    """Have all masters forget the host's place in their update vectors, by 389 DS' own task."""
    known = [value for _, entry in server.search(suffix.dn, TOMBSTONE, ["nsds50ruv"]) for value in entry["nsds50ruv"]]
    for number in numbers_of(known, host):
        realm.say("Background task created to clean replication data. This may take a while.")
        task = f"cn=clean {number} of {escape_dn(suffix.dn)},{TASKS}"
        server.add(
            task,
            {
                "objectClass": ["top", "extensibleObject"],
                "cn": f"clean {number} of {suffix.dn}",
                "replica-base-dn": suffix.dn,
                "replica-id": number,
                "replica-force-cleaning": "yes" if force else "no",
            },
        )

        def cleaned(number: int = number) -> bool:
            found = server.search(suffix.dn, TOMBSTONE, ["nsds50ruv"])
            return number not in numbers_of([value for _, entry in found for value in entry["nsds50ruv"]], host)

        try:
            wait_for(f"replica {number} to be cleaned from {suffix.dn}", cleaned, CLEAN_LIMIT)
        except WaitedTooLong as error:
            realm.say(f"{error}: the task goes on in the background")


def all_suffixes(realm: Realm) -> tuple[Suffix, ...]:
    return domain_suffix(realm.facts), AUTHORITY_SUFFIX
