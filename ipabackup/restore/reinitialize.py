"""Bringing the other masters to a restored one's data: outward through the topology, then verified."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack

from ipabackup.directory.agreements import Agreement, same_suffix
from ipabackup.directory.instances import Instance
from ipabackup.directory.masters import Master, PeerFailure
from ipabackup.errors import PeersUnreachable
from ipabackup.realm.check import check_realm
from ipabackup.realm.state import Viewpoint
from ipabackup.realm.table import table
from ipabackup.restore.peers import Peers, stranded
from ipabackup.restore.total_update import BETWEEN_LOOKS, LIMIT, TotalUpdate
from ipabackup.server import Machine
from ipabackup.steps import Reporter

#: Seconds that re-initialised masters have to agree with each other: agreements that were off take up their work again.
SETTLE_LIMIT = 60.0
#: The same when agreements with a master that was cut off hold up the others: see `_Walk.enable`.
HELD_UP_LIMIT = 300.0
#: Seconds that they have before that: to hear from each other, and to note what each is made to change then.
FIRST_LOOK = 10.0
#: Seconds that a master may be silent while it is filled.
GONE_LIMIT = 30.0
_BETWEEN_CALLS = 5.0
#: Troubles of a realm that mean that a master does not have the restored data.
_NOT_THE_SAME = ("generation", "unsaved", "behind", "entries")


def reinitialize(
    peers: Peers,
    basedn: str,
    instances: Sequence[Instance],
    suffixes: Sequence[str],
    machine: Machine,
    report: Reporter,
    *,
    others: Collection[str] = (),
    state: str = "The restore on this host is done.",
) -> None:
    """Send this host's data of `suffixes` to all `peers` that replicate them, then switch agreements on.

    A master is filled by a neighbour that has been filled before, beginning here and with those of the `others` that
    have this host's generation; all that can be filled at a time are filled at once.  Raises PeersUnreachable, which
    names masters that could not be filled or that differ afterwards; `state` is what it says of this host.
    """
    view = Viewpoint(peers.host, basedn, tuple(instances), machine, peers.password)
    led_to = {name for name in peers.names if name not in peers.younger and _suppliers(name, peers)}
    with ExitStack() as stack:
        walk = _Walk(peers, basedn, stack, machine, report)
        for instance in instances:
            walk.join(peers.host, stack.enter_context(machine.masters.here(instance.ldapi_uri)))
        try:
            walk.outward(suffixes, others)
        finally:
            walk.dismiss()
        walk.take_up()
        walk.enable()
        for name in sorted(set(peers.names) - walk.filled - set(walk.troubles)):
            walk.troubles[name] = stranded(name) if name in peers.younger else _not_led_to(name, peers)
        try:
            _verify(view, walk, suffixes, report)
        finally:
            walk.enable_rest()
    for name in sorted(walk.emptied & walk.filled):
        report.warn(
            f"{name} had none of the domain's data, without which its other services do not start. Run on it: ipactl "
            "restart. Then see here: ipa-restore --check-realm"
        )
    peers.reinitialized = True
    if walk.troubles:
        raise PeersUnreachable(
            "These masters do not have this host's data: " + "; ".join(walk.troubles.values()) + ".",
            state=state,
            remedy=_again(peers, [name for name in walk.troubles if name in led_to]),
        )


def _suppliers(name: str, peers: Peers) -> list[str]:
    """Who may fill a master.  One out of reach does not tell whom it supplies, but masters supply each other."""
    ways, me = peers.ways.values(), name.lower()
    known = {supplier for way in ways for supplier, consumers in way.items() if me in consumers}
    return sorted(known or {consumer for way in ways for consumer in way.get(me, ())})


def _not_led_to(name: str, peers: Peers) -> str:
    """Why nobody filled a master that was not in trouble itself."""
    suppliers = _suppliers(name, peers)
    if not suppliers:
        return f"no agreement leads to {name}: it was reached through another one. Uninstall it and install it again"
    return f"{name} has to wait for {' or '.join(suppliers)}, which supplies it"


def _again(peers: Peers, names: Iterable[str]) -> str:
    """What to do about masters that were not filled."""
    named = " ".join(f"--peer {name}" for name in sorted(names))
    return f"When they are back, run on {peers.host}: ipa-restore --reinitialize-peers {named}" if named else ""


def _verify(view: Viewpoint, walk: _Walk, suffixes: Sequence[str], report: Reporter) -> None:
    """Compare generations, update vectors and counts of the masters that were filled, and show them."""
    only = {view.host, *walk.filled} - set(walk.troubles)
    # Those that were empty send nothing before their services have been restarted: a KDC is needed for that.
    away, silent = walk.away, walk.emptied
    # A server that got a master's first change from another one forgets it when that master's own agreement begins: the
    # next change brings it along.
    check_realm(view, wait=FIRST_LOOK, only=only, away=away, silent=silent, contents=False)
    walk.stir(suffixes)
    verdict = check_realm(view, wait=FIRST_LOOK, only=only, away=away, silent=silent)
    if any(trouble.passing for trouble in verdict.troubles):
        walk.stir(suffixes)
        limit = HELD_UP_LIMIT if walk.cut_off else SETTLE_LIMIT
        verdict = check_realm(view, wait=limit, only=only, away=away, silent=silent)
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


class _Walk:
    def __init__(self, peers: Peers, basedn: str, stack: ExitStack, machine: Machine, report: Reporter) -> None:
        self._peers, self._basedn = peers, basedn
        self._stack, self._machine, self._report = stack, machine, report
        self._masters: dict[str, list[Master]] = {}
        self._answered: dict[str, float] = {}
        self._admitted: dict[str, set[str]] = {}
        self.cut_off = False
        self._switched_on: list[str] = []
        self._rested: list[tuple[str, list[TotalUpdate]]] = []
        self._held_off: list[TotalUpdate] = []
        self.filled: set[str] = set()
        self.troubles: dict[str, str] = {}

    def join(self, name: str, master: Master) -> None:
        """A master that can be asked: one with two instances has two connections."""
        self._masters.setdefault(name, []).append(master)

    def outward(self, suffixes: Sequence[str], others: Collection[str] = ()) -> None:
        """Fill the masters, hop by hop: of one hop all at once, one suffix after the other.

        The `others` are not filled, and supply those that are when their data is that of here.
        """
        for suffix in suffixes:
            self._change(self._peers.host, suffix)
        suffixes = sorted(suffixes, key=self._held_by_all)
        done = {suffix: {self._peers.host, *others} for suffix in suffixes}
        hop = {suffix: [self._peers.host, *self._of_one_generation(others, suffix)] for suffix in suffixes}
        while any(hop.values()):
            filled = []
            # Who may supply a master's suffixes is written in its domain's entries, and remembered for a minute: while
            # these are on their way, a supplier of another suffix would be turned away.
            for suffix in suffixes:
                underway: list[TotalUpdate] = []
                rested: list[TotalUpdate] = []
                self._rested.append((suffix, rested))
                try:
                    self._begin(suffix, hop[suffix], done[suffix], underway)
                    for update in self._ending(suffix, underway):
                        consumer = update.agreement.consumer
                        if self._rests(update):
                            rested.append(update)
                        self._report.note(f"{consumer} has been re-initialised with {suffix}")
                        filled.append((suffix, consumer))
                finally:
                    self._put_back(underway)
            hop = {suffix: [] for suffix in suffixes}
            for suffix, consumer in filled:
                done[suffix].add(consumer)
                # One that has come to grief meanwhile, with another suffix, would let all others wait for its answers.
                if consumer not in self.troubles:
                    self._change(consumer, suffix)
                    hop[suffix].append(consumer)
        self.filled = set().union(*done.values()) - {self._peers.host, *others}

    def _held_by_all(self, suffix: str) -> bool:
        """Whether there is nobody to be filled who has no data of this suffix, for all that is known.

        Such a one may still wait for a total update that was given up.  When that is broken off while another one comes
        in, its 389 DS stops for good; so that suffix comes first, and waits for its end.
        """
        try:
            return all(
                master.holds(replica.suffix)
                for name in self._peers.names
                if name not in self._peers.unreachable
                for master in self._reached(name, needed=False)
                for replica in master.replicas()
                if same_suffix(replica.suffix, suffix)
            )
        except PeerFailure as error:
            self._report.note(error.message)
            return True

    def _of_one_generation(self, names: Iterable[str], suffix: str) -> list[str]:
        """Those masters that have what this one has, and can be asked."""
        here = self._generations(self._peers.host, suffix)
        return [name for name in names if here & self._generations(name, suffix)]

    def _generations(self, name: str, suffix: str) -> set[str]:
        try:
            return {
                replica.vector.generation
                for master in self._reached(name, needed=False)
                for replica in master.replicas()
                if same_suffix(replica.suffix, suffix)
            }
        except PeerFailure as error:
            self._report.note(error.message)
            return set()

    def _begin(self, suffix: str, suppliers: Iterable[str], done: set[str], underway: list[TotalUpdate]) -> None:
        """Begin to fill every neighbour of `suppliers` that is not yet `done`, each from one of them."""
        begun: set[str] = set()
        for name in suppliers:
            for master, agreement in self._agreements(name, suffix):
                consumer = agreement.consumer
                # One that the restored data does not know could not even log in any more with it.
                if {consumer} & (done | begun | {*self.troubles, *self._peers.younger}) or not self._ready(consumer):
                    continue
                try:
                    self._admit(name, consumer)
                    underway.append(TotalUpdate.begin(name, master, agreement))
                except PeerFailure as error:
                    self._trouble(consumer, error.message)
                    continue
                begun.add(consumer)

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

    def _admit(self, supplier: str, consumer: str) -> None:
        """Have a master that lost the domain's data, and with it the accounts of its suppliers, let one of them in."""
        known = self._admitted.get(consumer, set())
        # The first holds the domain, and with it the accounts; a further instance has accounts of its own.
        for master in self._reached(consumer)[:1]:
            if supplier not in known and not master.holds(self._basedn):
                self._admitted.setdefault(consumer, set()).add(supplier)
                self._report.note(f"{consumer} has no data of the domain: it is told who {supplier} is")
                master.admit(supplier)

    @property
    def emptied(self) -> set[str]:
        """The masters that had none of the domain's data."""
        return set(self._admitted)

    def dismiss(self) -> None:
        """Take back what let suppliers in; those connect anew when they are switched on, under their own names."""
        for consumer, suppliers in self._admitted.items():
            if not self._machine.masters.answers(consumer):
                # Each question to it would take minutes.
                told = f"{consumer} does not answer, so it lets in {' and '.join(sorted(suppliers))} until it is filled"
                self._report.warn(f"{told}, by entries of its configuration (cn=mapping,cn=sasl,cn=config)")
                continue
            try:
                for master in (one for supplier in suppliers for one in self._reached(supplier)):
                    master.disable()
                for master in self._reached(consumer)[:1]:
                    master.dismiss()
            except PeerFailure as error:
                self._report.warn(error.message)

    def _trouble(self, name: str, message: str) -> None:
        """Note what is wrong with a master: the first that was found, of which the rest follows."""
        self.troubles.setdefault(name, message.rstrip("."))

    def _ending(self, suffix: str, underway: Sequence[TotalUpdate]) -> Iterator[TotalUpdate]:
        """Wait for the end of all, which are of this suffix; yields each that came to a good one, at once."""
        if underway:
            with self._machine.masters.awake(update.agreement for update in underway):
                yield from self._ends(suffix, underway)

    def _ends(self, suffix: str, underway: Sequence[TotalUpdate]) -> Iterator[TotalUpdate]:
        waiting = list(underway)
        while waiting:
            for update in list(waiting):
                consumer = update.agreement.consumer
                try:
                    told = update.outcome()
                except PeerFailure as error:
                    waiting.remove(update)
                    self._trouble(consumer, error.message)
                    continue
                if told is None:
                    silent = ""
                    if self._gone(consumer):
                        silent = f"{consumer} does not answer any more while it is re-initialised"
                    elif update.overdue:
                        silent = f"the re-initialisation of {consumer} did not end within {LIMIT:g} s"
                    if silent:
                        waiting.remove(update)
                        self.cut_off = True
                        self._trouble(consumer, f"{silent} with {suffix}")
                    continue
                waiting.remove(update)
                if told:
                    self._trouble(consumer, f"{consumer} could not be re-initialised with {suffix}: {told}")
                else:
                    yield update
            if waiting:
                time.sleep(BETWEEN_LOOKS)

    def _gone(self, consumer: str) -> bool:
        """Whether a master that is being filled has not answered for long.  Its supplier would try for ever."""
        now = time.monotonic()
        answered = self._answered.setdefault(consumer, now)
        if now - answered < _BETWEEN_CALLS:
            return False
        if self._machine.masters.answers(consumer):
            self._answered[consumer] = now
            return False
        return time.monotonic() - answered > GONE_LIMIT

    def _change(self, name: str, suffix: str) -> None:
        """Have a master change something of its own: the first time while none of its agreements is on."""
        try:
            for master in self._reached(name):
                master.write_own_change(suffix)
        except PeerFailure as error:
            # Its next change will do; what it does not tell when it is to supply others is a trouble then.
            self._report.note(error.message)

    def _rests(self, update: TotalUpdate) -> bool:
        """Switch an agreement off that has done its part, until all are switched on; returns whether it is off.

        Should its consumer hang later on, with another suffix, it would log in there, and hold up all others of its
        master: see `enable`.
        """
        try:
            update.rest()
        except PeerFailure as error:
            self._report.note(error.message)
            return False
        return True

    def _put_back(self, underway: Sequence[TotalUpdate]) -> None:
        for update in underway:
            try:
                update.put_back()
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

    def _reached(self, name: str, *, needed: bool = True) -> list[Master]:
        if name not in self._masters:
            try:
                opened = self._stack.enter_context(self._peers.opened(name))
            except PeerFailure as error:
                if needed:
                    self._trouble(name, error.message)
                else:
                    self._report.note(error.message)
                return []
            self._masters[name] = opened
        return self._masters[name]

    def stir(self, suffixes: Sequence[str]) -> None:
        """Have every master that has the restored data change something of its own once more."""
        for name in (self._peers.host, *sorted(self.filled - set(self.troubles))):
            for suffix in suffixes:
                self._change(name, suffix)

    def take_up(self) -> None:
        """Switch those agreements on that have filled somebody, and wait for what they begin that nobody asked for.

        The agreements of those that were filled stay off until then: had they sent a change of their own to others,
        such a total update would take it from them, and they could not go on after it ("Data required to update replica
        has been purged").  Masters that got their data from one that is filled a second time know such a change: they
        are filled a second time, too.
        """
        again: set[tuple[str, str]] = set()
        for suffix, rested in self._rested:
            on = [update for update in rested if self._on_again(update)]
            underway: list[TotalUpdate] = []
            try:
                for update in on:
                    self._repeat(update, (suffix, update.name) in again, underway)
                for update in self._ending(suffix, underway):
                    again.add((suffix, update.agreement.consumer))
                    self._change(update.agreement.consumer, suffix)
            finally:
                self._put_back(underway)

    def _on_again(self, update: TotalUpdate) -> bool:
        """Switch an agreement on that rested; not where its consumer or its supplier is away: see `enable`."""
        if self.away & {update.name, update.agreement.consumer}:
            self._held_off.append(update)
            return False
        try:
            update.supplier.switch(update.agreement, "on")
        except PeerFailure as error:
            self._trouble(update.name, error.message)
            return False
        return True

    def _repeat(self, update: TotalUpdate, wanted: bool, underway: list[TotalUpdate]) -> None:
        """Note the total update that an agreement has begun, which was switched on; begin one where one is `wanted`."""
        consumer = update.agreement.consumer
        try:
            if update.begins_again():
                self._report.note(
                    f"{update.name}, which was started with an order to fill {consumer}, does so once more"
                )
                underway.append(update)
            elif wanted:
                self._report.note(f"{consumer} is filled once more, as {update.name} was")
                underway.append(TotalUpdate.begin(update.name, update.supplier, update.agreement))
        except PeerFailure as error:
            self._trouble(update.name, error.message)

    def enable(self) -> None:
        """Switch the agreements of every master on again that was filled or supplied one, and can be asked.

        Those to masters that are away stay off for now: a 389 DS logs in with one ticket at a time, and while it waits
        for a connection with a host that is cut off, all its other agreements wait as well.
        """
        others = self.filled.union(*self._admitted.values()) - {self._peers.host, *self.troubles}
        self._switched_on = [self._peers.host, *sorted(others)]
        self._enable(but=self.away)

    def enable_rest(self) -> None:
        """Switch on what was left off."""
        if not self.away:
            return
        self._enable()
        # Who only supplied others may have agreements that an administrator wants off.
        for update in self._held_off:
            if update.name not in self._switched_on:
                try:
                    update.supplier.switch(update.agreement, "on")
                except PeerFailure as error:
                    self._report.warn(error.message)

    def _enable(self, but: Collection[str] = ()) -> None:
        for name in self._switched_on:
            try:
                for master in self._reached(name):
                    master.enable(but)
            except PeerFailure as error:
                self._trouble(name, error.message)

    @property
    def away(self) -> set[str]:
        """The masters that are in trouble or were not reached."""
        return {*self.troubles, *(self._peers.unreachable.keys() - self.filled)}
