"""Writing a payload of format 2: a single pass over what is archived; only the list of members is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol

from ipabackup.archive import manifest
from ipabackup.archive.gpg import Keyring
from ipabackup.archive.layout import MANIFEST
from ipabackup.archive.member import Finding, Member
from ipabackup.archive.pipeline import FileSink, GpgSink, Sink, ZstdSink
from ipabackup.archive.spool import Spooled
from ipabackup.archive.tarstream import TarStream

SPLICED_FROM = 32 << 20
"""Bytes from which a growing member is not compressed a second time."""


@dataclass(frozen=True)
class Sealed:
    """A finished payload; ``size`` (bytes) and ``sha256`` are those of its file, as the header records them.

    ``members`` does not count the manifest.  ``findings`` is everything that is not in it as it should be.
    """

    path: Path
    size: int
    sha256: str
    uncompressed_size: int
    members: int
    findings: tuple[Finding, ...]


class Payload(Protocol):
    """What a backup is written into, whichever its format: members by their names in ``layout``."""

    def add_path(self, path: Path, name: str) -> None:
        """Add ``path`` as the member ``name``; of a folder only itself.

        What cannot be archived becomes a finding.  A name that is there already is not added a second time.
        """
        ...

    def add_tree(self, path: Path, name: str, *, exclude: Callable[[str], bool] | None = None) -> None:
        """Add ``path`` and all below it, in the order of names.

        ``exclude`` gets absolute paths; a folder that it hides is left out with its contents.  Symbolic
        links are not followed.
        """
        ...

    def add_parents(self, path: Path, name: str) -> None:
        """Add the folders that lead to ``path`` (below the first part of ``name``), so that they can be
        made as they were.
        """
        ...

    def add_bytes(self, name: str, data: bytes, *, mode: int = 0o600) -> None:
        """Add a regular file of root's with this content, of this moment."""
        ...

    def add_stream(self, name: str, source: BinaryIO, size: int, *, like: Path) -> None:
        """Add a regular file with exactly ``size`` bytes from ``source``, and all else as the file ``like`` has it.

        Raises IpaBackupError when the source ends before.
        """
        ...

    def growing(self, name: str) -> Growing:
        """Begin a regular file of root's whose size nobody knows yet.

        Until it is committed another thread may write to it, while other members are added.
        """
        ...

    def close(self) -> Sealed:
        """Finish the stream, bring it to the disk."""
        ...

    def abort(self) -> None:
        """Stop the pipeline and remove the file."""
        ...


class Growing(Protocol):
    """A member that waits aside, compressed (and encrypted, if the payload is), until it is complete."""

    def write(self, data: bytes) -> None:
        """Take the next piece."""
        ...

    def commit(self) -> None:
        """It is complete: bring it into the payload."""
        ...

    def abort(self) -> None:
        """Forget it."""
        ...


class PayloadWriter:
    """Writes one payload: tar, zstd, GnuPG when asked for, file; digests are taken as it goes by.

    As a context manager it aborts when the block is left before ``close``.
    """

    def __init__(
        self,
        target: Path,
        *,
        level: int = 3,
        threads: int = -1,
        keyring: Keyring | None = None,
        progress: Callable[[int], None] | None = None,
        spliced_from: int = SPLICED_FROM,
    ) -> None:
        """Open ``target``, which must not exist (0600).

        ``level`` and ``threads`` are zstd's (-1: as many as there are processors).  ``progress`` gets the
        bytes of file data archived so far.  Growing members of ``spliced_from`` bytes are not compressed a second time.
        """
        self._spliced_from = spliced_from
        self._file = FileSink(target)
        sink: Sink = self._file
        if keyring is not None:
            sink = GpgSink(sink, keyring)
        self._lines: list[bytes] = []
        self._level, self._threads, self._keyring = level, threads, keyring
        self._compressor = ZstdSink(sink, level=level, threads=threads)
        self._tar = TarStream(self._compressor, progress=progress, recorded=self._list)
        self._open = True

    def __enter__(self) -> PayloadWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open:
            self.abort()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What could not be archived as it should be, so far."""
        return self._tar.findings

    def add_path(self, path: Path, name: str) -> None:
        """See Payload."""
        self._tar.add_path(path, name)

    def add_tree(self, path: Path, name: str, *, exclude: Callable[[str], bool] | None = None) -> None:
        """See Payload."""
        self._tar.add_tree(path, name, exclude=exclude)

    def add_parents(self, path: Path, name: str) -> None:
        """See Payload."""
        self._tar.add_parents(path, name)

    def add_bytes(self, name: str, data: bytes, *, mode: int = 0o600) -> None:
        """See Payload."""
        self._tar.add_bytes(name, data, mode=mode)

    def add_stream(self, name: str, source: BinaryIO, size: int, *, like: Path) -> None:
        """See Payload."""
        self._tar.add_stream(name, source, size, like=like)

    def growing(self, name: str) -> Growing:
        """See Payload."""
        spooled = Spooled(self._file.path.parent, name, self._keyring, level=self._level, threads=self._threads)
        return _GrowingMember(spooled, self._tar, self._compressor, self._spliced_from)

    def close(self) -> Sealed:
        """Write the manifest, finish the stream, bring it to the disk."""
        members = len(self._lines)
        self._tar.add_bytes(MANIFEST, manifest.render(self._lines))
        self._tar.finish()
        self._open = False
        return Sealed(
            path=self._file.path,
            size=self._file.size,
            sha256=self._file.sha256,
            uncompressed_size=self._tar.uncompressed,
            members=members,
            findings=self._tar.findings,
        )

    def abort(self) -> None:
        """See Payload."""
        self._open = False
        self._tar.abort()

    def _list(self, member: Member, sha256: str) -> None:
        self._lines.append(manifest.line(member, sha256))


class _GrowingMember:
    """See Growing."""

    def __init__(self, spooled: Spooled, tar: TarStream, compressor: ZstdSink, spliced_from: int) -> None:
        self._spooled, self._tar, self._compressor, self._spliced_from = spooled, tar, compressor, spliced_from
        self.write = spooled.write
        self.abort = spooled.abort

    def commit(self) -> None:
        """See Growing.

        A small one is compressed anew, in sight of what was archived before: much of an export is in the binary copy as
        well.  With a large one that lies too far back to be seen, and what is there serves.
        """
        self._spooled.finish()
        if self._spooled.size < self._spliced_from:
            with self._spooled.content() as content:
                self._tar.add_stream(self._spooled.name, content, self._spooled.size)
            return
        with self._spooled.compressed() as frames:
            self._tar.add_spliced(
                self._spooled.name,
                self._spooled.size,
                self._spooled.sha256,
                lambda: self._compressor.splice(frames),
            )
