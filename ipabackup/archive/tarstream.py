"""Writing a tar as a stream: a single pass over what is archived, whatever comes behind it."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from ipabackup.archive import inode, tarformat
from ipabackup.archive.member import Finding, Kind, Member, Problem
from ipabackup.archive.pipeline import CHUNK, Sink
from ipabackup.errors import IpaBackupError


class TarStream:
    """Writes one tar into a sink.  What cannot be archived as it should be becomes a finding."""

    def __init__(
        self,
        sink: Sink,
        *,
        progress: Callable[[int], None] | None = None,
        spell: Callable[[str], str] = str,
        recorded: Callable[[Member, str], None] | None = None,
    ) -> None:
        """``progress`` gets the bytes of file data archived so far.

        ``spell`` turns a member's name (see ``layout``) into the one that the archive gets; ``recorded`` hears of every
        finished member, with the SHA-256 of its data.
        """
        self._sink = sink
        self._progress = progress
        self._spell = spell
        self._recorded = recorded
        self._buffer = bytearray()
        self._archived = 0
        self._uncompressed = 0
        self._names: set[str] = set()
        self._links: dict[tuple[int, int], str] = {}
        self._findings: list[Finding] = []

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What could not be archived as it should be, so far."""
        return tuple(self._findings)

    def add_path(self, path: Path, name: str) -> None:
        """Add ``path`` as the member ``name``; of a folder only itself.

        What cannot be archived becomes a finding.  A name that is there already is not added a second time.
        """
        if name in self._names:
            return
        try:
            status = os.lstat(path)
            kind = inode.kind_of(status)
            if kind is None:
                self._find(path, Problem.SOCKET)
            elif kind is Kind.FILE:
                self._add_regular(path, name)
            else:
                self._add_other(path, name, status)
        except (FileNotFoundError, NotADirectoryError):
            self._find(path, Problem.VANISHED)
        except (OSError, ValueError) as error:
            self._find(path, Problem.UNREADABLE, str(error))

    def add_tree(self, path: Path, name: str, *, exclude: Callable[[str], bool] | None = None) -> None:
        """Add ``path`` and all below it, in the order of names.

        ``exclude`` gets absolute paths; a folder that it hides is left out with its contents.  Symbolic
        links are not followed.
        """
        if exclude is not None and exclude(os.fspath(path)):
            return
        self.add_path(path, name)
        if path.is_symlink() or not path.is_dir():
            return
        try:
            below = sorted(entry.name for entry in os.scandir(path))
        except OSError as error:
            self._find(path, Problem.UNREADABLE, str(error))
            return
        for entry in below:
            self.add_tree(path / entry, f"{name}/{entry}", exclude=exclude)

    def add_parents(self, path: Path, name: str) -> None:
        """Add the folders that lead to ``path`` (below the first part of ``name``), so that they can be
        made as they were.
        """
        parts = name.split("/")
        above = list(path.parents)[: max(len(parts) - 2, 0)]
        for depth, parent in enumerate(reversed(above), start=2):
            if parent.is_dir() and not parent.is_symlink():
                self.add_path(parent, "/".join(parts[:depth]))

    def add_bytes(self, name: str, data: bytes, *, mode: int = 0o600) -> None:
        """Add a regular file of root's with this content, of this moment."""
        member = self._own(name, len(data), mode)
        self._begin(member)
        self._write(data)
        self._end(member, len(data), hashlib.sha256(data).hexdigest())

    def add_stream(
        self,
        name: str,
        source: BinaryIO,
        size: int,
        *,
        mode: int = 0o600,
        owner: tuple[int, int] = (0, 0),
        like: Path | None = None,
    ) -> None:
        """Add a regular file with exactly ``size`` bytes from ``source``: of ``owner`` (uid, gid), or with all that is
        known of the file ``like``.

        Raises IpaBackupError when the source ends before.
        """
        member = self._own(name, size, mode, owner)
        if like is not None:
            member = replace(inode.describe(like, name, os.lstat(like)), size=size)
        self._begin(member)
        digest = hashlib.sha256()
        left = size
        while left:
            data = source.read(min(CHUNK, left))
            if not data:
                raise IpaBackupError(f"{name} ended {left} bytes before its announced size")
            digest.update(data)
            self._write(data)
            self._advance(len(data))
            left -= len(data)
        self._end(member, size, digest.hexdigest())

    def add_spliced(self, name: str, size: int, sha256: str, splice: Callable[[], None], *, mode: int = 0o600) -> None:
        """Add a regular file of root's with ``size`` bytes and this digest.

        ``splice`` brings its content into the stages behind this one by itself.
        """
        member = self._own(name, size, mode)
        self._begin(member)
        self._flush()
        splice()
        self._uncompressed += size
        self._advance(size)
        self._end(member, size, sha256)

    def add_folder(self, name: str, *, mode: int, owner: tuple[int, int]) -> None:
        """Add a folder that is nowhere on this host."""
        member = replace(self._own(name, 0, mode, owner), kind=Kind.DIRECTORY)
        self._begin(member)
        self._end(member, 0, "")

    @property
    def uncompressed(self) -> int:
        """Bytes of the tar so far."""
        return self._uncompressed

    @property
    def members(self) -> int:
        """Members so far."""
        return len(self._names)

    def finish(self) -> None:
        """End the archive, and the stages behind it."""
        # Two empty blocks end an archive, which is then padded to a whole record.
        end = 2 * tarformat.BLOCK
        self._write(b"\0" * (end + -(self._uncompressed + end) % tarformat.RECORD))
        self._flush()
        self._sink.finish()

    def abort(self) -> None:
        """Give up at once, with the stages behind it."""
        self._sink.abort()

    def _add_regular(self, path: Path, name: str) -> None:
        # O_NONBLOCK: should the path have become a fifo since the lstat, opening it must not hang.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(path, flags)
        try:
            before = os.fstat(handle)
            if not stat.S_ISREG(before.st_mode):
                self._find(path, Problem.CHANGED, "it is no longer a regular file")
                return
            member = inode.describe(path, name, before, handle)
            key = (before.st_dev, before.st_ino)
            if before.st_nlink > 1 and key in self._links:
                link = replace(member, kind=Kind.HARDLINK, size=0, link_target=self._links[key], xattrs={})
                link = replace(link, acl_access="", acl_default="", selinux="")
                self._begin(link)
                self._end(link, 0, "")
                return
            if before.st_nlink > 1:
                self._links[key] = name
            member = replace(member, data_map=inode.data_map(handle, before))
            self._begin(member)
            digest, complete = self._copy(handle, member)
            self._end(member, tarformat.stored_size(member), digest)
            after = os.fstat(handle)
            seen = (before.st_size, before.st_mtime_ns, before.st_ctime_ns)
            if not complete or seen != (after.st_size, after.st_mtime_ns, after.st_ctime_ns):
                self._find(path, Problem.CHANGED, f"{before.st_size} bytes before, {after.st_size} after")
        finally:
            os.close(handle)

    def _add_other(self, path: Path, name: str, status: os.stat_result) -> None:
        member = inode.describe(path, name, status)
        key = (status.st_dev, status.st_ino)
        if member.kind is not Kind.DIRECTORY and status.st_nlink > 1:
            if key in self._links:
                member = replace(
                    member,
                    kind=Kind.HARDLINK,
                    link_target=self._links[key],
                    xattrs={},
                    device=(0, 0),
                    selinux="",
                )
            else:
                self._links[key] = name
        self._begin(member)
        self._end(member, 0, "")

    def _copy(self, handle: int, member: Member) -> tuple[str, bool]:
        """Copy a file's data, and exactly as much as was announced; the digest, and whether all of it was
        there.
        """
        digest = hashlib.sha256()
        complete = True
        position = 0
        pieces: tuple[tuple[int, int], ...] = ((0, member.size),)
        if member.data_map is not None:
            self._write(tarformat.sparse_map(member))
            pieces = member.data_map
        for offset, length in pieces:
            _hash_zeros(digest, offset - position)
            os.lseek(handle, offset, os.SEEK_SET)
            left = length
            while left:
                try:
                    data = os.read(handle, min(CHUNK, left))
                except OSError as error:
                    # The header is written: the archive must get as many bytes as it announced.
                    self._find(Path(member.name), Problem.UNREADABLE, str(error))
                    data = b""
                if not data:
                    # The file shrank: zeros keep the archive whole, and the finding tells.
                    complete = False
                    data = b"\0" * min(CHUNK, left)
                digest.update(data)
                self._write(data)
                self._advance(len(data))
                left -= len(data)
            position = offset + length
        _hash_zeros(digest, member.size - position)
        return digest.hexdigest(), complete

    def _own(self, name: str, size: int, mode: int, owner: tuple[int, int] = (0, 0)) -> Member:
        if name in self._names:
            raise IpaBackupError(f"{name} is in the payload already")
        return Member(
            name,
            Kind.FILE,
            size=size,
            mode=mode,
            uid=owner[0],
            gid=owner[1],
            uname=inode.user_name(owner[0]),
            gname=inode.group_name(owner[1]),
            mtime_ns=time.time_ns(),
        )

    def _begin(self, member: Member) -> None:
        if not member.name or member.name.startswith("/") or ".." in member.name.split("/"):
            raise IpaBackupError(f"not a member's name: {member.name!r}")
        link = self._spell(member.link_target) if member.kind is Kind.HARDLINK else member.link_target
        self._write(tarformat.header(replace(member, name=self._spell(member.name), link_target=link)))

    def _end(self, member: Member, stored: int, sha256: str) -> None:
        self._write(tarformat.padding(stored))
        self._names.add(member.name)
        if self._recorded is not None:
            self._recorded(member, sha256)

    def _advance(self, size: int) -> None:
        self._archived += size
        if self._progress is not None:
            self._progress(self._archived)

    def _find(self, path: Path, problem: Problem, detail: str = "") -> None:
        self._findings.append(Finding(os.fspath(path), problem, detail))

    def _write(self, data: bytes) -> None:
        """Small pieces are gathered: a call into the compressor costs more than a header is worth."""
        self._uncompressed += len(data)
        if len(data) >= CHUNK // 4:
            self._flush()
            self._sink.write(data)
            return
        self._buffer += data
        if len(self._buffer) >= CHUNK:
            self._flush()

    def _flush(self) -> None:
        if self._buffer:
            self._sink.write(bytes(self._buffer))
            self._buffer.clear()


def _hash_zeros(digest: hashlib._Hash, count: int) -> None:
    block = bytes(CHUNK)
    while count > 0:
        digest.update(block[: min(CHUNK, count)])
        count -= CHUNK
