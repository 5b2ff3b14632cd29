"""Tasks of a running directory server: what its answers, and its silence, are taken for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ldap
import pytest

from ipabackup.directory import tasks
from ipabackup.errors import DirectoryDied, DirectoryFailure


class _Server:
    """Takes one task, and answers what each of `answers` returns or raises, the last one for ever."""

    def __init__(self, *answers: Callable[[], dict[str, list[bytes]]], refuses: ldap.LDAPError | None = None) -> None:
        self._answers = list(answers)
        self._refuses = refuses
        self.added: list[str] = []

    def add_s(self, dn: str, entry: object) -> None:
        if self._refuses is not None:
            raise self._refuses
        self.added.append(dn)

    def search_s(self, dn: str, scope: int, attrlist: list[str]) -> list[tuple[str, dict[str, list[bytes]]]]:
        assert dn == self.added[-1]
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [(dn, answer())]


def _goes_on() -> dict[str, list[bytes]]:
    return {"nsTaskStatus": [b"Beginning"]}


def _ended(code: bytes) -> Callable[[], dict[str, list[bytes]]]:
    return lambda: {"nsTaskExitCode": [code], "nsTaskLog": [b"first line\nthe reason"]}


def _fails(error: ldap.LDAPError) -> Callable[[], dict[str, list[bytes]]]:
    def answer() -> dict[str, list[bytes]]:
        raise error

    return answer


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[[_Server], _Server]:
    def serve(server: _Server) -> _Server:
        @contextmanager
        def connected(uri: str) -> Iterator[Any]:
            yield server

        monkeypatch.setattr(tasks, "connected", connected)
        return server

    return serve


@pytest.mark.row("B2", "R2")
def test_a_task_is_waited_for(serve: Callable[[_Server], _Server]) -> None:
    server = serve(_Server(_goes_on, _goes_on, _ended(b"0")))
    tasks.import_online("ldapi://socket", "userRoot", Path("/var/lib/data.ldif"))
    (dn,) = server.added
    assert dn.endswith(",cn=import,cn=tasks,cn=config")


@pytest.mark.row("R14")
def test_a_task_that_failed_tells_why(serve: Callable[[_Server], _Server]) -> None:
    serve(_Server(_goes_on, _ended(b"-23")))
    with pytest.raises(DirectoryFailure, match=r"backup task failed with code -23.*the reason"):
        tasks.backup_online("ldapi://socket", Path("/var/lib/copy"))


@pytest.mark.row("R14")
@pytest.mark.parametrize("error", [ldap.SERVER_DOWN(), ldap.CONNECT_ERROR(), ldap.UNAVAILABLE()])
def test_a_server_that_ends_before_its_task_is_told_from_one_whose_task_failed(
    serve: Callable[[_Server], _Server], error: ldap.LDAPError
) -> None:
    serve(_Server(_goes_on, _fails(error)))
    with pytest.raises(DirectoryDied, match="middle of the import task"):
        tasks.import_online("ldapi://socket", "userRoot", Path("/var/lib/data.ldif"))
    serve(_Server(refuses=error))
    with pytest.raises(DirectoryDied):
        tasks.restore_online("ldapi://socket", Path("/var/lib/copy"))


@pytest.mark.row("R14")
def test_a_task_that_is_not_taken_or_vanishes_is_a_failure(serve: Callable[[_Server], _Server]) -> None:
    serve(_Server(refuses=ldap.INSUFFICIENT_ACCESS()))
    with pytest.raises(DirectoryFailure, match="does not take") as refused:
        tasks.restore_online("ldapi://socket", Path("/var/lib/copy"))
    serve(_Server(_fails(ldap.NO_SUCH_OBJECT())))
    with pytest.raises(DirectoryFailure, match="vanished") as vanished:
        tasks.restore_online("ldapi://socket", Path("/var/lib/copy"))
    assert DirectoryDied not in (type(refused.value), type(vanished.value))
