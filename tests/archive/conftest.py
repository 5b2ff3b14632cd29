"""Backups for the archive's tests."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ipabackup.archive.gpg import Keyring, check_encryption, keyring
from ipabackup.archive.header import BackupType, Header
from ipabackup.archive.publish import PartialBackup
from ipabackup.archive.writer import SPLICED_FROM, PayloadWriter
from ipabackup.host.processes import SystemProcesses

MOMENT = datetime(2026, 11, 21, 21, 21, 22, tzinfo=timezone.utc)
KEY = Path(__file__).parents[1] / "fixtures" / "throwaway"
"""A key of the tests' own, as the two files that ``--gpg-keyring`` takes by their prefix."""
FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures" / "freeipa-4.13-debian"


def acl_attribute(*entries: tuple[int, int, int]) -> bytes:
    """The kernel's form of an access control list."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def backup_of(
    folder: Path, fill: Callable[[PayloadWriter], object], ring: Keyring | None = None, spliced_from: int = SPLICED_FROM
) -> Path:
    """A published full backup under ``folder`` with what ``fill`` wrote."""
    partial = PartialBackup.create(folder, full=True, moment=MOMENT)
    name = "ipa-full.tar.gpg" if ring else "ipa-full.tar"
    with PayloadWriter(partial.path / name, threads=0, keyring=ring, spliced_from=spliced_from) as writer:
        fill(writer)
        sealed = writer.close()
    header = Header(BackupType.FULL, MOMENT, "ipa1.example.test", "4.12.0", encryption="gpg" if ring else "none")
    return partial.publish(
        header.sealed(
            payload=name,
            size=sealed.size,
            sha256=sealed.sha256,
            uncompressed_size=sealed.uncompressed_size,
        ).render()
    )


@pytest.fixture
def stock_backups() -> Path:
    """Backups that a real FreeIPA wrote; they are not part of the project."""
    if not FIXTURES.is_dir():
        pytest.skip(f"{FIXTURES} is not here")
    return FIXTURES


@pytest.fixture(scope="session")
def key() -> Iterator[Keyring]:
    """A keyring with one key, proven to work."""
    processes = SystemProcesses()
    with keyring(str(KEY), processes) as ring:
        yield check_encryption(ring, processes)
