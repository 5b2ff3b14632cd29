"""The order of scenarios: longest first, nobody waits for another's installation, those that share stay together."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.plugins.schedule import Durations, Group, Known, places_of, turns

NAMES = st.lists(st.floats(0.1, 100), min_size=1, max_size=30)


def queues(groups: list[Group], installations: dict[str, float], places: list[int]) -> list[list[str]]:
    played = turns(groups, installations, places)
    return [[name for turn in played if turn.worker == worker for name in turn.names] for worker in range(len(places))]


def one(name: str, seconds: float, *topologies: str) -> Group:
    return Group((name,), seconds, topologies)


@given(NAMES, st.integers(1, 5))
def test_every_scenario_is_dealt_once_and_fills_the_places(seconds: list[float], workers: int) -> None:
    groups = [one(f"t{number}", cost, f"top{number % 3}") for number, cost in enumerate(seconds)]
    places = places_of(len(groups), workers)
    dealt = queues(groups, {"top1": 40.0}, places)
    assert [len(queue) for queue in dealt] == places
    assert sorted(chain(*dealt)) == sorted(group.names[0] for group in groups)


@given(NAMES, st.integers(1, 4))
def test_the_longest_begin_and_the_shortest_end(seconds: list[float], workers: int) -> None:
    cost = {f"t{number}": value for number, value in enumerate(seconds)}
    dealt = queues([one(name, value) for name, value in cost.items()], {}, places_of(len(cost), workers))
    for queue in dealt:
        assert [cost[name] for name in queue] == sorted((cost[name] for name in queue), reverse=True)
    firsts = sorted((cost[queue[0]] for queue in dealt if queue), reverse=True)
    assert firsts == sorted(seconds, reverse=True)[: len(firsts)]


def test_two_workers_do_not_begin_with_the_same_installation() -> None:
    groups = [one("a", 50, "star"), one("b", 49, "star"), one("c", 1, "pair"), one("d", 1, "pair")]
    first, second = queues(groups, {"star": 100.0, "pair": 30.0}, [2, 2])
    assert first[0] == "a"
    assert second == ["c", "d"]


def test_an_installation_counts_for_its_first_user() -> None:
    first, second = queues([one("short", 5, "line"), one("long", 60, "single")], {"line": 100.0}, [1, 1])
    assert (first, second) == (["short"], ["long"])


def test_those_that_share_a_realm_stay_together_where_there_is_room() -> None:
    shared = Group(("s1", "s2", "s3"), 90, ("single",))
    dealt = queues([one("a", 80), one("b", 20), one("c", 10), shared], {}, [3, 3])
    assert dealt == [["s1", "s2", "s3"], ["a", "b", "c"]]
    assert queues([shared], {}, [2, 1]) == [["s1", "s2"], ["s3"]]


def test_durations_come_back_as_they_were_kept(tmp_path: Path) -> None:
    kept = Durations({"scenarios/test_x.py::test_a": Known(12.0, ("pair",))}, {"pair": 30.0})
    kept.write(tmp_path / "durations.json")
    assert Durations.read(tmp_path / "durations.json") == kept
    assert Durations.read(tmp_path / "none.json") == Durations()
    assert kept.of("scenarios/test_x.py::test_new", ("line",)) == Known(12.0, ("line",))
