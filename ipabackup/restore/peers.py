"""The other masters of the realm: kept from undoing an authoritative restore, and told about afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ipabackup.directory.agreements import Agreement, Door, agreements_in, doors, switched_in, without_orders
from ipabackup.directory.instances import Instance, normalised, read_config, write_config
from ipabackup.directory.masters import Master, PeerFailure
from ipabackup.errors import PeersUnreachable
from ipabackup.realm.verdict import tool
from ipabackup.record import ServerRecord
from ipabackup.server import Machine
from ipabackup.steps import Reporter, Step

PEERS_TITLE = "Re-initialising the other masters"


@dataclass
class Peers:
    """The other masters, and what became of them.

    `names` are those of the running directory, or, when that is down or gone, those that the backup knows.
    `unreachable` leads from a name to the reason, `ways` from a suffix (normalised) to whom each master sends it.
    `younger` are those of `names` that are no masters any more with the restored data: it has neither their keys nor
    their place in the realm.  Behind `doors` are further instances of masters, as far as agreements told of them;
    `seen` are those whose agreements were switched off, or that could not be reached for that.
    """

    host: str
    names: tuple[str, ...]
    password: str | None
    machine: Machine
    younger: tuple[str, ...] = ()
    unreachable: dict[str, str] = field(default_factory=dict)
    ways: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    doors: set[Door] = field(default_factory=set)
    seen: set[Door] = field(default_factory=set)
    reinitialized: bool = False

    def step(self) -> Step:
        """The step that switches off every agreement on every other master."""
        return Step("disable-agreements", "Switching replication agreements off on other masters", self._disable)

    def _disable(self, report: Reporter) -> None:
        for name in self.names:
            self._silence(name, None, report)
        self.disable_further(report)

    def disable_further(self, report: Reporter) -> None:
        """Switch off the agreements of the further instances of other masters that have been heard of since."""
        while waiting := sorted(door for name in self.names for door in self.doors_of(name) if door not in self.seen):
            for door in waiting:
                self.seen.add(door)
                self._silence(door.host, door, report)

    def _silence(self, name: str, door: Door | None, report: Reporter) -> None:
        told = name if door is None else f"{name}, port {door.port}"
        try:
            with self._logged_in(name, door) as master:
                self.learn(name, master.agreements())
                switched = master.disable()
        except PeerFailure as error:
            self.unreachable[name] = error.message
            report.note(f"Not reached: {error.message}")
            return
        report.note(f"{told}: {len(switched)} agreements switched off")

    def _logged_in(self, name: str, door: Door | None, authority: Path | None = None) -> AbstractContextManager[Master]:
        masters = self.machine.masters
        if door is None:
            return masters.at(name, self.password, authority)
        return masters.through(door, self.password, authority)

    @contextmanager
    def opened(self, name: str, authority: Path | None = None) -> Iterator[list[Master]]:
        """The instances of another master, the one with the domain first (see Masters for `authority`).

        Raises PeerFailure when one of them is out of reach.
        """
        with ExitStack() as stack:
            ways = (None, *self.doors_of(name))
            yield [stack.enter_context(self._logged_in(name, door, authority)) for door in ways]

    def doors_of(self, name: str) -> list[Door]:
        """Where the further instances of a master are reached."""
        return sorted(door for door in self.doors if door.host == name.lower())

    def disable_own(self, instances: Iterable[Instance], report: Reporter) -> dict[str, set[str]]:
        """Switch off the agreements of this server's instances: those that run by LDAP, others in their configuration.

        Returns what was on: the name of an instance → normalised DNs.
        """
        switched: dict[str, set[str]] = {}
        for instance in instances:
            if self.machine.services.is_active(instance.unit):
                with self.machine.masters.here(instance.ldapi_uri) as master:
                    self.learn(self.host, master.agreements())
                    names = {normalised(agreement.dn) for agreement in master.disable()}
            else:
                self.withdraw_orders([instance])
                content = read_config(instance.config_dir)
                self.learn(self.host, agreements_in(content))
                changed, off = switched_in(content, "off")
                names = set(off)
                if names:
                    write_config(instance.config_dir, changed)
            switched[instance.name] = names
            report.note(f"slapd-{instance.name}: {len(names)} agreements switched off")
        return switched

    def withdraw_orders(self, instances: Iterable[Instance]) -> None:
        """Take orders to fill other masters out of the configuration of instances that do not run.

        One that was not carried out would be begun with the restored data, and again and again.
        """
        for instance in instances:
            content = read_config(instance.config_dir)
            changed = without_orders(content)
            if changed != content:
                write_config(instance.config_dir, changed)

    def learn(self, supplier: str, agreements: Iterable[Agreement]) -> None:
        """Note whom a master supplies, and where: each has to be re-initialised by a neighbour."""
        for agreement in agreements:
            self.doors |= doors([agreement])
            ways = self.ways.setdefault(normalised(agreement.suffix), {})
            ways.setdefault(supplier.lower(), set()).add(agreement.consumer.lower())

    def commands(self) -> list[tuple[str, str]]:
        """What to type on which master to fill all others, outward from this one: a neighbour after its supplier.

        One that no known agreement leads to is to be filled from here.
        """
        found: list[tuple[int, str, str, str]] = []
        for suffix, ways in self.ways.items():
            hop, done, distance = {self.host.lower()}, {self.host.lower()}, 0
            while hop:
                distance += 1
                suppliers = {
                    consumer: name
                    for name in sorted(hop, reverse=True)
                    for consumer in ways.get(name, set()) - done - set(self.younger)
                }
                found += [(distance, name, suffix, supplier) for name, supplier in suppliers.items()]
                hop = set(suppliers)
                done |= hop
        led_to = {name for _, name, _, _ in found}
        lines = [
            (name, f"{tool(suffix)} re-initialize --from={supplier}")
            # "dc=" comes before "o=ipaca": the domain first, which brings the masters' own accounts.
            for _, name, suffix, supplier in sorted(found)
        ]
        lost = [name for name in self.names if name.lower() not in led_to and name not in self.younger]
        return lines + [(name, f"ipa-replica-manage re-initialize --from={self.host}") for name in lost]

    def conclude(self, report: Reporter) -> None:
        """Say what the other masters need now; raises PeersUnreachable when some could not be reached."""
        if not self.names or self.reinitialized:
            return
        report.show(
            "The other masters keep their data until they are re-initialised. On each of them run, in this order:"
        )
        for name, command in self.commands():
            report.show(f"  {name}: {command}")
        others = [name for name in self.names if name not in self.younger]
        if others:
            named = "".join(f" --peer {name}" for name in others) if self.younger else ""
            report.show(f"Or on {self.host}, for all of them: ipa-restore --reinitialize-peers{named}")
        for name in self.younger:
            report.warn(stranded(name))
        if self.unreachable:
            raise PeersUnreachable(
                "These masters could not be reached, and their replication agreements are as they were: "
                + "; ".join(self.unreachable.values()),
                state="The restore on this host is done. Its data has a new replication generation, so they cannot "
                "change it.",
                remedy="Re-initialise them from this host as soon as they are back: "
                f"ipa-replica-manage re-initialize --from={self.host}",
            )


def stranded(name: str) -> str:
    """What became of a master that the backup does not know, and what to do about it."""
    return (
        f"{name} is younger than the backup, which does not know it. Uninstall it, run "
        f"'ipa-replica-manage del --force {name}' here, and install it again"
    )


def younger_than(record: ServerRecord, names: Iterable[str], suffixes: Iterable[str]) -> tuple[str, ...]:
    """Those of the masters `names` that a restore of `suffixes` makes strangers: the backup of `record` does not know
    them.  Empty when the masters' own entries are not restored, or when nobody wrote down who they were.
    """
    known = {name.lower() for name in record.masters}
    if not known or record.basedn.lower() not in {suffix.lower() for suffix in suffixes}:
        return ()
    return tuple(name for name in names if name.lower() not in known)
