"""The documented cases again, where everything is as different as it can be: other names, no DNS, other databases.

What a case takes for granted of the lab's usual servers shows here.
"""

from __future__ import annotations

import inspect

import pytest

from lab.realm import Realm
from scenarios import test_replicas
from scenarios.cases import CASES, Case
from scenarios.conftest import RealmMaker

#: A server that has no CA either; and for cases that want more than a server, what they get.
SERVER = "corp"
REALMS = {"T8": "corp-spare", "T10": "corp-line", "T11": "corp-line", "T12": "corp-spare", "T14": "corp-line"}
#: Troubleshooting restores nothing, and so is none of the cases that mutants are run in: scenario → what it gets.
TROUBLES = {
    test_replicas.test_a_replica_from_its_file_after_the_authoritys_port_was_taken: "corp-spare",
    test_replicas.test_replication_by_tickets_resumes_by_itself_once_there_is_a_kdc: "corp-line",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every such case here."""
    metafunc.parametrize(
        ("case", "topology"),
        [pytest.param(case, name, id=f"{case.row}-{name}", marks=_rows(case)) for case, name in cases()],
    )


def cases() -> list[tuple[Case, str]]:
    """Every case that is about one server, with what any server has, and some that are about several; and where."""
    found = [(case, REALMS.get(case.row, SERVER)) for case in CASES if case.row in REALMS or _is_about_one(case)]
    return [*found, *((Case("T15", scenario, ()), name) for scenario, name in TROUBLES.items())]


def _is_about_one(case: Case) -> bool:
    """Whether all that a case wants is the usual server."""
    needs = set(inspect.signature(case.scenario).parameters)
    return needs <= {"master", "form"} and not any(mark.name == "topology" for mark in case.marks)


def _rows(case: Case) -> list[pytest.Mark]:
    return [mark for mark in case.marks if mark.name == "row"]


@pytest.fixture
def realm(make_realm: RealmMaker, topology: str) -> Realm:
    """The realm of a case, here."""
    return make_realm(topology)


@pytest.mark.row("L4")
def test_the_case_runs_in_another_kind_of_realm(case: Case, realm: Realm, request: pytest.FixtureRequest) -> None:
    assert realm.topology.realm == "IDM.CORP-2.EXAMPLE.ORG"
    case.bound(request)()
