"""What is asked of a running directory server, and what becomes of its answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import pytest

from ipabackup.directory import connection


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
