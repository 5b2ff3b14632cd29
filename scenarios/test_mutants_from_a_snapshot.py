"""The same where it takes long until a server can be restored: all mutants begin with one snapshot of it."""

from __future__ import annotations

import pytest

from lab.realm import Realm
from scenarios.cases import CASES, Case
from scenarios.checks import Outline
from scenarios.mutants import MutantProduct, assert_noticed


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each case of two stages, on its own topology."""
    staged = [case for case in CASES if case.stages]
    marks = {case.row: [mark for mark in case.marks if mark.name == "topology"] for case in staged}
    metafunc.parametrize("case", [pytest.param(case, id=case.row, marks=marks[case.row]) for case in staged])


def test_mutant_after_mutant_is_noticed(case: Case, realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Outline, "one_is_enough", True)
    assert case.stages
    get_ready, go_on = case.stages
    known = get_ready(realm.master)
    snapshot, untouched = realm.snapshot(say=print), False
    for name in case.mutants:
        print(f"mutant: {name}")
        if not untouched:
            realm.revert(snapshot)
        # What one that does nothing leaves behind is what it found.
        untouched = name == "everything"
        mutant = MutantProduct(name)
        mutant(realm.master)
        assert_noticed(mutant, lambda: go_on(realm.master, known))
