"""Keeping an instance's present databases while others take their place, so that a failed restore can put them back."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from ipabackup.host.files import empty


def keep(home: Path, aside: Path, *, needed: bool) -> None:
    """Keep what is in the database folder `home` in the new folder `aside`.

    `needed` databases stay where they are as well, for an import that works on them; others are only moved, which takes
    no time and no space, if the file system lets them.  Raises OSError; everything is then where it was.
    """
    aside.mkdir()
    try:
        for entry in sorted(home.iterdir()):
            if needed:
                _copy(entry, aside / entry.name)
            else:
                _rename_or_copy(entry, aside / entry.name)
    except BaseException:
        for entry in aside.iterdir():
            if not os.path.lexists(home / entry.name):
                _rename_or_copy(entry, home / entry.name)
        raise


def put_back(aside: Path, home: Path) -> None:
    """Replace whatever is in the database folder `home` by what was kept in `aside`.

    Raises OSError; what was put back by then stays where it is, and the next call goes on.
    """
    emptied = aside.with_name(f"{aside.name}.home-is-emptied")
    if not emptied.exists():
        empty(home)
        emptied.touch()
    for entry in aside.iterdir():
        _rename_or_copy(entry, home / entry.name)


def _rename_or_copy(source: Path, target: Path) -> None:
    """Rename, or copy where that cannot be: between file systems, and folders that a container has from its image."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    """Copy with owners, modes and times."""
    if source.is_dir() and not source.is_symlink():
        target.mkdir(exist_ok=True)
        for entry in source.iterdir():
            _copy(entry, target / entry.name)
    else:
        shutil.copyfile(source, target, follow_symlinks=False)
    status = source.lstat()
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    shutil.copystat(source, target, follow_symlinks=False)
