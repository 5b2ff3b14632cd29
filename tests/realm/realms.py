"""Realms as data: what healthy masters say, to be spoilt by a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ipabackup.directory.agreements import Agreement, Replica
from ipabackup.directory.vectors import Vector
from ipabackup.realm.state import Content, MasterState, RealmState

DOMAIN = "dc=example,dc=test"
GOOD = "Error (0) Replica acquired successfully: Incremental update succeeded"
NAMES = ("ipa1", "ipa2", "ipa3")


def change(second: int, number: int) -> str:
    """The number of a change that the replica `number` made at a second."""
    return f"{0x6B000000 + second:08x}0000{number:04x}0000"


def agreement(consumer: str, *, enabled: bool = True, updated: str = GOOD) -> Agreement:
    """An agreement with `consumer`."""
    return Agreement(f"cn=meTo{consumer}", DOMAIN, consumer, enabled, updated)


def replica(
    name: str,
    consumers: Sequence[str | Agreement],
    *,
    generation: str = "6a02",
    newest: Mapping[int, str] | None = None,
    sent: str = "",
) -> Replica:
    """The domain on the master `name`, whose number is the digit in it; without more it knows all up to second 9."""
    vector = Vector(generation, {number: change(9, number) for number in (1, 2, 3)} if newest is None else newest)
    agreements = tuple(one if isinstance(one, Agreement) else agreement(one) for one in consumers)
    return Replica(DOMAIN, int(name[-1]), vector, agreements, sent)


def triangle(**spoilt: Replica) -> RealmState:
    """Three masters that are one realm, but for those that are given otherwise."""
    replicas = {name: replica(name, [other for other in NAMES if other != name]) for name in NAMES} | spoilt
    return state(replicas)


def state(
    replicas: Mapping[str, Replica], *, entries: Mapping[str, int] | None = None, unreachable: Sequence[str] = ()
) -> RealmState:
    """What masters say of the domain; each has 7 entries unless told."""
    counts = entries or {}
    masters = {
        name: MasterState(name, {DOMAIN: one}, {DOMAIN: Content(counts.get(name, 7))}) for name, one in replicas.items()
    }
    missed = {name: f"{name} cannot be reached: no route." for name in unreachable}
    return RealmState(masters, missed, frozenset([*masters, *missed]))
