"""One member of a payload: what is known of it before its data is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Kind(str, Enum):
    """The kinds of members that a payload holds.  Sockets are never archived."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    FIFO = "fifo"
    CHARACTER = "character device"
    BLOCK = "block device"


@dataclass(frozen=True)
class Member:
    """A member of a payload and its metadata.

    ``name`` has neither a leading ``/`` or ``./`` nor a trailing ``/``; bytes that are not UTF-8 are
    surrogate escapes. ``size`` is the number of bytes a reader of the file sees, holes included; it is 0
    for all but regular files. ``link_target`` is a symbolic link's text, or the member name that a hard
    link repeats. ``acl_access`` and ``acl_default`` are in the text form of acl(5), entries separated by
    commas. ``data_map`` is None for an ordinary file, else the (offset, length) of every stretch that holds
    data.
    """

    name: str
    kind: Kind
    size: int = 0
    mode: int = 0o600
    uid: int = 0
    gid: int = 0
    uname: str = ""
    gname: str = ""
    mtime_ns: int = 0
    link_target: str = ""
    xattrs: Mapping[str, bytes] = field(default_factory=dict)
    acl_access: str = ""
    acl_default: str = ""
    selinux: str = ""
    data_map: tuple[tuple[int, int], ...] | None = None
    device: tuple[int, int] = (0, 0)


class Problem(str, Enum):
    """Why a path is not in the payload, or not as it should be."""

    SOCKET = "socket, not archived"
    VANISHED = "vanished while it was being archived"
    UNREADABLE = "could not be read"
    CHANGED = "changed while it was being read"
    METADATA = "some metadata could not be read"


@dataclass(frozen=True)
class Finding:
    """Something that a writer met and that the administrator should know of."""

    path: str
    problem: Problem
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.problem.value}" + (f" ({self.detail})" if self.detail else "")
