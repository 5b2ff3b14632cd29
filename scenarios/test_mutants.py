"""Every documented case notices when ``ipa-restore`` leaves something out and says that all went well."""

from __future__ import annotations

import pytest

from scenarios.cases import CASES, Case
from scenarios.checks import Outline
from scenarios.mutants import MutantProduct, assert_noticed


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each case with each of its mutants, on the case's own topology."""
    runs = [
        pytest.param(
            case,
            mutant,
            marks=[mark for mark in case.marks if mark.name == "topology"],
            id=f"{case.row}-{mutant}",
        )
        for case in CASES
        if not case.stages
        for mutant in case.mutants
    ]
    metafunc.parametrize(("case", "mutant"), runs)


@pytest.fixture
def put_product(mutant: str) -> MutantProduct:
    """The product that realms get here."""
    return MutantProduct(mutant)


def test_mutant_is_noticed(
    case: Case,
    mutant: str,
    put_product: MutantProduct,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Outline, "one_is_enough", True)
    assert_noticed(put_product, case.bound(request))
