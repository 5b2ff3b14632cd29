"""Finding the folder of a path below a root, without being led out of it.

A payload restored by root into / must not write where a symbolic link of its own points to: a link that
this extraction made is never followed.  Links that were there before are the system's (``/var/run``,
``/bin``) and are followed as a process in a chroot of the root would: an absolute one starts at the root
again, and ``..`` stops there.  Folders are opened one name at a time, so nobody can exchange a part of the
path for a link in between.
"""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40
_KEPT_OPEN = 32


class LedAstray(OSError):
    """A path leads through a link that must not be followed."""


class Root:
    """A folder that members are extracted below; open folders are kept for the next member's sake."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._made: set[tuple[int, int]] = set()
        self._open: OrderedDict[str, int] = OrderedDict()

    def close(self) -> None:
        """Close every folder."""
        self.forget()
        os.close(self._handle)

    def forget(self) -> None:
        """Look folders up anew: something on the way to them may have been replaced."""
        for handle in self._open.values():
            os.close(handle)
        self._open.clear()

    def made_link(self, folder: int, name: str) -> None:
        """Remember that the symbolic link ``name`` in ``folder`` is this extraction's."""
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        self._made.add((status.st_dev, status.st_ino))

    def is_own_link(self, folder: int, name: str) -> bool:
        """True when ``name`` in ``folder`` is a symbolic link that this extraction made."""
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        return (status.st_dev, status.st_ino) in self._made

    def folder(self, relative: str, *, make: bool = True) -> int:
        """An open handle on the folder ``relative``; stays the root's, and is valid until the next call.

        Missing folders are made (0755) with ``make``.  Raises LedAstray, and OSError as open(2) does.
        """
        if relative in self._open:
            self._open.move_to_end(relative)
            return self._open[relative]
        handle = self._walk(relative, make)
        self._open[relative] = handle
        while len(self._open) > _KEPT_OPEN:
            os.close(self._open.popitem(last=False)[1])
        return handle

    def _walk(self, relative: str, make: bool) -> int:
        waiting = [part for part in relative.split("/") if part not in ("", ".")]
        trail = [os.dup(self._handle)]
        links = 0
        try:
            while waiting:
                part = waiting.pop(0)
                if part == "..":
                    if len(trail) > 1:
                        os.close(trail.pop())
                    continue
                here, made = trail[-1], False
                try:
                    status = os.stat(part, dir_fd=here, follow_symlinks=False)
                except FileNotFoundError:
                    if not make:
                        raise
                    os.mkdir(part, 0o700, dir_fd=here)
                    made = True
                    status = os.stat(part, dir_fd=here, follow_symlinks=False)
                if stat.S_ISLNK(status.st_mode):
                    links += 1
                    if (status.st_dev, status.st_ino) in self._made:
                        raise LedAstray(f"{relative} leads through {part}, a symbolic link out of the same backup")
                    if links > _MOST_LINKS:
                        raise LedAstray(f"{relative} leads through too many symbolic links")
                    target = os.readlink(part, dir_fd=here)
                    if target.startswith("/"):
                        while len(trail) > 1:
                            os.close(trail.pop())
                    waiting = [step for step in target.split("/") if step not in ("", ".")] + waiting
                    continue
                trail.append(os.open(part, _FOLDER, dir_fd=here))
                if made:
                    # Whatever the umask is: what comes below is for others, too.
                    os.fchmod(trail[-1], 0o755)
            return trail.pop()
        finally:
            for handle in trail:
                os.close(handle)
