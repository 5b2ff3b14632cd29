"""Every documented case notices when ``ipa-restore`` leaves something out and says that all went well."""

from __future__ import annotations

import inspect

import ldap
import pytest

from lab.errors import CommandFailed, TimedOut
from scenarios.cases import CASES, Case
from scenarios.checks import Outline
from scenarios.mutants import MutantProduct

#: How a scenario says that something is not as it should be.  What goes wrong in the lab itself is none of these.
NOTICED = (AssertionError, CommandFailed, TimedOut, ldap.LDAPError)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each case with each of its mutants, on the case's own topology."""
    every = metafunc.config.getoption("--all-mutants")
    runs = [
        pytest.param(
            case,
            mutant,
            marks=[mark for mark in getattr(case.scenario, "pytestmark", []) if mark.name == "topology"],
            id=f"{case.row}-{mutant}",
        )
        for case in CASES
        for mutant in (*case.mutants, *(case.long if every else ()))
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
    arguments = {
        name: case.arguments[name] if name in case.arguments else request.getfixturevalue(name)
        for name in inspect.signature(case.scenario).parameters
    }
    with pytest.raises(NOTICED) as noticed:
        case.scenario(**arguments)
    runs = put_product.runs()
    assert runs, f"nothing was restored before this was noticed: {noticed.value}"
    assert all(line.startswith(f"{mutant}: ") for line in runs)
    print(f"noticed: {noticed.value}")
