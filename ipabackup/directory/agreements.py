"""Replication as a server's configuration has it: replicas and their agreements, running or in a file.

Attributes and their meaning are 389 DS's (configuration reference, "cn=replica" and "cn=ReplicationAgreementName").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import ldap

from ipabackup.directory.instances import LDBM, normalised, parse_config
from ipabackup.directory.vectors import Vector, parse_vector

MAPPING_TREE = "cn=mapping tree,cn=config"
ENABLED = "nsds5ReplicaEnabled"
#: What an agreement says, as a number, when another master's session with its consumer goes on.
BUSY = 1
#: An order to fill the consumer: ``start``, and gone when that has ended.
REFRESH = "nsds5BeginReplicaRefresh"
INIT_STATUS = "nsds5replicaLastInitStatus"
UPDATE_STATUS = "nsds5replicaLastUpdateStatus"
_REPLICA = "nsds5replica"
_AGREEMENT = "nsds5replicationagreement"
_ASKED = (
    *("objectClass", "cn", "nsds5replicaroot", "nsds5replicaid", "nsds50ruv", "nsds5agmtmaxcsn"),
    *("nsds5ReplicaChangeCount", "nsds5replicahost", "nsds5replicaport", "nsds5replicatransportinfo"),
    *(ENABLED, UPDATE_STATUS, INIT_STATUS),
    *("nsds5replicaLastInitEnd", "nsds5replicaUpdateInProgress"),
)
#: The ports of the instance that holds the domain, on every master.
_USUAL_PORTS = (389, 636)
_STATUS = re.compile(r"\s*(?:Error \()?(-?\d+)")


class Door(NamedTuple):
    """Where another instance of a master takes connections, beside the one with the domain; with TLS from the start
    (`ldaps`) or when asked for it.
    """

    host: str
    port: int
    ldaps: bool = False


@dataclass(frozen=True)
class Agreement:
    """One direction of replication, as the sending master has it.

    `door` is that of the consumer's instance where it is not the one with the domain: an authority's of its own.
    `updated` and `initialised` are what it says of its last session and of its last total update; `init_ended` is when
    that ended (Generalized Time, "" for never).
    """

    dn: str
    suffix: str
    consumer: str
    enabled: bool
    updated: str = ""
    initialised: str = ""
    init_ended: str = ""
    door: Door | None = None

    @property
    def failing(self) -> bool:
        """Whether the last session did not come to a good end; "busy" is no failure, the next one takes its turn."""
        return status_code(self.updated) not in (0, BUSY)


@dataclass(frozen=True)
class Replica:
    """What a master says of one suffix that it replicates.

    `number` is its own in the vector.  `sent` is the newest change of its own that its agreements have to bring to
    others ("" when it does not tell): a change of nothing but attributes that agreements leave out moves the vector
    here, and never arrives.  `changes` counts the records of the changelog.
    """

    suffix: str
    number: int
    vector: Vector
    agreements: tuple[Agreement, ...] = ()
    sent: str = ""
    changes: int = 0

    def due(self) -> str:
        """The newest change of its own that all other masters should have.

        One from before the generation is none of it: a re-initialised master keeps such numbers of its own.
        """
        own = self.vector.newest.get(self.number, "")
        due = self.sent if self.sent and self.sent < own else own
        return due if due[:8] >= self.vector.generation[:8] else ""


@dataclass(frozen=True)
class Retention:
    """How long a master keeps changes in a changelog, and how many; 0: without limit."""

    seconds: int = 0
    entries: int = 0


_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def duration(text: str) -> int:
    """The seconds that 389 DS means by ``7d``, ``36h`` or ``3600``; 0 for what is no duration."""
    found = re.fullmatch(r"\s*(\d+)\s*([smhdw]?)\s*", text, re.IGNORECASE)
    return int(found[1]) * _UNITS[found[2].lower()] if found else 0


def find_retention(connection: Any) -> dict[str, Retention]:
    """How long the server behind `connection` keeps changes: normalised suffix → limits.

    Each backend has settings of its own; before 389 DS 1.4.4 there was one changelog for all.
    """
    names = ["nsslapd-suffix", "nsslapd-changelogmaxage", "nsslapd-changelogmaxentries"]
    common = [values for _, values in _read(connection, "(cn=changelog5)", names, "cn=config")]
    below = _read(connection, "(|(objectClass=nsBackendInstance)(cn=changelog))", names, LDBM)
    limits = {normalised(dn): _retention(values) for dn, values in below}
    found = {}
    for dn, values in below:
        if suffix := _first(values, "nsslapd-suffix"):
            own = limits.get(normalised(f"cn=changelog,{dn}"), Retention())
            found[normalised(suffix)] = own if own != Retention() or not common else _retention(common[0])
    return found


def _retention(values: Mapping[str, Sequence[str]]) -> Retention:
    most = _first(values, "nsslapd-changelogmaxentries")
    age = duration(_first(values, "nsslapd-changelogmaxage"))
    return Retention(age, int(most) if most.isdigit() else 0)


def status_code(status: str) -> int:
    """The number in what an agreement says (``Error (0) …``, once ``0 …``); 0 when it says nothing yet."""
    found = _STATUS.match(status)
    return int(found[1]) if found else 0


def succeeded(status: str) -> bool:
    """Whether an agreement says that something came to a good end; not when it says nothing."""
    return bool(_STATUS.match(status)) and status_code(status) == 0


def same_suffix(one: str, other: str) -> bool:
    """Whether two spellings mean the same suffix."""
    return normalised(one) == normalised(other)


def find(connection: Any) -> list[Agreement]:
    """Every agreement of the server behind `connection`."""
    return [_agreement(dn, values) for dn, values in _read(connection, f"(objectClass={_AGREEMENT})")]


def find_replicas(connection: Any) -> list[Replica]:
    """Every suffix that the server behind `connection` replicates, with its agreements.

    The vectors are those in the server's memory: what is in the database may be older.
    """
    replicas: dict[str, Mapping[str, Sequence[str]]] = {}
    agreements: list[Agreement] = []
    for dn, values in _read(connection, f"(|(objectClass={_REPLICA})(objectClass={_AGREEMENT}))"):
        if _AGREEMENT in [name.lower() for name in values.get("objectclass", ())]:
            agreements.append(_agreement(dn, values))
        else:
            replicas[dn] = values
    return [_replica(values, agreements) for _, values in sorted(replicas.items())]


def _replica(values: Mapping[str, Sequence[str]], agreements: Iterable[Agreement]) -> Replica:
    suffix = _first(values, "nsds5replicaroot")
    mine = tuple(one for one in agreements if same_suffix(one.suffix, suffix))
    number = _first(values, "nsds5replicaid")
    changes = _first(values, "nsds5replicachangecount")
    # SUFFIX;AGREEMENT;HOST;PORT;CONSUMER'S NUMBER;CSN
    sent = [text.rpartition(";")[2].lower() for text in values.get("nsds5agmtmaxcsn", ())]
    return Replica(
        suffix,
        int(number) if number.isdigit() else 0,
        parse_vector(values.get("nsds50ruv", ())),
        mine,
        max((one for one in sent if re.fullmatch("[0-9a-f]{20}", one)), default=""),
        int(changes) if changes.isdigit() else 0,
    )


def _agreement(dn: str, values: Mapping[str, Sequence[str]]) -> Agreement:
    return Agreement(
        dn,
        _first(values, "nsds5replicaroot"),
        _first(values, "nsds5replicahost").lower(),
        _first(values, ENABLED).lower() != "off",
        _first(values, UPDATE_STATUS),
        _first(values, INIT_STATUS),
        _first(values, "nsds5replicalastinitend"),
        _door(values),
    )


def _door(values: Mapping[str, Sequence[str]]) -> Door | None:
    port = _first(values, "nsds5replicaport")
    if not port.isdigit() or int(port) in _USUAL_PORTS:
        return None
    ldaps = _first(values, "nsds5replicatransportinfo").upper() in ("SSL", "LDAPS")
    return Door(_first(values, "nsds5replicahost").lower(), int(port), ldaps)


def doors(agreements: Iterable[Agreement]) -> set[Door]:
    """The further instances that agreements lead to."""
    return {agreement.door for agreement in agreements if agreement.door is not None}


def _first(values: Mapping[str, Sequence[str]], name: str) -> str:
    return next(iter(values.get(name.lower(), ())), "")


def _read(
    connection: Any, filters: str, names: Sequence[str] = _ASKED, base: str = MAPPING_TREE
) -> list[tuple[str, dict[str, list[str]]]]:
    entries = connection.search_s(base, ldap.SCOPE_SUBTREE, filters, list(names))
    return [
        (dn, {name.lower(): [text.decode("utf-8", "replace") for text in texts] for name, texts in attributes.items()})
        for dn, attributes in entries
        if dn
    ]


def agreements_in(dse: bytes) -> list[Agreement]:
    """Every agreement in the configuration `dse`, with normalised DNs."""
    if _AGREEMENT.encode() not in dse.replace(b"\n ", b"").lower():
        # As on most servers: to read all of it takes a while.
        return []
    return [
        _agreement(dn, values)
        for dn, values in parse_config(dse, "dse.ldif").items()
        if _AGREEMENT in [name.lower() for name in values.get("objectclass", ())]
    ]


def switched_in(dse: bytes, state: str, which: Collection[str] | None = None) -> tuple[bytes, tuple[str, ...]]:
    """The configuration `dse` with agreements switched ``on`` or ``off``, and the normalised DNs of those that were not
    so: of all, or of those that are named (normalised) in `which`.
    """
    changed = {
        agreement.dn
        for agreement in agreements_in(dse)
        if agreement.enabled != (state == "on") and (which is None or agreement.dn in which)
    }
    switched = _rewritten(dse, changed, lambda lines: [*_without(lines, ENABLED), f"{ENABLED}: {state}".encode()])
    return switched, tuple(sorted(changed))


def without_orders(dse: bytes) -> bytes:
    """The configuration `dse` without orders to fill a consumer.

    A server that was started with one takes it up each time that the agreement is switched on.
    """
    if REFRESH.lower().encode() not in dse.replace(b"\n ", b"").lower():
        # As nearly always: to read all of it takes a while.
        return dse
    ordered = {dn for dn, values in parse_config(dse, "dse.ldif").items() if REFRESH.lower() in values}
    return _rewritten(dse, ordered, lambda lines: _without(lines, REFRESH))


def _rewritten(dse: bytes, which: Collection[str], edit: Callable[[list[bytes]], list[bytes]]) -> bytes:
    """The configuration `dse` with the lines of these entries (normalised DNs) edited."""
    if not which:
        return dse
    records = []
    for record in re.split(rb"\n\n+", dse.rstrip(b"\n")):
        lines = record.replace(b"\n ", b"").split(b"\n")
        records.append(b"\n".join(edit(lines)) if _name_of(lines) in which else record)
    return b"\n\n".join(records) + b"\n\n"


def _without(lines: Iterable[bytes], name: str) -> list[bytes]:
    """The lines of a record that are not of this attribute."""
    return [line for line in lines if not line.lower().startswith(f"{name}:".lower().encode())]


def _name_of(lines: Iterable[bytes]) -> str:
    """The normalised DN of a record; "" for one without."""
    dn = next((line for line in lines if line.lower().startswith(b"dn: ")), b"")
    return normalised(dn[4:].decode("utf-8", "surrogateescape")) if dn else ""
