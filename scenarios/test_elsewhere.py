"""The documented cases again, on a server as different as one can be: other names, no CA, no DNS, other databases.

What a case takes for granted of the lab's usual server shows here.
"""

from __future__ import annotations

import inspect

import pytest

from lab.realm import Realm
from scenarios.cases import CASES, Case
from scenarios.conftest import RealmMaker

ELSEWHERE = "corp"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every such case here."""
    metafunc.parametrize("case", [pytest.param(case, id=case.row, marks=_rows(case)) for case in cases()])


def cases() -> list[Case]:
    """Every case that is about one server, with what any server has."""
    one_server = [case for case in CASES if set(inspect.signature(case.scenario).parameters) <= {"master", "form"}]
    return [case for case in one_server if not any(mark.name == "topology" for mark in _marks(case))]


def _rows(case: Case) -> list[pytest.Mark]:
    return [mark for mark in _marks(case) if mark.name == "row"]


def _marks(case: Case) -> list[pytest.Mark]:
    return list(getattr(case.scenario, "pytestmark", []))


@pytest.fixture
def realm(make_realm: RealmMaker) -> Realm:
    """The realm that a scenario's master is of, here."""
    return make_realm(ELSEWHERE)


@pytest.mark.row("L4")
def test_the_case_runs_on_another_kind_of_server(case: Case, realm: Realm) -> None:
    assert realm.topology.realm == "IDM.CORP-2.EXAMPLE.ORG"
    case.scenario(master=realm.master, **case.arguments)
