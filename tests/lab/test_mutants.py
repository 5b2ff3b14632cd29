"""The mutants of ipa-restore: which case each is to be killed by, and that they are what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios import test_elsewhere
from scenarios.cases import CASES
from scenarios.inside import mutant
from scenarios.mutants import LOG, MUTANTS, page

PAGE = Path(__file__).parents[2] / "docs" / "mutants.md"


def test_the_documented_list_is_the_one_that_runs() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m scenarios.mutants >docs/mutants.md"


def test_each_case_that_restores_has_mutants_and_each_mutant_a_case() -> None:
    assert [case.row for case in CASES] == [f"T{number}" for number in range(1, 17) if number != 15]
    assert all("everything" in case.mutants for case in CASES)
    assert {name for case in CASES for name in case.mutants} == set(MUTANTS)


def test_a_mutant_that_does_nothing_says_that_all_went_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(mutant.LOG) == LOG
    monkeypatch.setattr(mutant, "LOG", tmp_path / "log")
    assert mutant.main("everything", ["-U", "ipa-full-2026"]) == 0
    assert (tmp_path / "log").read_text() == "everything: -U ipa-full-2026\n"


def test_the_cases_of_one_usual_server_run_elsewhere_too_and_some_of_several() -> None:
    rows = [1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 15, 15]
    assert [case.row for case, _ in test_elsewhere.cases()] == [f"T{number}" for number in rows]
