"""Bringing the other masters to a restored one's data: outward through the topology, then verified."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from ipabackup.directory.agreements import BUSY, Agreement, same_suffix, status_code
from ipabackup.directory.instances import Instance
from ipabackup.directory.masters import Flow, Master, PeerFailure
from ipabackup.errors import PeersUnreachable
from ipabackup.realm.check import check_realm
from ipabackup.realm.state import Viewpoint
from ipabackup.realm.table import table
from ipabackup.realm.verdict import tool
from ipabackup.restore.peers import Peers, stranded
from ipabackup.server import Machine
from ipabackup.steps import Reporter

#: Seconds that a total update of one suffix may take.
REFRESH_LIMIT = 6 * 3600.0
#: Seconds that re-initialised masters have to agree with each other: agreements that were off take up their work again.
SETTLE_LIMIT = 60.0
#: Seconds that they have before that, until each is made to change something once more.
FIRST_LOOK = 10.0
#: Seconds that the session of another master with one that is to be filled may take.
BUSY_LIMIT = 120.0
_BETWEEN_LOOKS = 0.2
#: Troubles of a realm that mean that a master does not have the restored data.
_NOT_THE_SAME = ("generation", "behind", "entries")


def reinitialize(
    peers: Peers,
    basedn: str,
    instances: Sequence[Instance],
    suffixes: Sequence[str],
    machine: Machine,
    report: Reporter,
) -> None:
    """Send the restored data of `suffixes` to every other master that replicates them, then switch all agreements on.

    A master is filled by a neighbour that has been filled before, beginning here; all that can be filled at a time are
    filled at once.  Raises PeersUnreachable, which names masters that could not be filled or that differ afterwards.
    """
    view = Viewpoint(peers.host, basedn, tuple(instances), machine, peers.password)
    with ExitStack() as stack:
        walk = _Walk(peers, stack, machine, report)
        for instance in instances:
            walk.join(peers.host, stack.enter_context(machine.masters.here(instance.ldapi_uri)))
        walk.outward(suffixes)
        walk.enable()
    left = sorted(set(peers.names) - walk.filled - set(walk.troubles))
    for name in left:
        walk.troubles[name] = stranded(name) if name in peers.younger else _not_led_to(name, peers)
    _verify(view, walk, suffixes, report)
    peers.reinitialized = True
    if walk.troubles:
        raise PeersUnreachable(
            "These masters do not have the restored data: " + "; ".join(walk.troubles.values()) + ".",
            state="The restore on this host is done.",
            remedy=_by_hand(peers.host, suffixes) if set(walk.troubles) - set(left) else "",
        )


def _not_led_to(name: str, peers: Peers) -> str:
    """Why nobody filled a master that was not in trouble itself, and what to do about it."""
    ways, me = peers.ways.values(), name.lower()
    # One that is out of reach does not tell whom it supplies, but masters supply each other.
    known = {supplier for way in ways for supplier, consumers in way.items() if me in consumers}
    suppliers = sorted(known or {consumer for way in ways for consumer in way.get(me, ())})
    if not suppliers:
        return f"no agreement leads to {name}: it was reached through another one. Uninstall it and install it again"
    return (
        f"{name} has to wait for {' or '.join(suppliers)}, which supplies it; when that is filled, run on {name}: "
        f"ipa-replica-manage re-initialize --from={suppliers[0]} (ipa-csreplica-manage likewise)"
    )


def _by_hand(host: str, suffixes: Sequence[str]) -> str:
    """What to type on masters that were not filled."""
    tools = dict.fromkeys(tool(suffix) for suffix in sorted(suffixes))
    commands = " and ".join(f"{name} re-initialize --from={host}" for name in tools)
    return f"When they are back, run on each of them: {commands}"


def _verify(view: Viewpoint, walk: _Walk, suffixes: Sequence[str], report: Reporter) -> None:
    """Compare generations, update vectors and counts of the masters that were filled, and show them."""
    good = walk.filled - set(walk.troubles)
    verdict = check_realm(view, wait=FIRST_LOOK, only={view.host, *good})
    if any(trouble.passing for trouble in verdict.troubles):
        # A server may have a master's first change and not note it in its vector: the next one brings that along.
        walk.stir(suffixes)
        verdict = check_realm(view, wait=SETTLE_LIMIT, only={view.host, *good})
    for line in table(verdict.state):
        report.show(line)
    for trouble in verdict.troubles:
        told = trouble.message.rstrip(".")
        if trouble.kind in _NOT_THE_SAME:
            for host in sorted(set(trouble.hosts) - {view.host}) or [view.host]:
                walk.troubles[host] = told
        elif trouble.kind == "unreachable":
            walk.troubles[trouble.hosts[0]] = told
        else:
            report.warn(f"{told}. {trouble.remedy}")


@dataclass(frozen=True)
class _Refresh:
    """A total update that is going on: who sends, by which agreement, and the flow control to put back."""

    supplier: Master
    agreement: Agreement
    suffix: str
    flow: Flow


class _Walk:
    def __init__(self, peers: Peers, stack: ExitStack, machine: Machine, report: Reporter) -> None:
        self._peers, self._stack, self._machine, self._report = peers, stack, machine, report
        self._masters: dict[str, list[Master]] = {}
        self._patience: dict[str, float] = {}
        self.filled: set[str] = set()
        self.troubles: dict[str, str] = {}

    def join(self, name: str, master: Master) -> None:
        """A master that can be asked: one with two instances has two connections."""
        self._masters.setdefault(name, []).append(master)

    def outward(self, suffixes: Sequence[str]) -> None:
        """Fill the masters, hop by hop: of one hop all at once, one suffix after the other."""
        for suffix in suffixes:
            self._change(self._peers.host, suffix)
        done = {suffix: {self._peers.host} for suffix in suffixes}
        hop = {suffix: [self._peers.host] for suffix in suffixes}
        while any(hop.values()):
            filled = []
            # Who may supply a master's suffixes is written in its domain's entries, and remembered for a minute: while
            # these are on their way, a supplier of another suffix would be turned away.
            for suffix in suffixes:
                underway: list[_Refresh] = []
                try:
                    self._begin(suffix, hop[suffix], done[suffix], underway)
                    filled += self._ended(underway)
                finally:
                    self._put_back(underway)
            for suffix, consumer in filled:
                self._change(consumer, suffix)
            hop = {suffix: [] for suffix in suffixes}
            for suffix, consumer in filled:
                done[suffix].add(consumer)
                hop[suffix].append(consumer)
        self.filled = set().union(*done.values()) - {self._peers.host}

    def _begin(self, suffix: str, suppliers: Iterable[str], done: set[str], underway: list[_Refresh]) -> None:
        """Begin to fill every neighbour of `suppliers` that is not yet `done`, each from one of them."""
        begun: set[str] = set()
        for name in suppliers:
            for master, agreement in self._agreements(name, suffix):
                consumer = agreement.consumer
                # One that the restored data does not know could not even log in any more with it.
                if {consumer} & (done | begun | {*self.troubles, *self._peers.younger}) or not self._ready(consumer):
                    continue
                try:
                    flow = master.begin_refresh(agreement)
                except PeerFailure as error:
                    self._trouble(consumer, error.message)
                    continue
                begun.add(consumer)
                underway.append(_Refresh(master, agreement, suffix, flow))

    def _ready(self, consumer: str) -> bool:
        """Whether a master can be reached; its agreements are off then.  A supplier would try for minutes."""
        try:
            masters = self._reached(consumer)
            if consumer in self._peers.unreachable:
                for master in masters:
                    master.disable()
        except PeerFailure as error:
            self._trouble(consumer, error.message)
            return False
        return bool(masters)

    def _trouble(self, name: str, message: str) -> None:
        """Note what is wrong with a master: the first that was found, of which the rest follows."""
        self.troubles.setdefault(name, message.rstrip("."))

    def _ended(self, underway: Sequence[_Refresh]) -> list[tuple[str, str]]:
        """Wait for the end of all; returns suffix and consumer of those that came to a good one."""
        limit = time.monotonic() + REFRESH_LIMIT
        filled = []
        waiting = list(underway)
        while waiting:
            for refresh in list(waiting):
                consumer = refresh.agreement.consumer
                try:
                    status = refresh.supplier.refreshed(refresh.agreement)
                except PeerFailure as error:
                    waiting.remove(refresh)
                    self._trouble(consumer, error.message)
                    continue
                if status is None:
                    if time.monotonic() > limit:
                        waiting.remove(refresh)
                        self._trouble(
                            consumer, f"the re-initialisation of {consumer} did not end within {REFRESH_LIMIT:g} s"
                        )
                    continue
                if status_code(status) == BUSY and self._asked_again(refresh):
                    continue
                waiting.remove(refresh)
                if status and status_code(status) == 0:
                    filled.append((refresh.suffix, consumer))
                    self._report.note(f"{consumer} has been re-initialised with {refresh.suffix}")
                else:
                    self._trouble(
                        consumer,
                        f"{consumer} could not be re-initialised with {refresh.suffix}: {status or 'nobody says why'}",
                    )
            if waiting:
                # The server tells the end only when asked.
                time.sleep(_BETWEEN_LOOKS)
        return filled

    def _change(self, name: str, suffix: str) -> None:
        """Have a master change something of its own: the first time while none of its agreements is on."""
        try:
            for master in self._reached(name):
                master.write_own_change(suffix)
        except PeerFailure as error:
            # Its next change will do; what it does not tell when it is to supply others is a trouble then.
            self._report.note(error.message)

    def _asked_again(self, refresh: _Refresh) -> bool:
        """Ask once more for a total update that found another master's session going on; False when that never ends."""
        consumer = refresh.agreement.consumer
        if time.monotonic() > self._patience.setdefault(consumer, time.monotonic() + BUSY_LIMIT):
            return False
        time.sleep(_BETWEEN_LOOKS)
        try:
            refresh.supplier.begin_refresh(refresh.agreement)
        except PeerFailure:
            return False
        return True

    def _put_back(self, underway: Sequence[_Refresh]) -> None:
        for refresh in underway:
            try:
                refresh.supplier.set_flow(refresh.agreement, refresh.flow)
            except PeerFailure as error:
                self._report.warn(error.message)

    def _agreements(self, supplier: str, suffix: str) -> list[tuple[Master, Agreement]]:
        try:
            return [
                (master, agreement)
                for master in self._reached(supplier)
                for agreement in master.agreements()
                if same_suffix(agreement.suffix, suffix)
            ]
        except PeerFailure as error:
            self._trouble(supplier, error.message)
            return []

    def _reached(self, name: str) -> list[Master]:
        if name not in self._masters:
            try:
                opened = self._stack.enter_context(self._machine.masters.at(name, self._peers.password))
            except PeerFailure as error:
                self._trouble(name, error.message)
                return []
            self.join(name, opened)
        return self._masters[name]

    def stir(self, suffixes: Sequence[str]) -> None:
        """Have every master that has the restored data change something of its own once more."""
        for name in (self._peers.host, *sorted(self.filled)):
            for suffix in suffixes:
                self._change(name, suffix)

    def enable(self) -> None:
        """Switch every agreement of every master that can be asked on again."""
        for name in (self._peers.host, *sorted(self.filled)):
            try:
                for master in self._reached(name):
                    master.enable()
            except PeerFailure as error:
                self._trouble(name, error.message)
