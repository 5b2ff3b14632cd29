"""File systems: what is there, how much room it takes, how much is left."""

from __future__ import annotations

import glob
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_MOUNTINFO = Path("/proc/self/mountinfo")


@dataclass(frozen=True)
class Space:
    """A file system's free room: bytes and files that are left for anybody, and where it is mounted."""

    mount: str
    device: int
    free: int
    free_files: int


@dataclass(frozen=True)
class Usage:
    """How much trees hold: bytes a reader would see, bytes on the disk, number of entries.  Links are
    counted once.
    """

    apparent: int
    allocated: int
    entries: int

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.apparent + other.apparent, self.allocated + other.allocated, self.entries + other.entries)


@dataclass(frozen=True)
class Paths:
    """The existing paths of a host whose root is ``root``."""

    root: Path = Path("/")

    def expand(self, pattern: str) -> tuple[str, ...]:
        """What an absolute pattern of glob(7) matches, sorted, as absolute paths below the root.

        Dangling symbolic links exist too.  As in a shell, ``*`` does not match a leading dot.
        """
        prefix = os.fspath(self.root).rstrip("/")
        found = glob.glob(glob.escape(prefix) + pattern)  # noqa: PTH207 - Path.glob takes no absolute pattern
        return tuple(path[len(prefix) :] for path in sorted(found))


def space(path: Path) -> Space:
    """The free room where ``path`` is, or would be: its nearest existing parent decides."""
    place = existing(path)
    room = os.statvfs(place)
    return Space(
        mount=mount_of(place),
        device=place.stat().st_dev,
        # Not f_bfree: what is reserved may be another account's than root's (ext4's resuid).
        free=room.f_bavail * room.f_frsize,
        free_files=room.f_ffree,
    )


def existing(path: Path) -> Path:
    """``path``, or the nearest of its parents that exists."""
    place = Path(os.path.normpath(Path.cwd() / path))
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


def usage(path: Path, exclude: Callable[[str], bool] | None = None) -> Usage:
    """What ``path`` and all below it take; nothing when it does not exist.  Symbolic links are not followed.

    Entries that vanish meanwhile are left out: this is an estimate of a living tree.
    """
    seen: set[tuple[int, int]] = set()
    apparent = allocated = entries = 0
    waiting = [os.fspath(path)]
    while waiting:
        place = waiting.pop()
        if exclude is not None and exclude(place):
            continue
        try:
            status = os.lstat(place)
            below = [entry.path for entry in os.scandir(place)] if stat.S_ISDIR(status.st_mode) else []
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        waiting += below
        entries += 1
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
        if stat.S_ISREG(status.st_mode):
            apparent += status.st_size
        allocated += status.st_blocks * 512
    return Usage(apparent, allocated, entries)


def mount_points(mountinfo: Path = _MOUNTINFO) -> frozenset[str]:
    """Every mount point of this host (proc(5), mountinfo), files that are mounted over included."""
    points = set()
    with mountinfo.open("rb") as lines:
        for line in lines:
            fields = line.split(b" ")
            points.add(os.fsdecode(_unescape(fields[4])))
    return frozenset(points)


def mount_of(path: Path, mountinfo: Path = _MOUNTINFO) -> str:
    """The mount point of the file system that holds ``path`` (existing)."""
    points = mount_points(mountinfo)
    place = path.resolve()
    while str(place) not in points and place != place.parent:
        place = place.parent
    return str(place)


def change_numbers(folder: Path, uids: Mapping[int, int], gids: Mapping[int, int], spare: Container[str] = ()) -> int:
    """Give ``folder`` and what lies below it to the new numbers of owners and groups whose number has
    changed.

    ``uids`` and ``gids`` lead from old numbers to new ones; other owners stay.  Links are not followed, and
    other file systems are not entered.  Paths in ``spare`` stay as they are.  Returns how many changed.
    """
    changed = 0
    device = folder.lstat().st_dev
    waiting = [os.fspath(folder)]
    while waiting:
        place = waiting.pop()
        status = os.lstat(place)
        if status.st_dev != device:
            continue
        uid, gid = uids.get(status.st_uid, status.st_uid), gids.get(status.st_gid, status.st_gid)
        if (uid, gid) != (status.st_uid, status.st_gid) and place not in spare:
            os.chown(place, uid, gid, follow_symlinks=False)
            if not stat.S_ISLNK(status.st_mode):
                # chown takes away the set-user-id and set-group-id bits.
                Path(place).chmod(stat.S_IMODE(status.st_mode))
            changed += 1
        if stat.S_ISDIR(status.st_mode):
            waiting += [entry.path for entry in os.scandir(place)]
    return changed


def empty(folder: Path) -> None:
    """Remove all that lies in `folder`; links are not followed."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


@contextmanager
def work_directory(parent: Path, prefix: str = ".ipabackup-") -> Iterator[Path]:
    """A folder of one's own (0700) under ``parent``, removed with its contents at the end."""
    parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield made
    finally:
        shutil.rmtree(made)


def _unescape(field: bytes) -> bytes:
    """proc(5) writes space, tab, newline and backslash as octal escapes."""
    for escaped, sign in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        field = field.replace(escaped, sign)
    return field
