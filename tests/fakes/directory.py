"""Fakes of directory.tools and directory.connection: databases as dictionaries of entries, written as LDIF."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ipabackup.directory.agreements import Agreement, Door, Replica, Retention
from ipabackup.directory.compact import Compacted
from ipabackup.directory.config_copy import ExportSource
from ipabackup.directory.instances import Backend, Instance
from ipabackup.directory.ldif_scan import RUV_UNIQUE_ID, LdifSummary, count_entries, records
from ipabackup.directory.masters import PeerFailure
from ipabackup.directory.refresh import Flow, Refreshing
from ipabackup.directory.vectors import Vector
from ipabackup.errors import DirectoryDied, DirectoryFailure, WrongPassword

#: Where an authority's own instance takes connections.
AUTHORITY_PORT = 7389


class FakeDirectory:
    """An installed directory server: `entries` leads from a backend's name to the DNs that it holds.

    The binary copy of an instance is one file with a line an entry.  `broken` names deeds that fail, and `deadly` those
    that the server dies of.  `homes` leads from an instance's name to its backends; one that is not in it holds all of
    them.
    """

    def __init__(self, entries: dict[str, list[str]], *, version: str = "3.1.2", password: str = "Secret123") -> None:
        self.entries = entries
        self.version = version
        self.password = password
        self.broken: set[str] = set()
        self.deadly: set[str] = set()
        self.homes: dict[str, tuple[str, ...]] = {}
        self.masters: dict[str, set[str]] = {"ipa1.example.test": {"KDC", "HTTP"}}
        self.deeds: list[str] = []
        self.ruv: list[str] = []
        self.deleted_since = 0

    def server_version(self) -> str:
        return self.version

    def archive(self, instance: Instance, target: Path) -> None:
        self.archive_as(f"archive {instance.name}", instance.name, target)

    def archive_as(self, deed: str, instance: str, target: Path) -> None:
        self._do(deed)
        target.mkdir()
        held = self.homes.get(instance, tuple(self.entries))
        lines = [f"{name}\t{dn}\n" for name in held for dn in self.entries[name]]
        (target / "data.mdb").write_text("".join(lines))

    def unarchive(self, instance: Instance, source: Path) -> None:
        self.unarchive_as(f"unarchive {instance.name}", instance.name, source)

    def unarchive_as(self, deed: str, instance: str, source: Path) -> None:
        self._do(deed)
        for name in self.homes.get(instance, tuple(self.entries)):
            self.entries[name] = []
        for line in (source / "data.mdb").read_text().splitlines():
            name, dn = line.split("\t")
            self.entries.setdefault(name, []).append(dn)

    def compacted(self, folder: Path) -> Compacted | None:
        return None

    def export(self, source: ExportSource, backend: str, take: Callable[[bytes], None]) -> LdifSummary:
        self._do(f"export {backend}")
        dse = (source.config_dir / "dse.ldif").read_text()
        binary = next(line.split(": ")[1] for line in dse.splitlines() if line.startswith("nsslapd-directory"))
        held = [line.split("\t") for line in (Path(binary) / "data.mdb").read_text().splitlines()]
        text = "version: 1\n\n"
        for name, dn in held:
            if name == backend:
                first = dn.partition(",")[0].partition("=")[2]
                text += f"dn: {dn}\nobjectClass: top\ncn: {first}\nipaConfigString: enabledService\n\n"
        if self.ruv:
            values = "".join(f"nsds50ruv: {value}\n" for value in self.ruv)
            text += f"dn: nsuniqueid={RUV_UNIQUE_ID},dc=example,dc=test\nobjectClass: nsTombstone\n{values}\n"
        pieces = [text[at : at + 7].encode() for at in range(0, len(text), 7)]
        for piece in pieces:
            take(piece)
        return count_entries(pieces)

    def load(self, instance: Instance, backend: str, source: Path) -> None:
        self.load_as(f"load {backend}", backend, source)

    def load_as(self, deed: str, backend: str, source: Path) -> None:
        self._do(deed)
        with source.open("rb") as lines:
            self.entries[backend] = [dn for dn, _ in records(lines)]

    def renew(self, instance: Instance) -> tuple[str, ...]:
        self._do(f"renew {instance.name}")
        return ("dc=example,dc=test",)

    def _do(self, deed: str) -> None:
        self.deeds.append(deed)
        if deed in self.deadly:
            raise DirectoryDied(f"The server died of {deed}.", remedy="Start it.")
        if deed in self.broken or deed.split(maxsplit=1)[0] in self.broken:
            raise DirectoryFailure(f"{deed} failed")


class FakeMasters:
    """The masters of a realm: `agreements` leads from a master's name to the consumers it sends to.

    One in `down` cannot be reached, one in `broken` cannot be filled, one in `dying` dies while it is, and one in
    `emptied` has lost the domain's data.  An earlier command gave up filling those in `given_up`.  `generations` are of
    the one suffix there is, `off` is a supplier and its consumer.  `deeds` is the directory's list.  One that is `idle`
    sends nothing.  A supplier in `ordered` was started with an order to fill these consumers, and `unsaved` leads from
    a master to the generation in its database.  A name with a port behind is a further instance, with the authority's
    records.  Those were `asleep` that data was sent to while nobody kept them awake.
    """

    def __init__(self, name: str, deeds: list[str]) -> None:
        self.name = name
        self.deeds = deeds
        self.agreements: dict[str, list[str]] = {}
        self.generations: dict[str, str] = {name: "new"}
        self.down: set[str] = set()
        self.broken: set[str] = set()
        self.dying: set[str] = set()
        self.emptied: set[str] = set()
        self.admitted: dict[str, set[str]] = {}
        self.silent: set[str] = set()
        self.busy: dict[str, int] = {}
        self.enabled: set[str] = set()
        self.off: set[tuple[str, str]] = set()
        self.given_up: set[str] = set()
        self.ordered: dict[str, set[str]] = {}
        self.unsaved: dict[str, str] = {}
        self.flows: list[tuple[str, Flow]] = []
        self.newest: dict[str, dict[int, str]] = {}
        self.idle: set[str] = set()
        self.at_each_look: Callable[[], object] = list
        self.at_first_refusal: Callable[[], object] = list
        self.kept: dict[str, Retention] = {}
        self.trusted: bytes | None = None
        self.awake_now: set[str] = set()
        self.asleep: set[str] = set()

    @contextmanager
    def here(self, uri: str) -> Iterator[FakeMaster]:
        further = f"{self.name}:{AUTHORITY_PORT}"
        with self._connected(
            further if instance_at(uri) == "PKI-IPA" and further in self.agreements else self.name
        ) as master:
            yield master

    @contextmanager
    def at(self, host: str, password: str | None, authority: Path | None = None) -> Iterator[FakeMaster]:
        self.trusted = None if authority is None else authority.read_bytes()
        if host in self.down:
            self.at_first_refusal()
            raise PeerFailure(f"{host} cannot be reached: no route.")
        with self._connected(host) as master:
            yield master

    @contextmanager
    def through(self, door: Door, password: str | None, authority: Path | None = None) -> Iterator[FakeMaster]:
        with self.at(f"{door.host}:{door.port}", password, authority) as master:
            yield master

    @contextmanager
    def _connected(self, host: str) -> Iterator[FakeMaster]:
        master = FakeMaster(self, host)
        try:
            yield master
        finally:
            master.close()

    def answers(self, host: str) -> bool:
        return host not in self.down | self.dying

    @contextmanager
    def awake(self, agreements: Iterable[Agreement]) -> Iterator[None]:
        self.awake_now = {_called(agreement) for agreement in agreements}
        try:
            yield
        finally:
            self.awake_now = set()


class FakeMaster:
    """One of them."""

    def __init__(self, realm: FakeMasters, name: str) -> None:
        self._realm, self._name = realm, name

    def close(self) -> None:
        """A connection that has ended is of no more use."""
        del self._realm

    def agreements(self) -> list[Agreement]:
        if self._name in self._realm.silent:
            raise PeerFailure(f"{self._name} does not tell its agreements: no answer in time.")
        enabled = self._name in self._realm.enabled
        return [
            Agreement(
                f"cn=meTo{consumer}",
                self._suffix,
                consumer.partition(":")[0],
                enabled and (self._name, consumer) not in self._realm.off,
                door=Door(consumer.partition(":")[0], AUTHORITY_PORT) if ":" in consumer else None,
            )
            for consumer in self._realm.agreements.get(self._name, [])
        ]

    @property
    def _suffix(self) -> str:
        return "o=ipaca" if ":" in self._name else "dc=example,dc=test"

    def replicas(self) -> list[Replica]:
        self._realm.at_each_look()
        number = 4 + sorted(self._realm.agreements).index(self._name) if self._name in self._realm.agreements else 4
        vector = Vector(self._realm.generations.get(self._name, "old"), self._realm.newest.get(self._name, {}))
        return [Replica(self._suffix, number, vector, tuple(self.agreements()))]

    def disable(self) -> list[Agreement]:
        self._realm.deeds.append(f"disable {self._name}")
        switched = [agreement for agreement in self.agreements() if agreement.enabled]
        self._realm.enabled.discard(self._name)
        return switched

    def enable(self, but: Collection[str] = ()) -> list[Agreement]:
        self._realm.deeds.append(" ".join((f"enable {self._name}", *(f"but to {name}" for name in sorted(but)))))
        self._realm.enabled.add(self._name)
        kept = {(supplier, consumer) for supplier, consumer in self._realm.off if supplier != self._name}
        self._realm.off = kept | {(self._name, consumer) for consumer in but}
        return self.agreements()

    def retention(self) -> dict[str, Retention]:
        return {self._suffix: self._realm.kept.get(self._name, Retention())}

    def begin_refresh(self, agreement: Agreement) -> Refreshing:
        self._realm.deeds.append(f"refresh {_called(agreement)} from {self._name}")
        return Refreshing({"window": [b"usual"]}, agreement.consumer in self._realm.given_up)

    def refreshed(self, agreement: Agreement) -> str | None:
        consumer = _called(agreement)
        self._realm.asleep |= {consumer} - self._realm.awake_now
        if consumer in self._realm.given_up:
            self._realm.given_up.remove(consumer)
            return "Error (-2) Total update aborted: the connection was lost"
        if self._realm.busy.get(consumer, 0):
            self._realm.busy[consumer] -= 1
            return "Error (1) Replication error acquiring replica: replica busy"
        if consumer in self._realm.dying:
            return None
        if consumer in self._realm.broken:
            return "Error (-1) it broke"
        if consumer in self._realm.emptied and self._name not in self._realm.admitted.get(consumer, set()):
            return "Error (49) Invalid credentials"
        self._realm.generations[consumer] = self._realm.generations[self._name]
        if consumer == self._realm.name and self._name in self._realm.newest:
            # What others have then is said by the tests that fill them.
            self._realm.newest[consumer] = dict(self._realm.newest[self._name])
        return "Error (0) Total update succeeded"

    def switch(self, agreement: Agreement, state: str) -> None:
        self._realm.deeds.append(f"switch {agreement.consumer} from {self._name} {state}")
        (self._realm.off.add if state == "off" else self._realm.off.discard)((self._name, agreement.consumer))
        if state == "on":
            self._realm.enabled.add(self._name)
        if state == "on" and self._name not in self._realm.idle:
            # It compares vectors then, and sends what its consumer lacks.
            newest = self._realm.newest.setdefault(_called(agreement), {})
            for number, change in self._realm.newest.get(self._name, {}).items():
                newest[number] = max(newest.get(number, ""), change)

    def last_refresh(self, agreement: Agreement) -> str:
        return "20261129000000Z"

    def fills(self, agreement: Agreement) -> bool:
        return agreement.consumer in self._realm.given_up

    def fills_again(self, agreement: Agreement, since: str) -> bool:
        assert since == "20261129000000Z"
        return agreement.consumer in self._realm.ordered.get(self._name, ())

    def stored_generation(self, suffix: str) -> str | None:
        return self._realm.unsaved.get(self._name)

    def set_flow(self, agreement: Agreement, flow: Flow) -> None:
        self._realm.flows.append((agreement.consumer, flow))

    def write_own_change(self, suffix: str) -> None:
        self._realm.deeds.append(f"own change {self._name}")

    def holds(self, suffix: str) -> bool:
        return suffix == self._suffix and self._name not in self._realm.emptied

    def admit(self, supplier: str) -> None:
        self._realm.deeds.append(f"admit {supplier} to {self._name}")
        self._realm.admitted.setdefault(self._name, set()).add(supplier)

    def dismiss(self) -> None:
        self._realm.deeds.append(f"dismiss on {self._name}")
        del self._realm.admitted[self._name]

    def count(self, suffix: str) -> int:
        return 4

    def conflicts(self, suffix: str) -> list[str]:
        return []

    def masters(self, basedn: str) -> dict[str, frozenset[str]]:
        if ":" in self._name or self._name in self._realm.emptied:
            return {}
        return {name: frozenset() for name in (self._realm.name, *self._realm.agreements) if ":" not in name}


def _called(agreement: Agreement) -> str:
    """What the consumer's instance is called here."""
    return agreement.consumer if agreement.door is None else f"{agreement.door.host}:{agreement.door.port}"


def instance_at(uri: str) -> str:
    """The name of the instance with this socket."""
    return uri.rpartition("slapd-")[2].partition(".socket")[0]


class FakeRunning:
    """The same directory, running: what online tasks and searches see."""

    def __init__(self, directory: FakeDirectory) -> None:
        self._directory = directory

    def check_password(self, uri: str, password: str) -> None:
        if password != self._directory.password:
            raise WrongPassword("The Directory Manager password is wrong.")

    def count_entries(self, uri: str, suffix: str, created_before: datetime | None = None) -> int:
        return sum(dn.endswith(suffix) for dns in self._directory.entries.values() for dn in dns)

    def count_deleted(self, uri: str, suffix: str, since: datetime) -> int:
        return self._directory.deleted_since

    def stored_entries(self, instance: Instance, backend: Backend) -> int | None:
        return None

    def masters(self, uri: str, basedn: str) -> dict[str, frozenset[str]]:
        return {host: frozenset(services) for host, services in self._directory.masters.items()}

    def backup(self, uri: str, target: Path) -> None:
        self._directory.archive_as("online backup", instance_at(uri), target)

    def restore(self, uri: str, source: Path) -> None:
        self._directory.unarchive_as("online restore", instance_at(uri), source)

    def load(self, uri: str, backend: str, source: Path) -> None:
        self._directory.load_as(f"online import {backend}", backend, source)
