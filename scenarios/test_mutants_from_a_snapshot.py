"""The same where it takes minutes until a server can be restored: all mutants begin with one snapshot of it."""

from __future__ import annotations

import pytest

from lab.realm import Realm
from scenarios.cases import CASES, Case
from scenarios.checks import Outline
from scenarios.mutants import MutantProduct, assert_noticed


@pytest.mark.parametrize("case", [pytest.param(case, id=case.row) for case in CASES if case.stages])
@pytest.mark.topology("selinux")
def test_mutant_after_mutant_is_noticed(case: Case, realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Outline, "one_is_enough", True)
    assert case.stages
    get_ready, go_on = case.stages
    known = get_ready(realm.master)
    snapshot = realm.snapshot(say=print)
    for name in case.mutants:
        print(f"mutant: {name}")
        realm.revert(snapshot)
        mutant = MutantProduct(name)
        mutant(realm.master)
        assert_noticed(mutant, lambda: go_on(realm.master, known))
