"""What the parts of a new replica share: the replica's facts, the master it comes from, and how to reach that."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import ldap

from lab.node.facts import RealmFacts
from lab.node.install.checks import Refused
from lab.node.install.replication import NUMBERS
from lab.node.ldapi import Directory
from lab.node.replica.info import ReplicaInfo
from lab.node.replica.suffixes import (
    AUTHORITY_SUFFIX,
    Suffix,
    domain_suffix,
    next_number,
    read_update_vector,
    replicates,
)

COUNTER = "nsDS5ReplicaId"
SMALLEST_SHARE = 1000
ATTEMPTS = 10


@dataclass(frozen=True)
class Joining:
    """A replica in the making. `master` opens the directory of the master it is made from, with the right to change
    it; `with_authority` when it gets a CA of its own.
    """

    info: ReplicaInfo
    facts: RealmFacts
    master: Callable[[], AbstractContextManager[Directory]]
    with_authority: bool

    @property
    def suffixes(self) -> tuple[Suffix, ...]:
        domain = domain_suffix(self.facts)
        return (domain, AUTHORITY_SUFFIX) if self.with_authority else (domain,)

    @property
    def master_facts(self) -> RealmFacts:
        return replace(self.facts, hostname=self.info.master, ip=None, ca_host="")


def reserve_numbers(master: Directory, facts: RealmFacts, count: int) -> list[int]:
    """Replica numbers that no master of the realm has or ever had. Raises Refused when they cannot be had."""
    counter = f"cn=replication,cn=etc,{facts.basedn}"
    for _ in range(ATTEMPTS):
        entry = master.get(counter, [COUNTER]) or {}
        present = next(iter(entry.values()), [b""])[0]
        if not present:
            raise Refused(f"{counter} does not say which replica number comes next")
        used = _used(master, facts)
        numbers = []
        following = int(present)
        for _ in range(count):
            numbers.append(next_number(following, used))
            following = numbers[-1] + 1
        try:
            master.ldap.modify_s(
                counter,
                [(ldap.MOD_DELETE, COUNTER, [present]), (ldap.MOD_ADD, COUNTER, [str(following).encode()])],
            )
        except ldap.NO_SUCH_ATTRIBUTE:
            # Another replica was faster.
            continue
        return numbers
    raise Refused(f"{counter} changes all the time: try again when no other replica is being made")


def _used(master: Directory, facts: RealmFacts) -> set[int]:
    used: set[int] = set()
    for suffix in (domain_suffix(facts), AUTHORITY_SUFFIX):
        if replicates(master, suffix):
            used |= set(read_update_vector(master, suffix))
    return used


def take_share_of_ids(master: Directory) -> tuple[int, int]:
    """Half of the numbers for accounts that the master has left: the first and the last one, its own no more.

    Two masters that gave out the same uid would make two people one. Raises Refused when too few are left.
    """
    for _ in range(ATTEMPTS):
        entry = {name.lower(): values[0] for name, values in (master.get(NUMBERS) or {}).items()}
        if "dnanextvalue" not in entry:
            raise Refused("the master gives out no numbers for accounts")
        next_, last = int(entry["dnanextvalue"]), int(entry["dnamaxvalue"])
        if last - next_ < SMALLEST_SHARE:
            raise Refused(f"the master has only {last - next_} numbers for accounts left: too few to share")
        middle = (next_ + last) // 2
        try:
            master.ldap.modify_s(
                NUMBERS,
                [
                    (ldap.MOD_DELETE, "dnaMaxValue", [entry["dnamaxvalue"]]),
                    (ldap.MOD_ADD, "dnaMaxValue", [str(middle).encode()]),
                ],
            )
        except ldap.NO_SUCH_ATTRIBUTE:
            continue
        return middle + 1, last
    raise Refused("the master's range of numbers changes all the time")
