"""Reading the payload of a backup, whichever format it has."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from ipabackup.archive.gpg import Keyring
from ipabackup.archive.header import Header
from ipabackup.archive.member import Member


@dataclass(frozen=True)
class Verified:
    """What a complete reading of a payload found: number of members, and bytes of file data by top folder."""

    members: int
    data_size: int


class PayloadReader(Protocol):
    """A payload that can be read from its beginning any number of times."""

    header: Header

    def members(self) -> Iterator[tuple[Member, BinaryIO | None]]:
        """Every member in order, names as in ``layout``, regular files with a stream of their data.

        The stream is valid until the next member is asked for.  At the end everything is checked as by
        verify(); raises DamagedBackup, WrongKey, KeyProblem.
        """
        ...

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        """The content of these (small) regular members; stops reading when all are found; absent ones are
        left out.
        """
        ...

    def verify(self) -> Verified:
        """Read everything once and check it: size, digest, every member's digest, the end.  Raises
        DamagedBackup.
        """
        ...


def read_header(backup: Path) -> Header:
    """The header of the backup in this folder; raises NotABackup, DamagedBackup, UnsupportedFormat."""
    raise NotImplementedError


def payload_path(backup: Path, header: Header) -> Path:
    """The payload's path; raises DamagedBackup when it is missing or has another size than the header says."""
    raise NotImplementedError


def open_payload(backup: Path, keyring: Keyring | None = None) -> PayloadReader:
    """A reader for the backup in this folder.  Raises what read_header and payload_path raise, and
    KeyProblem.
    """
    raise NotImplementedError
