"""Making a backup appear whole or not at all.

A backup is written into a hidden folder beside its final place and published by a rename, after everything
in it is on the disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from ipabackup.archive.layout import HEADER
from ipabackup.errors import IpaBackupError

PARTIAL = ".partial"


@dataclass(frozen=True)
class PartialBackup:
    """A backup that is being written: its hidden folder, and the path that it will get."""

    path: Path
    parent: Path
    name: str

    @classmethod
    def create(cls, parent: Path, *, full: bool, moment: datetime) -> PartialBackup:
        """Make the folder for a backup of ``moment`` under ``parent``, which is made (0700) when it is
        missing.

        The final name is ``ipa-full-YYYY-MM-DD-HH-MM-SS`` or ``ipa-data-…`` in UTC; when it is taken,
        ``-1``, ``-2`` … is appended.
        """
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        stamp = moment.astimezone(timezone.utc).strftime("%Y-%m-%d-%H-%M-%S")
        base = f"ipa-{'full' if full else 'data'}-{stamp}"
        for name in _candidates(base):
            if os.path.lexists(parent / name):
                continue
            path = parent / f".{name}{PARTIAL}"
            try:
                path.mkdir(mode=0o700)
            except FileExistsError:
                continue
            # mkdir's mode is subject to the umask in one direction only; a default ACL of the parent is not.
            path.chmod(0o700)
            return cls(path, parent, name)
        raise IpaBackupError(f"every name from {base} on is taken in {parent}")

    def publish(self, header: str) -> Path:
        """Write the header, bring everything to the disk, give the folder its name; returns the final path."""
        header_path = self.path / HEADER
        with header_path.open("x", encoding="utf-8") as file:
            header_path.chmod(0o600)
            file.write(header)
        for entry in self.path.iterdir():
            _sync(entry)
        _sync(self.path)
        for name in _candidates(self.name):
            final = self.parent / name
            if os.path.lexists(final):
                continue
            # rename(2) refuses to replace a folder that holds anything, so even a race cannot overwrite a
            # backup.
            try:
                self.path.rename(final)
            except OSError as error:
                if os.path.lexists(final):
                    continue
                raise IpaBackupError(f"{self.path} could not be renamed to {final}: {error}") from error
            _sync(self.parent)
            return final
        raise IpaBackupError(f"every name from {self.name} on is taken in {self.parent}")

    def discard(self) -> None:
        """Remove the folder and what was written so far; nothing happens when it is gone already."""
        if self.path.exists():
            shutil.rmtree(self.path)


def leftovers(parent: Path) -> tuple[Path, ...]:
    """Folders of backups that were never published (a killed command): to be removed under the operation's
    lock.
    """
    if not parent.is_dir():
        return ()
    return tuple(sorted(path for path in parent.glob(f".ipa-*{PARTIAL}") if path.is_dir() and not path.is_symlink()))


def _candidates(base: str) -> Iterator[str]:
    yield base
    for number in range(1, 1000):
        yield f"{base}-{number}"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
