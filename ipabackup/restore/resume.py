"""Getting from the other masters what a restored server missed, before it takes part in the realm again.

What others wrote they send, as long as their changelogs have it.  What this server wrote itself after the backup they
would send as well, but what arrives makes the server change something of its own, by the plug-in that keeps memberOf if
by nothing else, and from then on it takes its own older changes for known: they are lost to it, and it has nothing to
tell the others any more ("Data required to update replica has been purged", all seen with 389 DS 3.1.2).  So where
others have such changes one of them fills this server wholly, with a total update.  The same is done for a copy of a
running database on mdb, whose changelog the server throws away: it goes further than its vector says.

Whether others have such changes is told from what the backup had, not from what the server has by then: one that has
news begins to send as soon as the directory server runs, and what comes first may have made it change something.

Left alone, a supplier that has no news does not even look, and the server makes a change of its own half a minute after
its agreements have begun.  So these are off until then, and the others are told to look.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from ipabackup.directory.agreements import Agreement, Replica, same_suffix, switched_in
from ipabackup.directory.instances import Instance, normalised, read_config, write_config
from ipabackup.directory.masters import Master, PeerFailure
from ipabackup.directory.vectors import Vector
from ipabackup.realm.check import check_realm
from ipabackup.realm.state import Viewpoint
from ipabackup.realm.table import table
from ipabackup.realm.verdict import due_levels, lag, tool
from ipabackup.restore.peers import Peers
from ipabackup.restore.total_update import BETWEEN_LOOKS, LIMIT, TotalUpdate
from ipabackup.steps import Reporter, Step

#: Seconds that others may take to send the next of what this server missed.
PATIENCE = 120.0
#: Seconds that all masters have to agree with each other afterwards.
SETTLE_LIMIT = 60.0


@dataclass
class Resumption:
    """The steps by which a restored server takes part in its realm again; `instances` finds its directory instances.

    `vectors` tell how far the backup's data goes (normalised suffix → vector); `wholly` says that what arrives would
    not do.  `held` leads from the name of an instance to the agreements that were on, as long as they are off.
    """

    peers: Peers
    basedn: str
    suffixes: Sequence[str]
    vectors: Mapping[str, Vector]
    instances: Callable[[], Sequence[Instance]]
    wholly: bool = False
    held: dict[str, set[str]] = field(default_factory=dict)

    def hold(self) -> Step:
        """Switch this server's own agreements off: those of instances that run, and others in their configuration."""
        title = "Holding this server's own agreements back"
        return Step("hold-agreements", title, self._hold, closed_by="release-agreements")

    def resume(self) -> list[Step]:
        """Get what the others have, switch on what was held, and compare all masters: once the directory runs."""
        return [
            Step("catch-up", "Getting what the other masters have", self._catch_up),
            Step("release-agreements", "Switching own agreements on again", self._release),
            Step("compare-masters", "Comparing the masters", self._compare),
        ]

    def _hold(self, report: Reporter) -> None:
        for instance in self.instances():
            self.held |= self.peers.disable_own([instance], report)

    def _release(self, report: Reporter) -> None:
        machine = self.peers.machine
        for instance in self.instances():
            names = self.held.pop(instance.name, set())
            if not names:
                continue
            if machine.services.is_active(instance.unit):
                with machine.masters.here(instance.ldapi_uri) as master:
                    for agreement in master.agreements():
                        if normalised(agreement.dn) in names:
                            master.switch(agreement, "on")
            else:
                write_config(instance.config_dir, switched_in(read_config(instance.config_dir), "on", names)[0])
            report.note(f"slapd-{instance.name}: {len(names)} agreements switched on")

    def _catch_up(self, report: Reporter) -> None:
        with ExitStack() as stack:
            masters = self.peers.machine.masters
            here = [stack.enter_context(masters.here(instance.ldapi_uri)) for instance in self.instances()]
            mine = {normalised(replica.suffix): replica for master in here for replica in master.replicas()}
            sources = self._sources(stack, report)
            stack.enter_context(masters.awake(one for source in sources for one in source.agreements(self.peers.host)))
            arriving: dict[str, dict[str, Replica]] = {}
            for suffix in map(normalised, self.suffixes):
                others = [source for source in sources if normalised(source.replica.suffix) == suffix]
                if suffix not in mine or not others:
                    continue
                replicas = {source.name: source.replica for source in others}
                filler = None
                restored = self.vectors.get(suffix, mine[suffix].vector)
                if self.wholly or _lacks_own(mine[suffix].number, restored, replicas):
                    filler = self._filled(mine[suffix].suffix, here, others, report)
                for source in others:
                    # It may have what the one that filled this server does not.
                    if source is not filler:
                        self._look(source, here, report)
                arriving[suffix] = replicas
            _wait(here, arriving, report)

    def _sources(self, stack: ExitStack, report: Reporter) -> list[_Source]:
        """What each of the other masters replicates; one that cannot be reached is told of."""
        found = []
        for name in self.peers.names:
            try:
                masters = stack.enter_context(self.peers.opened(name))
                found += [_Source(name, master, replica) for master in masters for replica in master.replicas()]
            except PeerFailure as error:
                report.warn(_not_told(name, error))
        return found

    def _look(self, source: _Source, here: Sequence[Master], report: Reporter) -> None:
        try:
            if not source.look(self.peers.host):
                return
            _write_own_changes(here, source.replica.suffix)
            report.note(f"{source.name}, which was started with an order to fill this server, has done so")
        except PeerFailure as error:
            report.warn(_not_told(source.name, error))

    def _filled(
        self, suffix: str, here: Sequence[Master], sources: Sequence[_Source], report: Reporter
    ) -> _Source | None:
        """Have one of the others send all that it has; returns which."""
        reasons = []
        for source in sources:
            told = source.fill(self.peers.host)
            if told:
                reasons.append(f"{source.name}: {told}")
                continue
            _write_own_changes(here, suffix)
            report.note(f"{source.name} has sent all of {suffix}")
            return source
        report.warn(
            f"No other master could send all of {suffix} ({'; '.join(reasons)}). Run here: {tool(normalised(suffix))} "
            "re-initialize --from=HOST"
        )
        return None

    def _compare(self, report: Reporter) -> None:
        peers = self.peers
        view = Viewpoint(peers.host, self.basedn, tuple(self.instances()), peers.machine, peers.password)
        verdict = check_realm(view, wait=SETTLE_LIMIT)
        for line in table(verdict.state):
            report.show(line)
        for trouble in verdict.troubles:
            report.warn(f"{trouble.message.rstrip('.')}. {trouble.remedy}")


@dataclass(frozen=True)
class _Source:
    """A suffix of another master."""

    name: str
    master: Master
    replica: Replica

    def look(self, consumer: str) -> bool:
        """Have it compare vectors, as an agreement does that is switched on, whether there is news or not.

        One that was started with an order to fill the consumer does that instead, and is waited for; returns whether it
        did.  Raises PeerFailure.
        """
        filled = False
        for agreement in self.agreements(consumer):
            # Switched off in the middle of that it would not answer for minutes.
            fills = self.master.fills(agreement)
            if not fills:
                since = self.master.last_refresh(agreement)
                for state in ("off", "on"):
                    self.master.switch(agreement, state)
                fills = self.master.fills_again(agreement, since)
            if fills:
                told = self._sent(agreement)
                if told:
                    raise PeerFailure(f"{self.name} began to send all that it has, and did not come to its end: {told}")
                filled = True
        return filled

    def fill(self, consumer: str) -> str:
        """Have it send all that it has; returns why it did not, or nothing."""
        told = f"it has no agreement with {consumer} that is on"
        try:
            for agreement in self.agreements(consumer):
                told = self._sent(agreement)
        except PeerFailure as error:
            return error.message.rstrip(".")
        return told

    def _sent(self, agreement: Agreement) -> str:
        update = TotalUpdate.begin(self.name, self.master, agreement)
        try:
            while (told := update.outcome()) is None:
                if update.overdue:
                    return f"it did not come to an end within {LIMIT:g} s"
                time.sleep(BETWEEN_LOOKS)
            return told
        finally:
            update.put_back()

    def agreements(self, consumer: str) -> list[Agreement]:
        """Those by which it supplies `consumer`."""
        return [one for one in self.replica.agreements if one.consumer == consumer.lower() and one.enabled]


def _not_told(name: str, error: PeerFailure) -> str:
    return (
        f"{error.message.rstrip('.')}, so it could not be told to send what this server missed. When it is back, run "
        f"here: ipa-replica-manage force-sync --from={name} (ipa-csreplica-manage likewise)"
    )


def _write_own_changes(here: Sequence[Master], suffix: str) -> None:
    """Once this server was filled, while none of its agreements is on: see `Master.write_own_change`."""
    for master in here:
        master.write_own_change(suffix)


def _lacks_own(number: int, restored: Vector, others: Mapping[str, Replica]) -> bool:
    """Whether others have changes of this very replica, which has that `number`, that were not `restored`."""
    return restored.newest.get(number, "") < due_levels(others).get(number, "")


def _wait(here: Sequence[Master], suppliers: Mapping[str, Mapping[str, Replica]], report: Reporter) -> None:
    """Wait until what the suppliers had is here, as long as any of it arrives."""
    limit = time.monotonic() + PATIENCE
    before: object = None
    while True:
        now = [replica for master in here for replica in master.replicas()]
        missing = {
            suffix: lag(replica, due_levels(others))
            for suffix, others in suppliers.items()
            for replica in now
            if same_suffix(replica.suffix, suffix)
        }
        if not any(missing.values()):
            report.note("Everything that the other masters had is here")
            return
        if missing != before:
            before, limit = missing, time.monotonic() + PATIENCE
        if time.monotonic() > limit:
            told = ", ".join(sorted(suffix for suffix, numbers in missing.items() if numbers))
            report.warn(f"For {PATIENCE:g} s no other master has sent any of what this server still lacks of {told}")
            return
        # Nobody tells when a change arrives.
        time.sleep(BETWEEN_LOOKS)
