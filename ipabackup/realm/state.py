"""Reading what every master of the realm says of its replication."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType

from ipabackup.directory.agreements import Door, Replica, doors
from ipabackup.directory.instances import Instance, normalised
from ipabackup.directory.masters import Master, PeerFailure
from ipabackup.server import Machine


@dataclass(frozen=True)
class Viewpoint:
    """Where the realm is looked at from: the master `host`, this one, its directory instances, and how to log in to
    others (the Directory Manager's `password`; None: the caller's Kerberos ticket).
    """

    host: str
    basedn: str
    instances: tuple[Instance, ...]
    machine: Machine
    password: str | None


@dataclass(frozen=True)
class Content:
    """What a database holds: entries without tombstones, conflict entries, and the `generation` with which its server
    would begin again (None: unknown, for want of rights).
    """

    entries: int | None
    conflicts: tuple[str, ...] = ()
    generation: str | None = None


@dataclass(frozen=True)
class MasterState:
    """What one master says: suffix (normalised) → replica, and, when asked for, suffix → content.

    One that is `empty` has none of the domain's data; that is known of the master here only, which tells everything.
    """

    host: str
    replicas: Mapping[str, Replica]
    contents: Mapping[str, Content] = field(default_factory=dict)
    empty: bool = False


@dataclass(frozen=True)
class RealmState:
    """What all masters say, by name; `unreachable` leads from a name to the reason; `listed` are all that there are.

    `instances` leads from a suffix (normalised) to the directory instance that holds it, here and, by FreeIPA's custom,
    on every master.
    """

    masters: Mapping[str, MasterState]
    unreachable: Mapping[str, str]
    listed: frozenset[str] = frozenset()
    instances: Mapping[str, str] = field(default_factory=dict)

    def suffixes(self) -> list[str]:
        """Every suffix that any master replicates; the domain's, which all have, comes first."""
        holders: dict[str, int] = {}
        for master in self.masters.values():
            for suffix in master.replicas:
                holders[suffix] = holders.get(suffix, 0) + 1
        return sorted(holders, key=lambda suffix: (-holders[suffix], suffix))

    def with_suffix(self, suffix: str) -> dict[str, Replica]:
        """The replicas of `suffix`, by the master's name."""
        return {host: one.replicas[suffix] for host, one in self.masters.items() if suffix in one.replicas}


class Look:
    """Connections to all masters that can be reached, beginning here; a context manager.

    The masters are those that any of them lists below ``cn=masters``.  Here every instance is asked, on other
    masters the one with the domain, and those that any agreement leads to.
    """

    def __init__(self, view: Viewpoint) -> None:
        self._view = view
        self._stack = ExitStack()
        self._connections: dict[str, list[Master]] = {}
        self._opened: set[Door] = set()

    def __enter__(self) -> Look:
        masters = self._view.machine.masters
        self._connections[self._view.host] = [
            self._stack.enter_context(masters.here(instance.ldapi_uri)) for instance in self._view.instances
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def read(self, only: Collection[str] | None = None) -> RealmState:
        """What each master says now, or each of `only`.  Raises DirectoryFailure when this one does not answer."""
        found: dict[str, MasterState] = {}
        unreachable: dict[str, str] = {}
        names: set[str] = set()
        waiting = [self._view.host]
        while waiting:
            name = waiting.pop(0)
            try:
                connections = self._reached(name)
                replicas = _replicas(connections)
                listed = {host for master in connections for host in master.masters(self._view.basedn)}
            except PeerFailure as error:
                if name == self._view.host:
                    raise
                unreachable[name] = error.message
                self._forget(name)
                continue
            found[name] = MasterState(name, replicas, empty=not listed and name == self._view.host)
            if not listed:
                # Agreements are in its configuration, which it has.
                listed = {name, *(one.consumer for replica in replicas.values() for one in replica.agreements)}
            names |= listed
            asked = listed if only is None else listed & set(only)
            waiting += sorted(asked - set(found) - set(unreachable) - set(waiting))
        self._look_behind(found, unreachable)
        homes = {
            normalised(backend.suffix): instance.name
            for instance in self._view.instances
            for backend in instance.backends
        }
        return RealmState(found, unreachable, frozenset(names), homes)

    def with_contents(self, state: RealmState) -> RealmState:
        """The same, with entries counted and conflicts looked for."""
        masters = dict(state.masters)
        unreachable = dict(state.unreachable)
        for name, one in state.masters.items():
            try:
                contents = {suffix: self._content(name, replica.suffix) for suffix, replica in one.replicas.items()}
            except PeerFailure as error:
                if name == self._view.host:
                    raise
                unreachable[name] = error.message
                self._forget(name)
                del masters[name]
                continue
            masters[name] = replace(one, contents=contents)
        return replace(state, masters=masters, unreachable=unreachable)

    def _content(self, name: str, suffix: str) -> Content:
        for master in self._reached(name):
            if any(normalised(replica.suffix) == normalised(suffix) for replica in master.replicas()):
                # A suffix that is replicated has an entry at least: none means that none may be seen.
                generation = master.stored_generation(suffix)
                return Content(master.count(suffix) or None, tuple(master.conflicts(suffix)), generation)
        return Content(None)

    def _look_behind(self, found: dict[str, MasterState], unreachable: dict[str, str]) -> None:
        """Ask the further instances as well that agreements lead to, and of those that were `found` belong to one."""
        names = {name.lower(): name for name in found if name != self._view.host}
        tried: set[Door] = set()
        while waiting := sorted(
            door
            for one in found.values()
            for replica in one.replicas.values()
            for door in doors(replica.agreements)
            if door.host in names and door not in self._opened | tried
        ):
            for door in waiting:
                name = names[door.host]
                tried.add(door)
                try:
                    master = self._stack.enter_context(self._view.machine.masters.through(door, self._view.password))
                    replicas = {**found[name].replicas, **_replicas([master])}
                except PeerFailure as error:
                    unreachable[name] = error.message
                    continue
                self._opened.add(door)
                self._connections[name].append(master)
                found[name] = replace(found[name], replicas=replicas)

    def _forget(self, name: str) -> None:
        """Connect anew next time."""
        self._connections.pop(name, None)
        self._opened = {door for door in self._opened if door.host != name.lower()}

    def _reached(self, name: str) -> list[Master]:
        if name not in self._connections:
            self._connections[name] = [
                self._stack.enter_context(self._view.machine.masters.at(name, self._view.password))
            ]
        return self._connections[name]


def _replicas(connections: Iterable[Master]) -> dict[str, Replica]:
    return {normalised(replica.suffix): replica for master in connections for replica in master.replicas()}
