"""Writing a payload of format 1, as FreeIPA's own ipa-restore reads it with ``tar -xzf``.

The names and kinds of members are those of ``ipabackup.archive.stock``; what format 2 has besides (the record of the
server, the manifest) has no place in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from ipabackup.archive import layout, stock
from ipabackup.archive.gpg import Keyring
from ipabackup.archive.gzip_sink import GzipSink
from ipabackup.archive.member import Finding
from ipabackup.archive.pipeline import FileSink, GpgSink, Sink
from ipabackup.archive.spool import IN_MEMORY, Spool, Spooled
from ipabackup.archive.tarstream import TarStream
from ipabackup.archive.writer import Growing, Sealed

SPOOL = "files.tar.spool"
_ROOT_MODE = 0o750
_SPOOL_LEVEL = 1


class StockWriter:
    """Writes one payload of format 1: gzip'd tar, GnuPG when asked for, file.  See Payload.

    As a context manager it aborts when the block is left before ``close``.
    """

    def __init__(
        self,
        target: Path,
        *,
        level: int = 6,
        threads: int = -1,
        keyring: Keyring | None = None,
        progress: Callable[[int], None] | None = None,
        in_memory: int = IN_MEMORY,
    ) -> None:
        """Open ``target``, which must not exist (0600).

        ``level`` is zlib's, ``threads`` -1 means as many as there are processors.  ``progress`` gets the bytes of file
        data archived so far.  ``in_memory`` bounds what of ``files.tar`` is kept in memory until its size is known.
        """
        self._file = FileSink(target)
        sink: Sink = self._file
        if keyring is not None:
            sink = GpgSink(sink, keyring)
        self._progress = progress
        self._keyring = keyring
        self._level, self._threads = level, threads
        self._done = {"files": 0, "data": 0}
        self._outer = TarStream(
            GzipSink(sink, level=level, threads=threads),
            spell=stock.spelled,
            progress=lambda done: self._told("data", done),
        )
        self._spool = Spool(target.parent / SPOOL, keyring, in_memory=in_memory)
        self._inner: TarStream | None = None
        self._owner: tuple[int, int] | None = None
        self._open = True

    def __enter__(self) -> StockWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open:
            self.abort()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What could not be archived as it should be, so far."""
        return (*(self._inner.findings if self._inner else ()), *self._outer.findings)

    def add_path(self, path: Path, name: str) -> None:
        """See Payload."""
        self._archive_for(name, path).add_path(path, name)

    def add_tree(self, path: Path, name: str, *, exclude: Callable[[str], bool] | None = None) -> None:
        """See Payload."""
        self._archive_for(name, path).add_tree(path, name, exclude=exclude)

    def add_parents(self, path: Path, name: str) -> None:
        """Add those folders that lead to ``path`` and are not simply root's.

        FreeIPA's tools know no such members: unpacking them would set the mode and time of /etc and its like.
        """
        parts = name.split("/")
        above = list(path.parents)[: max(len(parts) - 2, 0)]
        for depth, parent in enumerate(reversed(above), start=2):
            with suppress(OSError):
                status = os.lstat(parent)
                if (status.st_uid, status.st_gid) != (0, 0) and parent.is_dir() and not parent.is_symlink():
                    self.add_path(parent, "/".join(parts[:depth]))

    def add_bytes(self, name: str, data: bytes, *, mode: int = 0o600) -> None:
        """See Payload; documents of the record are left out."""
        if not name.startswith(f"{layout.RECORD}/"):
            self._archive_for(name).add_bytes(name, data, mode=mode)

    def add_stream(self, name: str, source: BinaryIO, size: int, *, like: Path) -> None:
        """See Payload."""
        self._archive_for(name, like).add_stream(name, source, size, like=like)

    def growing(self, name: str) -> Growing:
        """See Payload.  An LDIF export belongs to the account that the directory runs as, as the binary copy does."""
        spooled = Spooled(self._file.path.parent, name, self._keyring, level=_SPOOL_LEVEL)
        return _GrowingMember(spooled, lambda: (self._archive_for(name), self._owner or (0, 0)))

    def close(self) -> Sealed:
        """Put ``files.tar`` behind the data, finish the stream, bring it to the disk."""
        members = 0
        if self._inner is not None:
            self._inner.finish()
            members = self._inner.members
            self._begin(None)
            with self._spool.content() as content:
                self._outer.add_stream(stock.FILES, content, self._spool.size)
        self._outer.finish()
        self._open = False
        return Sealed(
            path=self._file.path,
            size=self._file.size,
            sha256=self._file.sha256,
            uncompressed_size=self._outer.uncompressed,
            members=self._outer.members + members,
            findings=self.findings,
        )

    def abort(self) -> None:
        """See Payload."""
        self._open = False
        if self._inner is not None:
            self._inner.abort()
        self._outer.abort()

    def _archive_for(self, name: str, path: Path | None = None) -> TarStream:
        if not name.startswith(f"{layout.FILES}/"):
            self._begin(path)
            return self._outer
        if self._inner is None:
            self._inner = TarStream(
                GzipSink(self._spool, level=self._level, threads=self._threads),
                spell=stock.spelled,
                progress=lambda done: self._told("files", done),
            )
        return self._inner

    def _begin(self, path: Path | None) -> None:
        """The archive's own root comes first.

        FreeIPA's tool unpacks as root what the directory's account then has to read.
        """
        if self._owner is None:
            self._owner = (0, 0)
            if path is not None:
                with suppress(OSError):
                    status = os.lstat(path)
                    self._owner = (status.st_uid, status.st_gid)
            self._outer.add_folder(stock.ROOT, mode=_ROOT_MODE, owner=self._owner)

    def _told(self, part: str, done: int) -> None:
        self._done[part] = done
        if self._progress is not None:
            self._progress(sum(self._done.values()))


class _GrowingMember:
    """See Growing."""

    def __init__(self, spooled: Spooled, place: Callable[[], tuple[TarStream, tuple[int, int]]]) -> None:
        """``place`` gives the archive that it belongs into, and its owner there, once it is complete."""
        self._spooled, self._place = spooled, place
        self.write = spooled.write
        self.abort = spooled.abort

    def commit(self) -> None:
        """See Growing."""
        self._spooled.finish()
        tar, owner = self._place()
        with self._spooled.content() as content:
            tar.add_stream(self._spooled.name, content, self._spooled.size, owner=owner)
