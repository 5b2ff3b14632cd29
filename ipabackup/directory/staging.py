"""Folders for copies of the directory's data on their way into or out of a backup.

The server's tools give up root's rights, so they can read and write only where the instance's own account can: beside
the instance's own backups.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

PREFIX = ".ipabackup-"


def make_staging(home: Path, user: str) -> Path:
    """A new folder (0700) of `user` in `home`, which is made, as that user's, when it is missing."""
    owned_folder(home, user)
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=home))
    shutil.chown(made, user)
    return made


def remove_leftovers(home: Path) -> list[Path]:
    """Remove what killed commands left in `home`; to be called under the operation's lock.  Returns what it was."""
    old = sorted(home.glob(f"{PREFIX}*"))
    for folder in old:
        shutil.rmtree(folder)
    return old


def owned_folder(path: Path, user: str) -> None:
    """Make `path` and its missing parents; the ones that are made belong to `user`."""
    missing = [place for place in (path, *path.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(mode=0o770)
        shutil.chown(place, user, user)
