"""Putting the members of a payload on the disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ipabackup.archive.member import Member
from ipabackup.archive.reader import PayloadReader


class Owners(Protocol):
    """Turns a recorded owner into a number on this host; the name counts, not the number."""

    def uid(self, name: str, number: int) -> int: ...

    def gid(self, name: str, number: int) -> int: ...


@dataclass(frozen=True)
class Destination:
    """Where a member goes: ``path`` is relative to ``root``, and never leaves it."""

    root: Path
    path: str


@dataclass(frozen=True)
class Failure:
    """A path that could not be restored, or not wholly, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Extracted:
    """The outcome.  ``restored`` and ``skipped`` count members; ``failures`` are named, and never silent."""

    restored: int
    skipped: int
    data_size: int
    failures: tuple[Failure, ...]
    notes: tuple[str, ...] = ()


def extract(
    reader: PayloadReader,
    choose: Callable[[Member], Destination | None],
    owners: Owners,
    *,
    progress: Callable[[int], None] | None = None,
) -> Extracted:
    """Restore every member for which ``choose`` names a destination, in one pass over the payload.

    ``progress`` gets the bytes of file data read so far.
    """
    raise NotImplementedError
