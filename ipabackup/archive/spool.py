"""Something compressed whose size must be known before it can be archived: kept in memory, or beside the payload."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from ipabackup.archive import streams
from ipabackup.archive.gpg import Keyring
from ipabackup.archive.pipeline import FileSink, GpgSink, Sink, ZstdSink
from ipabackup.errors import DamagedBackup

IN_MEMORY = 48 << 20
"""Bytes that are kept in memory; the files of a server without its logs are a fraction of it."""

IN_MEMORY_GROWING = 8 << 20
"""The same of a growing member."""


class Spool:
    """A sink that can be read back once it is finished.

    What does not fit into memory goes to a file (0600).  When the backup is encrypted that file is encrypted too, for
    the same key: nothing of a backup may lie on the disk in clear text.
    """

    def __init__(self, path: Path, keyring: Keyring | None, *, in_memory: int = IN_MEMORY) -> None:
        self._path = path
        self._keyring = keyring
        self._limit = in_memory
        self._memory = io.BytesIO()
        self._overflow: Sink | None = None
        self.size = 0

    def write(self, data: bytes) -> int:
        """See Sink."""
        self.size += len(data)
        if self._overflow is None and self.size > self._limit:
            file = FileSink(self._path)
            self._overflow = file if self._keyring is None else GpgSink(file, self._keyring)
            self._overflow.write(self._memory.getvalue())
            self._memory = io.BytesIO()
        if self._overflow is None:
            return self._memory.write(data)
        return self._overflow.write(data)

    def finish(self) -> None:
        """See Sink."""
        if self._overflow is not None:
            self._overflow.finish()

    def abort(self) -> None:
        """See Sink."""
        if self._overflow is not None:
            self._overflow.abort()
        self._memory = io.BytesIO()

    @contextmanager
    def content(self) -> Iterator[BinaryIO]:
        """All of it, from the front; it is gone afterwards.  Raises KeyProblem when it cannot be decrypted again."""
        if self._overflow is None:
            self._memory.seek(0)
            yield self._memory
            self._memory = io.BytesIO()
            return
        file = streams.HashedFile(self._path)
        try:
            if self._keyring is None:
                yield cast(BinaryIO, file)
            else:
                with streams.decrypted(file, self._keyring, self._path.name) as plain:
                    yield cast(BinaryIO, plain)
                    # GnuPG's verdict on the whole comes at the end only.
                    if plain.read(1):
                        raise DamagedBackup(f"{self._path.name} is longer than it was written")
        finally:
            file.close()
            self._path.unlink()


class Spooled:
    """One growing file, compressed with Zstandard on its way into a spool.

    ``size`` (bytes) and ``sha256`` are the file's own.
    """

    def __init__(self, folder: Path, name: str, keyring: Keyring | None, *, level: int, threads: int = -1) -> None:
        """The spool lies in ``folder``; the other words are those of PayloadWriter."""
        self.name = name
        self.size = 0
        self._digest = hashlib.sha256()
        self._spool = Spool(folder / f"{name.replace('/', '-')}.spool", keyring, in_memory=IN_MEMORY_GROWING)
        self._sink = ZstdSink(self._spool, level=level, threads=threads, long=False)

    @property
    def sha256(self) -> str:
        """The hexadecimal digest of what was written so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Take the next piece."""
        self.size += len(data)
        self._digest.update(data)
        self._sink.write(data)

    def finish(self) -> None:
        """Nothing more comes."""
        self._sink.finish()

    def abort(self) -> None:
        """Forget it."""
        self._sink.abort()

    @contextmanager
    def compressed(self) -> Iterator[BinaryIO]:
        """The frames, from the front; they are gone afterwards."""
        with self._spool.content() as frames:
            yield frames

    @contextmanager
    def content(self) -> Iterator[BinaryIO]:
        """The file, from the front; it is gone afterwards."""
        with self.compressed() as frames:
            yield cast(BinaryIO, streams.decompressed(cast(streams.Source, frames), self.name))
