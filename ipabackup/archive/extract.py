"""Putting the members of a payload on the disk.

Every file is written under a temporary name and renamed, so that nobody ever sees half of it, except where
something is mounted on the very file (in containers ``/etc/hosts``, ``/etc/resolv.conf``,
``/etc/hostname``): that one is written in place.  Folders get their metadata at the end, the deepest first:
a read-only one must take its files before.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from ipabackup.archive import metadata
from ipabackup.archive.member import Kind, Member
from ipabackup.archive.metadata import Owners
from ipabackup.archive.place import Root
from ipabackup.archive.reader import PayloadReader
from ipabackup.archive.streams import CHUNK, Source
from ipabackup.errors import IpaBackupError, NoSpace

_MOUNTED_OVER = (errno.EBUSY, errno.EXDEV)


@dataclass(frozen=True)
class Destination:
    """Where a member goes: ``path`` is relative to ``root``, and never leaves it.

    ``keep_existing``: a folder that is there already keeps its owner, mode and the rest.
    """

    root: Path
    path: str
    keep_existing: bool = False


@dataclass(frozen=True)
class Failure:
    """A path (absolute) that could not be restored, or not wholly, and why."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True)
class Extracted:
    """The outcome.  ``restored`` and ``skipped`` count members, ``data_size`` the restored files' bytes.

    ``failures`` are to be told, and make the result incomplete.  ``notes`` say what this host cannot keep
    (SELinux labels without SELinux), each kind once with a count.
    """

    restored: int
    skipped: int
    data_size: int
    failures: tuple[Failure, ...]
    notes: tuple[str, ...] = ()


@dataclass
class _Tally:
    restored: int = 0
    skipped: int = 0
    data_size: int = 0
    failures: list[Failure] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)


def extract(
    reader: PayloadReader,
    choose: Callable[[Member], Destination | None],
    owners: Owners,
    *,
    progress: Callable[[int], None] | None = None,
    durable: bool = True,
) -> Extracted:
    """Restore every member for which ``choose`` names a destination, in one pass over the payload.

    ``progress`` gets the bytes of file data restored so far.  ``durable``: everything is on the disk on
    return.  A root that is missing is made (0700). Raises what reader.members() raises, and NoSpace;
    whatever else goes wrong with a single path becomes a failure.
    """
    work = _Extraction(owners, progress)
    try:
        with closing(reader.members()) as members:
            for member, data in members:
                destination = choose(member)
                if destination is None:
                    work.tally.skipped += 1
                else:
                    work.restore(member, destination, data)
        work.finish_folders()
    finally:
        work.close()
    if durable:
        os.sync()
    tally = work.tally
    notes = tuple(f"{text} ({count} times)" if count > 1 else text for text, count in tally.notes.items())
    return Extracted(tally.restored, tally.skipped, tally.data_size, tuple(tally.failures), notes)


class _Extraction:
    def __init__(self, owners: Owners, progress: Callable[[int], None] | None) -> None:
        self.tally = _Tally()
        self._owners = owners
        self._progress = progress
        self._roots: dict[Path, Root] = {}
        self._placed: dict[str, Destination] = {}
        self._folders: list[tuple[Member, Destination]] = []

    def close(self) -> None:
        for root in self._roots.values():
            root.close()

    def restore(self, member: Member, destination: Destination, data: Source | None) -> None:
        try:
            path = _checked(destination.path)
            if not path:
                # The root itself: it is there, and is left as it is.
                self.tally.skipped += 1
                return
            parent, _, name = path.rpartition("/")
            root = self._root(destination.root)
            folder = root.folder(parent)
            if member.kind is Kind.DIRECTORY:
                self._folder(member, replace(destination, path=path), root, folder, name)
            elif member.kind is Kind.HARDLINK:
                self._hard_link(member, destination, folder, name)
            else:
                self._node(member, destination, folder, name, data)
                if member.kind is Kind.SYMLINK:
                    root.made_link(folder, name)
                    root.forget()
            self._placed[member.name] = destination
            self.tally.restored += 1
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpace(f"the file system of {_shown(destination)} is full") from error
            self._fail(destination, error.strerror or str(error))
        except ValueError as error:
            self._fail(destination, str(error))

    def finish_folders(self) -> None:
        """Give folders their metadata, the last and deepest first."""
        for member, destination in reversed(self._folders):
            try:
                handle = self._root(destination.root).folder(destination.path, make=False)
                self._dress(handle, member, destination)
            except OSError as error:
                self._fail(destination, error.strerror or str(error))

    def _root(self, path: Path) -> Root:
        if path not in self._roots:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._roots[path] = Root(path)
        return self._roots[path]

    def _folder(self, member: Member, destination: Destination, root: Root, folder: int, name: str) -> None:
        there = _look(folder, name)
        if there is not None and stat.S_ISLNK(there.st_mode) and not root.is_own_link(folder, name):
            try:
                target = os.stat(name, dir_fd=folder)
            except FileNotFoundError:
                target = None
            # The system's own link to a folder (/var/run) stays, and what it leads to is the folder that is
            # meant.
            if target is not None and stat.S_ISDIR(target.st_mode):
                there = target
        if there is not None and not stat.S_ISDIR(there.st_mode):
            os.unlink(name, dir_fd=folder)
            root.forget()
            folder = root.folder(destination.path.rpartition("/")[0])
            there = None
        if there is None:
            os.mkdir(name, 0o700, dir_fd=folder)
        elif destination.keep_existing:
            return
        self._folders.append((member, destination))

    def _node(self, member: Member, destination: Destination, folder: int, name: str, data: Source | None) -> None:
        there = _look(folder, name)
        if there is not None and stat.S_ISDIR(there.st_mode):
            try:
                os.rmdir(name, dir_fd=folder)
            except OSError as error:
                raise ValueError(f"a folder is in the way of this {member.kind.value}: {error.strerror}") from error
        temporary = f".ipabackup-{secrets.token_hex(8)}"
        try:
            if member.kind is Kind.FILE:
                self._write(member, destination, folder, temporary, data)
            else:
                self._make(member, destination, folder, temporary)
            self._rename(member, destination, folder, temporary, name)
        finally:
            if _look(folder, temporary) is not None:
                os.unlink(temporary, dir_fd=folder)

    def _write(
        self, member: Member, destination: Destination, folder: int, temporary: str, data: Source | None
    ) -> None:
        if data is None:
            raise ValueError("its data is missing")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(temporary, flags, 0o600, dir_fd=folder)
        try:
            self._fill(handle, member, data)
            self._dress(handle, member, destination)
        finally:
            os.close(handle)

    def _fill(self, handle: int, member: Member, data: Source) -> None:
        """Write a file's data; holes stay holes."""
        position = 0
        pieces = iter(member.data_map if member.data_map is not None else ((0, member.size),))
        start, length = next(pieces, (member.size, 0))
        while chunk := data.read(CHUNK):
            end = position + len(chunk)
            # A chunk may span several pieces and the holes between them.
            while start < end:
                begin, stop = max(start, position), min(start + length, end)
                view = memoryview(chunk)[begin - position : stop - position]
                offset = begin
                while view:
                    written = os.pwrite(handle, view, offset)
                    offset += written
                    view = view[written:]
                if start + length > end:
                    break
                start, length = next(pieces, (member.size + 1, 0))
            position = end
            self.tally.data_size += len(chunk)
            if self._progress is not None:
                self._progress(self.tally.data_size)
        if position != member.size:
            raise IpaBackupError(f"{member.name} has {position} bytes instead of {member.size}")
        os.ftruncate(handle, member.size)

    def _make(self, member: Member, destination: Destination, folder: int, temporary: str) -> None:
        if member.kind is Kind.SYMLINK:
            os.symlink(member.link_target, temporary, dir_fd=folder)
        elif member.kind is Kind.FIFO:
            os.mkfifo(temporary, 0o600, dir_fd=folder)
        else:
            form = stat.S_IFCHR if member.kind is Kind.CHARACTER else stat.S_IFBLK
            os.mknod(temporary, form | 0o600, os.makedev(*member.device), dir_fd=folder)
        # Attributes have no call that takes a folder and a name; the folder's handle makes a path that
        # cannot be moved.
        self._dress(f"/proc/self/fd/{folder}/{temporary}", member, destination)

    def _rename(self, member: Member, destination: Destination, folder: int, temporary: str, name: str) -> None:
        try:
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            if error.errno not in _MOUNTED_OVER or member.kind is not Kind.FILE:
                raise
            self._overwrite(member, destination, folder, temporary, name)

    def _overwrite(self, member: Member, destination: Destination, folder: int, temporary: str, name: str) -> None:
        """Write into a file that something is mounted on, and that can therefore not be replaced."""
        source = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        try:
            target = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                offset = 0
                while chunk := os.pread(source, CHUNK, offset):
                    offset += os.pwrite(target, chunk, offset)
                os.ftruncate(target, offset)
                self._dress(target, member, destination)
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _hard_link(self, member: Member, destination: Destination, folder: int, name: str) -> None:
        first = self._placed.get(member.link_target)
        if first is None:
            raise ValueError(f"it is a hard link to {member.link_target}, which was not restored")
        if first.root == destination.root and _checked(first.path) == _checked(destination.path):
            return
        above, _, last = _checked(first.path).rpartition("/")
        # The root keeps a limited number of folders open: this call could close the one in hand.
        here = os.dup(folder)
        try:
            source = self._root(first.root).folder(above, make=False)
            temporary = f".ipabackup-{secrets.token_hex(8)}"
            try:
                os.link(last, temporary, src_dir_fd=source, dst_dir_fd=here, follow_symlinks=False)
                os.rename(temporary, name, src_dir_fd=here, dst_dir_fd=here)
            except OSError as error:
                if error.errno not in (*_MOUNTED_OVER, errno.EMLINK):
                    raise
                self._copy(member, destination, source, last, here, name)
            finally:
                # rename(2) does nothing when both names are one file already.
                if _look(here, temporary) is not None:
                    os.unlink(temporary, dir_fd=here)
        finally:
            os.close(here)

    def _copy(self, member: Member, destination: Destination, source: int, last: str, folder: int, name: str) -> None:
        """A file of its own where a hard link cannot reach: on another file system, or on a mounted file."""
        handle = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
        with os.fdopen(handle, "rb", buffering=0) as data:
            size = os.fstat(handle).st_size
            self._node(replace(member, kind=Kind.FILE, size=size), destination, folder, name, data)
        self._note("a hard link became a file of its own")

    def _dress(self, target: int | str, member: Member, destination: Destination) -> None:
        metadata.apply(
            target,
            member,
            self._owners,
            complain=lambda reason: self._fail(destination, reason),
            note=self._note,
        )

    def _fail(self, destination: Destination, reason: str) -> None:
        self.tally.failures.append(Failure(_shown(destination), reason))

    def _note(self, text: str) -> None:
        self.tally.notes[text] = self.tally.notes.get(text, 0) + 1


def _checked(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in path:
        raise ValueError("its path leads out of the place for it")
    return "/".join(parts)


def _shown(destination: Destination) -> str:
    return os.fspath(destination.root / destination.path.lstrip("/"))


def _look(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
