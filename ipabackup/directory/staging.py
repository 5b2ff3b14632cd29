"""Folders for copies of the directory's data on their way into or out of a backup.

The server's tools give up root's rights, so they can read and write only where the instance's own account can: beside
the instance's own backups.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from ipabackup.directory.instances import Instance

PREFIX = ".ipabackup-"
#: What a database may grow by while it is copied, and what of the memory a copy may take.
_MARGIN, _SHARE = 1.25, 0.5


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


def memory_for(
    instance: Instance, meminfo: Path = Path("/proc/meminfo"), mounts: Path = Path("/proc/mounts")
) -> Path | None:
    """The instance's run folder when that lies in memory and a copy of the databases fits in there; else None."""
    if not instance.run_dir.is_dir() or not _in_memory(instance.run_dir, mounts):
        return None
    needed = _MARGIN * sum(path.stat().st_size for path in instance.database_dir.rglob("*") if path.is_file())
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo.read_text(encoding="ascii"), re.MULTILINE)
    available = int(found.group(1)) * 1024 * _SHARE if found else 0
    return instance.run_dir if needed <= min(available, shutil.disk_usage(instance.run_dir).free) else None


def _in_memory(folder: Path, mounts: Path) -> bool:
    """Whether the file system that holds `folder` is kept in memory: the deepest mount decides."""
    place = folder.resolve()
    deepest, kind = -1, ""
    for line in mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        where, what = line.split()[1:3]
        mount = Path(where.replace("\\040", " "))
        if (mount == place or mount in place.parents) and len(mount.parts) >= deepest:
            deepest, kind = len(mount.parts), what
    return kind in ("tmpfs", "ramfs")
