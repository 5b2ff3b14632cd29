"""Pytest plugin: in what order the scenarios run, told by how long they took before.

``scenarios/durations.json`` is kept in the repository: the seconds of each scenario, which topologies it clones, and
the seconds that the installation of each topology takes the first time.  With xdist's workers the expensive ones begin
first, and two workers do not begin with the same installation, for which one of them could only wait.  Scenarios that
share a realm stay together.  ``--update-durations`` writes what a run measured.
"""

from __future__ import annotations

import heapq
import json
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SCENARIOS = Path(__file__).parents[2] / "scenarios"
KEPT = SCENARIOS / "durations.json"

#: The fixture of scenarios that share a realm with the others of their file.
SHARED = "make_shared_realm"

#: Name of the property of a report that tells of a realm: its topology, and the seconds that its installation took.
REALM = "realm"

#: Seconds from which it was an installation, and not a look whether there is one.
_INSTALLATION = 5.0

#: Seconds of a scenario when no scenario at all is known.
_GUESS = 30.0


@dataclass(frozen=True)
class Known:
    """What is known of a scenario: seconds, installations not counted, and the topologies that it uses."""

    seconds: float
    topologies: tuple[str, ...] = ()


@dataclass
class Durations:
    """What is known of all scenarios, by their node ids, and of topologies: seconds of an installation."""

    scenarios: dict[str, Known] = field(default_factory=dict)
    installations: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path = KEPT) -> Durations:
        """Read the kept file; nothing is known when there is none."""
        if not path.exists():
            return cls()
        data = json.loads(path.read_text(encoding="utf-8"))
        known = {name: Known(one["seconds"], tuple(one["topologies"])) for name, one in data["scenarios"].items()}
        return cls(known, dict(data["installations"]))

    def write(self, path: Path = KEPT) -> None:
        """Keep it, a line each in one order, which makes small differences."""
        installations = {name: round(seconds, 1) for name, seconds in self.installations.items()}
        scenarios = {
            name: {"seconds": round(one.seconds, 1), "topologies": list(one.topologies)}
            for name, one in self.scenarios.items()
        }
        parts = []
        for title, entries in (("installations", installations), ("scenarios", scenarios)):
            lines = [f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(entries.items())]
            parts.append(f" {json.dumps(title)}: {{\n" + ",\n".join(lines) + "\n }")
        path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")

    def of(self, name: str, topologies: tuple[str, ...] = ()) -> Known:
        """What is known of a scenario; the usual for one that nobody has seen, with the topologies it declares."""
        if name in self.scenarios:
            return self.scenarios[name]
        usual = statistics.median(one.seconds for one in self.scenarios.values()) if self.scenarios else _GUESS
        return Known(usual, topologies)


@dataclass(frozen=True)
class Group:
    """Scenarios that one worker runs one after the other."""

    names: tuple[str, ...]
    seconds: float
    topologies: tuple[str, ...]


@dataclass(frozen=True)
class Turn:
    """Scenarios that a worker runs next."""

    worker: int
    names: tuple[str, ...]


def turns(groups: Sequence[Group], installations: Mapping[str, float], places: Sequence[int]) -> list[Turn]:
    """Deal the groups to workers, of which each has so many ``places``; in the order in which they begin.

    Played through with the known durations: whoever is free first takes the most expensive group, if possible one that
    does not wait for an installation which another one has begun.
    """
    left = list(groups)
    room = list(places)
    free = [(0.0, worker) for worker, places_here in enumerate(room) if places_here]
    ready: dict[str, float] = {}
    played = []
    while left and free:
        now, worker = heapq.heappop(free)
        group = min(left, key=lambda one: _rank(one, installations, ready, now))
        left.remove(group)
        if len(group.names) > room[worker]:
            share = group.seconds * room[worker] / len(group.names)
            left.append(Group(group.names[room[worker] :], group.seconds - share, group.topologies))
            group = Group(group.names[: room[worker]], share, group.topologies)
        begun = max([now, *(ready.get(name, 0.0) for name in group.topologies)])
        for name in group.topologies:
            if name not in ready:
                begun += installations.get(name, 0.0)
                ready[name] = begun
        played.append(Turn(worker, group.names))
        room[worker] -= len(group.names)
        if room[worker]:
            heapq.heappush(free, (begun + group.seconds, worker))
    return played


def _rank(
    group: Group, installations: Mapping[str, float], ready: Mapping[str, float], now: float
) -> tuple[bool, float, tuple[str, ...]]:
    """The lower, the sooner: those that need not wait, then the most expensive, then by name."""
    waits = any(ready.get(name, 0.0) > now for name in group.topologies)
    installing = sum(installations.get(name, 0.0) for name in group.topologies if name not in ready)
    return waits, -(group.seconds + installing), group.names


def places_of(count: int, workers: int) -> list[int]:
    """How many of ``count`` tests in a row xdist gives each worker at first, when they may steal from each other."""
    places = []
    for worker in range(workers):
        places.append(count // (workers - worker))
        count -= places[-1]
    return places


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's option."""
    group = parser.getgroup("schedule", "the order of scenarios")
    group.addoption("--update-durations", action="store_true", help=f"write what the run measured to {KEPT.name}")


def pytest_configure(config: pytest.Config) -> None:
    """Measure where that was asked for; workers hand their reports on."""
    if config.getoption("--update-durations") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Measuring(), "schedule-measuring")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker how tests are dealt, which xdist itself does not."""
    node.workerinput["dealt"] = node.config.option.dist


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Order what was chosen, the same on every worker: xdist wants that."""
    yield
    workerinput = getattr(config, "workerinput", None)
    if workerinput is None or not any(SCENARIOS in item.path.parents for item in items):
        return
    durations = Durations.read()
    by_name = {item.nodeid: item for item in items}
    groups = list(_groups(items, durations))
    workers = int(workerinput["workercount"])
    # Where tests are stolen, a worker begins with so many in a row; else they are handed out one after the other.
    steals = workerinput.get("dealt") == "worksteal"
    places = places_of(len(items), workers) if steals else [len(items)] * workers
    order = turns(groups, durations.installations, places)
    if steals:
        order.sort(key=lambda turn: turn.worker)
    items[:] = [by_name[name] for turn in order for name in turn.names]


def _groups(items: Iterable[pytest.Item], durations: Durations) -> Iterator[Group]:
    together: dict[str, list[pytest.Item]] = {}
    for item in items:
        shares = SHARED in getattr(item, "fixturenames", ())
        together.setdefault(str(item.path) if shares else item.nodeid, []).append(item)
    for members in together.values():
        known = [durations.of(item.nodeid, _declared(item)) for item in members]
        topologies = dict.fromkeys(name for one in known for name in one.topologies)
        yield Group(tuple(item.nodeid for item in members), sum(one.seconds for one in known), tuple(topologies))


def _declared(item: pytest.Item) -> tuple[str, ...]:
    """The topology of a scenario that nobody has seen: it may be marked with one."""
    mark = item.get_closest_marker("topology")
    return (str(mark.args[0]),) if mark else ("single",)


class _Measuring:
    """Adds up what scenarios took, phase by phase, and keeps it at the end."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._topologies: dict[str, dict[str, None]] = {}
        self._installations: dict[str, float] = {}
        self._bad: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid
        waited = 0.0
        for kind, value in report.user_properties:
            if kind == REALM and isinstance(value, (list, tuple)):
                topology, seconds = str(value[0]), float(value[1])
                self._topologies.setdefault(name, {})[topology] = None
                waited += seconds
                self._installations[topology] = max(self._installations.get(topology, 0.0), seconds)
        self._seconds[name] = self._seconds.get(name, 0.0) + max(0.0, report.duration - waited)
        if not report.passed:
            self._bad.add(name)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        durations = Durations.read()
        for name, seconds in self._seconds.items():
            if name.startswith(f"{SCENARIOS.name}/") and name not in self._bad:
                durations.scenarios[name] = Known(seconds, tuple(self._topologies.get(name, ())))
        for topology, seconds in self._installations.items():
            if seconds >= _INSTALLATION:
                durations.installations[topology] = seconds
        durations.write()
