"""Bringing the other masters to a restored one's data: outward through the topology, then verified."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from ipabackup.directory.agreements import Agreement, Master, PeerFailure
from ipabackup.directory.instances import Instance
from ipabackup.errors import PeersUnreachable
from ipabackup.restore.peers import Peers
from ipabackup.server import Machine
from ipabackup.steps import Reporter


@dataclass(frozen=True)
class State:
    """What a master says of one suffix: its replication generation and its number of entries."""

    generation: str
    entries: int


def reinitialize(
    peers: Peers, instances: Sequence[Instance], suffixes: Sequence[str], machine: Machine, report: Reporter
) -> None:
    """Send the restored data of `suffixes` to every other master that replicates them, then switch all agreements on.

    A master is filled by a neighbour that has been filled before, beginning here.  Raises PeersUnreachable, which names
    the masters that could not be filled or that differ afterwards.
    """
    with ExitStack() as stack:
        walk = _Walk(peers, stack, machine, report)
        for instance in instances:
            walk.join(peers.host, stack.enter_context(machine.masters.here(instance.ldapi_uri)))
        for suffix in suffixes:
            walk.outward(suffix)
        walk.enable()
        walk.verify(suffixes)
    stranded = sorted(set(peers.names) - walk.filled - set(walk.troubles))
    for name in stranded:
        walk.troubles[name] = (
            f"no agreement leads to {name}: it is younger than the backup, or was reached through another one. "
            "Uninstall it and install it again"
        )
    peers.reinitialized = True
    if walk.troubles:
        raise PeersUnreachable(
            "These masters do not have the restored data: " + "; ".join(walk.troubles.values()) + ".",
            state="The restore on this host is done.",
            remedy=f"When they are back: ipa-replica-manage re-initialize --from={peers.host}",
        )


class _Walk:
    def __init__(self, peers: Peers, stack: ExitStack, machine: Machine, report: Reporter) -> None:
        self._peers, self._stack, self._machine, self._report = peers, stack, machine, report
        self._masters: dict[str, list[Master]] = {}
        self.filled: set[str] = set()
        self.troubles: dict[str, str] = {}

    def join(self, name: str, master: Master) -> None:
        """A master that can be asked: one with two instances has two connections."""
        self._masters.setdefault(name, []).append(master)

    def outward(self, suffix: str) -> None:
        """Fill the masters of one suffix, hop by hop."""
        done = {self._peers.host}
        hop = [self._peers.host]
        while hop:
            following = []
            for supplier in hop:
                for master, agreement in self._agreements(supplier, suffix):
                    consumer = agreement.consumer
                    if consumer in done or consumer in self.troubles:
                        continue
                    if self._fill(master, agreement):
                        done.add(consumer)
                        following.append(consumer)
            hop = following
        self.filled |= done - {self._peers.host}

    def _agreements(self, supplier: str, suffix: str) -> list[tuple[Master, Agreement]]:
        found = []
        for master in self._reached(supplier):
            for agreement in master.agreements():
                if agreement.suffix.lower() == suffix.lower():
                    found.append((master, agreement))
        return found

    def _reached(self, name: str) -> list[Master]:
        if name not in self._masters:
            try:
                opened = self._stack.enter_context(self._machine.masters.at(name, self._peers.password))
            except PeerFailure as error:
                self.troubles[name] = error.message
                return []
            self.join(name, opened)
        return self._masters[name]

    def _fill(self, master: Master, agreement: Agreement) -> bool:
        try:
            master.refresh(agreement)
        except PeerFailure as error:
            self.troubles[agreement.consumer] = error.message.rstrip(".")
            return False
        self._report.note(f"{agreement.consumer} has been re-initialised with {agreement.suffix}")
        return True

    def enable(self) -> None:
        """Switch every agreement of every master that can be asked on again."""
        for name in (self._peers.host, *sorted(self.filled)):
            for master in self._reached(name):
                master.enable()

    def verify(self, suffixes: Sequence[str]) -> None:
        """Compare generations and counts with those here, and print them."""
        for suffix in suffixes:
            here = self._state(self._peers.host, suffix)
            for name in sorted(self.filled - set(self.troubles)):
                there = self._state(name, suffix)
                if there is None or here is None:
                    continue
                self._report.note(f"{suffix}: {name} has {there.entries} entries, this master {here.entries}")
                if there != here:
                    self.troubles[name] = f"{name} differs in {suffix}: {there} there, {here} here"

    def _state(self, name: str, suffix: str) -> State | None:
        for master in self._reached(name):
            generation = master.generation(suffix)
            if generation:
                return State(generation, master.count(suffix))
        return None
