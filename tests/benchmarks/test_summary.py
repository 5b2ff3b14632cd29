"""Medians, ratios and verdicts."""

import dataclasses

import pytest

from benchmarks.cases import CASES, DOCUMENTED, MIB, OURS, Run, case_of
from benchmarks.measure import order
from benchmarks.report import BEGIN, END, markdown, write_between
from benchmarks.results import Results
from benchmarks.summary import Comparison, compare, peak_memory, verdicts


def run(side: str, case: str = "full", users: int = 100_000, **values: object) -> Run:
    base = Run(users, case, side, wall=10, ldap_down=10, kdc_down=10, https_down=10, disk=10 * MIB, lost=0)
    return dataclasses.replace(base, **values)  # type: ignore[arg-type]


def comparison(runs: list[Run], case: str, measure: str) -> Comparison:
    [found] = [one for one in compare(runs) if one.case.name == case and one.measure.name == measure]
    return found


def test_the_ratio_is_that_of_the_medians() -> None:
    runs = [run(DOCUMENTED, wall=wall) for wall in (10, 100, 20)] + [run(OURS, wall=wall) for wall in (1, 90, 5)]
    assert comparison(runs, "full", "wall").ratio == pytest.approx(0.25)


@pytest.mark.parametrize(("ours", "holds"), [(4.0, True), (4.1, False)])
def test_a_ratio_may_be_as_high_as_its_limit_and_no_higher(ours: float, holds: bool) -> None:
    assert comparison([run(DOCUMENTED), run(OURS, wall=ours)], "full", "wall").holds is holds


@pytest.mark.parametrize(("ours", "holds"), [(10.0, True), (10.1, False)])
def test_with_fewer_users_no_ratio_exceeds_one(ours: float, holds: bool) -> None:
    runs = [run(DOCUMENTED, users=1000), run(OURS, users=1000, wall=ours)]
    assert comparison(runs, "full", "wall").holds is holds


@pytest.mark.parametrize("users", [1000, 100_000])
def test_a_downtime_of_none_is_demanded_at_every_size_whatever_the_documented_one(users: int) -> None:
    for ours, holds in ((0.0, True), (0.05, False)):
        runs = [run(DOCUMENTED, users=users), run(OURS, "full-hot", users, ldap_down=ours)]
        assert comparison(runs, "full-hot", "ldap_down").holds is holds


def test_a_hot_backup_is_compared_with_the_documented_full_one() -> None:
    runs = [run(DOCUMENTED, wall=10), run(OURS, "full-hot", wall=3)]
    assert comparison(runs, "full-hot", "wall").ratio == pytest.approx(0.3)


def test_nothing_is_said_where_one_side_was_not_measured() -> None:
    assert comparison([run(OURS)], "full", "wall").holds is None


def test_something_where_the_documented_procedure_has_nothing_breaks_the_limit() -> None:
    found = comparison([run(DOCUMENTED, disk=0), run(OURS, disk=MIB)], "full", "disk")
    assert found.ratio is None
    assert found.holds is False


def test_every_broken_limit_is_named() -> None:
    broken, looked_at = verdicts([run(DOCUMENTED), run(OURS, ldap_down=1, wall=9, disk=MIB, memory=300 * MIB)])
    assert looked_at == 4
    assert len(broken) == 2
    assert "wall 9.0 to 10.0 s, ratio 0.90, limit 0.4" in broken[0]
    assert "300 MiB, limit 200 MiB" in broken[1]


def test_memory_is_judged_by_the_worst_run() -> None:
    assert peak_memory([run(DOCUMENTED), run(OURS, memory=50 * MIB), run(OURS, memory=70 * MIB)]) == 70


def test_the_limits_are_those_that_were_set() -> None:
    rows = {case.name: dict(case.limits) for case in CASES if case.limits}
    assert rows == {
        "full": {"ldap_down": 0.25, "wall": 0.4, "size": 0.55, "disk": 0.9},
        "full-hot": {"ldap_down": 0, "wall": 0.35, "size": 0.55, "disk": 0.9},
        "data-offline": {"ldap_down": 0.3, "wall": 0.4, "size": 0.55, "disk": 0.9},
        "data-online": {"ldap_down": 0, "wall": 0.6, "size": 0.55, "disk": 0.9},
        "restore-full": {"ldap_down": 0.2, "wall": 0.3, "disk": 0.6},
        "restore-data": {"ldap_down": 0.2, "wall": 0.25, "disk": 0.6},
    }


def test_the_sides_take_turns_and_a_hot_backup_shares_the_documented_run_of_a_full_one() -> None:
    runs = [(side, case.name) for side, case in order([case_of("full"), case_of("full-hot"), case_of("data-online")])]
    assert runs == [
        (DOCUMENTED, "full"),
        (OURS, "full"),
        (OURS, "full-hot"),
        (DOCUMENTED, "data-online"),
        (OURS, "data-online"),
    ]
    assert [side for side, _ in order([case_of("full-hot")])] == [DOCUMENTED, OURS]


def results() -> Results:
    ours = run(OURS, ldap_down=2, wall=9, size=5 * MIB, memory=80 * MIB, failures=("no | answer",))
    runs = [run(DOCUMENTED, size=10 * MIB), ours]
    return Results("2026-01-01", {"memory": "1 GiB"}, runs, {100_000: 1}, ["noise"], ["gone\nwrong"])


def test_the_report_shows_what_holds_what_does_not_and_what_failed_on_the_way() -> None:
    report = markdown(results())
    assert "| downtime of the directory | 0.20 (≤ 0.25) ✓ |" in report
    assert "| wall | 0.90 (≤ 0.4) ✗ |" in report
    assert "| size, MiB | 10.0 → 5.00 |" in report
    assert "**3 of 5 limits hold.**" in report
    assert "- noise" in report
    assert "- ✗ gone wrong" in report
    assert "failed once before it went well" in report


def test_figures_replace_those_before_and_nothing_else() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    written = write_between(write_between(text, "new"), "newer")
    assert written == f"before\n{BEGIN}\n\nnewer\n{END}\nafter\n"
    with pytest.raises(ValueError, match="no lines"):
        write_between("nothing", "new")


def test_results_are_read_as_they_were_written(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("results") / "results.json"
    results().write(path)
    assert Results.read(path) == results()
