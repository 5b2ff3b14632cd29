"""What is asked of a running directory server, and what becomes of its answers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import ldap
import pytest

from ipabackup.directory import connection
from ipabackup.errors import DirectoryDied, DirectoryFailure


class _Tombstones:
    """A directory with tombstones of changes with these numbers, besides the entry of the update vector."""

    def __init__(self, *changes: str) -> None:
        self._changes = changes
        self.filter = ""

    def search_s(self, suffix: str, scope: int, wanted: str, names: list[str]) -> list[tuple[str | None, Any]]:
        self.filter = wanted
        found = [(f"nsuniqueid={change},{suffix}", {"nstombstonecsn": [change.encode()]}) for change in self._changes]
        return [*found, (None, ["ldap://elsewhere.example.test"]), (f"nsuniqueid=ffff,{suffix}", {})]


@pytest.mark.row("R14")
def test_entries_deleted_since_are_those_whose_change_is_not_older(monkeypatch: pytest.MonkeyPatch) -> None:
    since = datetime(2026, 11, 26, 12, 0, tzinfo=timezone.utc)
    seconds = int(since.timestamp())
    directory = _Tombstones(*(f"{moment:08x}000000040000" for moment in (seconds - 1, seconds, seconds + 7)))

    @contextmanager
    def connected(uri: str) -> Iterator[_Tombstones]:
        yield directory

    monkeypatch.setattr(connection, "connected", connected)
    assert connection.count_deleted("ldapi://socket", "dc=example,dc=test", since) == 2
    assert "(!(createTimestamp>=20261126120000Z))" in directory.filter, "what came since was not restored"


@pytest.mark.row("R14")
@pytest.mark.parametrize(
    ("error", "expected"),
    [(ldap.SERVER_DOWN(), DirectoryDied), (ldap.CONNECT_ERROR(), DirectoryDied), (ldap.BUSY(), ldap.BUSY)],
)
def test_a_server_that_ends_while_it_is_asked_is_told_from_one_that_says_no(
    monkeypatch: pytest.MonkeyPatch, error: ldap.LDAPError, expected: type[Exception]
) -> None:
    class Connection:
        ended = 0

        def unbind_s(self) -> None:
            self.ended += 1

    opened = Connection()
    monkeypatch.setattr(connection, "_waited_for", lambda uri, patience: opened)
    with pytest.raises(expected), connection.connected("ldapi://socket"):
        raise error
    assert opened.ended == 1


class _Sleeper:
    """A directory server that answers nothing until somebody else connects to it."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self.uri = f"ldapi://{quote(str(path), safe='')}"
        self.woken = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asking, _ = self._listener.accept()
        with asking:
            number = asking.recv(4096)[4]
            waking, _ = self._listener.accept()
            waking.close()
            self.woken += 1
            # A bind's answer (RFC 4511, 4.2.2): success, no matched name, no text.
            asking.sendall(bytes.fromhex(f"300c0201{number:02x}61070a010004000400"))
            asking.recv(4096)

    def close(self) -> None:
        self._thread.join(10)
        self._listener.close()


def test_a_server_that_does_not_answer_is_woken(tmp_path: Path) -> None:
    server = _Sleeper(tmp_path / "socket")
    asking = connection.LocalConnection(server.uri)
    asking.result(asking.simple_bind(), timeout=30)
    asking.unbind_s()
    server.close()
    assert server.woken == 1


@pytest.mark.row("R14")
def test_a_server_that_takes_a_connection_and_answers_nothing_is_waited_for_as_long_as_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_LEAST", 0.1)
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen()
        began = time.monotonic()
        with (
            pytest.raises(DirectoryFailure, match="does not answer"),
            connection.connected(f"ldapi://{quote(str(path), safe='')}", patience=0.5),
        ):
            pass
    assert 0.5 <= time.monotonic() - began < 10
