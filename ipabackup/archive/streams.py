"""The reading end of a payload's stream: file, digest, decryption, decompression, tar."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import tarfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, Protocol, cast

import zstandard

from ipabackup.archive import gpg
from ipabackup.archive.gpg import Keyring
from ipabackup.archive.tarformat import BLOCK
from ipabackup.errors import DamagedBackup, IpaBackupError

CHUNK = 1 << 20
_ZSTD = b"\x28\xb5\x2f\xfd"
_GZIP = b"\x1f\x8b"
_LARGEST_WINDOW = 1 << 30
_GPG_END = 600.0


class Source(Protocol):
    """Bytes from the front."""

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        ...


class HashedFile:
    """A file that is read from its beginning; counts and hashes what was read."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """The hexadecimal digest of what was read so far."""
        return self._digest.hexdigest()

    def read(self, size: int = -1, /) -> bytes:
        """See Source."""
        data = self._file.read(size)
        self._digest.update(data)
        self.size += len(data)
        return data

    def drain(self) -> int:
        """Read to the end of the file; returns how many bytes were left."""
        before = self.size
        while self.read(CHUNK):
            continue
        return self.size - before

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextmanager
def decrypted(source: HashedFile, ring: Keyring, payload: str) -> Iterator[Source]:
    """What ``source`` holds, decrypted by a GnuPG process that a thread feeds.

    At the end of the data GnuPG's verdict is awaited: raises WrongKey, KeyProblem, or DamagedBackup.
    """
    process = subprocess.Popen(
        ring.decrypting(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, **gpg.ENVIRONMENT},
        start_new_session=True,
    )
    reading = _Decryption(process, source, payload)
    try:
        yield reading
    finally:
        reading.close()


class _Decryption:
    """A running GnuPG process as a source."""

    def __init__(self, process: subprocess.Popen[bytes], source: HashedFile, payload: str) -> None:
        self._process = process
        self._source = source
        self._payload = payload
        self._messages = b""
        self._failure: BaseException | None = None
        self._threads = (
            threading.Thread(target=self._feed, name="gpg input", daemon=True),
            threading.Thread(target=self._listen, name="gpg messages", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def read(self, size: int = -1, /) -> bytes:
        data = cast(BinaryIO, self._process.stdout).read(size)
        if not data and size != 0:
            self._judge()
        return data

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        cast(BinaryIO, self._process.stdout).close()

    def _judge(self) -> None:
        try:
            status = self._process.wait(_GPG_END)
        except subprocess.TimeoutExpired as error:
            raise IpaBackupError(f"gpg did not end within {_GPG_END:g} seconds after its last output") from error
        for thread in self._threads:
            thread.join()
        if self._failure is not None:
            raise self._failure
        if status != 0:
            messages = self._messages.decode("utf-8", "replace")
            problem = gpg.failure(messages, status, self._payload)
            plain = [line for line in messages.splitlines() if not line.startswith("[GNUPG:]")]
            raise problem or DamagedBackup(
                f"{self._payload} cannot be decrypted: {'; '.join(plain) or f'gpg ended with {status}'}"
            )

    def _feed(self) -> None:
        entry = cast(BinaryIO, self._process.stdin)
        try:
            while data := self._source.read(CHUNK):
                view = memoryview(data)
                while view:
                    view = view[entry.write(view) or 0 :]
        except BrokenPipeError:
            # GnuPG has given up, or is no longer wanted; its exit status tells which.
            return
        except BaseException as failure:
            self._failure = failure
        finally:
            entry.close()

    def _listen(self) -> None:
        messages = cast(BinaryIO, self._process.stderr)
        self._messages = messages.read()
        messages.close()


def decompressed(source: Source, payload: str) -> Source:
    """What ``source`` holds, with Zstandard or gzip undone, whichever its first bytes tell.  Raises
    DamagedBackup.
    """
    start = b""
    while len(start) < len(_ZSTD):
        more = source.read(len(_ZSTD) - len(start))
        if not more:
            break
        start += more
    whole = _Ahead(start, source)
    if start == _ZSTD:
        decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
        stream = decompressor.stream_reader(cast("IO[bytes]", whole), read_size=CHUNK, read_across_frames=True)
        return _Decompressed(cast(Source, stream), payload)
    if start[:2] == _GZIP:
        return _Decompressed(gzip.GzipFile(fileobj=cast("IO[bytes]", whole), mode="rb"), payload)
    raise DamagedBackup(f"{payload} is neither a zstd nor a gzip stream")


class _Ahead:
    """A source of which the first bytes were looked at already."""

    def __init__(self, start: bytes, source: Source) -> None:
        self._start = start
        self._source = source

    def read(self, size: int = -1, /) -> bytes:
        if self._start:
            taken = self._start if size < 0 else self._start[:size]
            self._start = self._start[len(taken) :]
            return taken
        return self._source.read(size)


class _Decompressed:
    """A decompressor whose complaints are told as damage."""

    def __init__(self, stream: Source, payload: str) -> None:
        self._stream = stream
        self._payload = payload

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._stream.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
            raise DamagedBackup(f"{self._payload} is damaged: {error}") from error


class ForwardStream(io.RawIOBase):
    """A source in the shape that tarfile reads from: it knows its place and seeks forward only.

    ``last`` is the most recent piece that was read, which tells after the last member how the archive ended.
    """

    def __init__(self, source: Source, payload: str) -> None:
        super().__init__()
        self._source = source
        self._payload = payload
        self._position = 0
        self.last = b""

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Forward, at least."""
        return True

    def tell(self) -> int:
        """Bytes read so far."""
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Exactly ``size`` bytes, fewer only at the end."""
        pieces = []
        left = size
        while left:
            data = self._source.read(min(left, CHUNK) if left > 0 else CHUNK)
            if not data:
                break
            pieces.append(data)
            self._position += len(data)
            if left > 0:
                left -= len(data)
        self.last = b"".join(pieces)
        return self.last

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Skip to ``offset`` from the beginning, which must lie ahead."""
        if whence != io.SEEK_SET or offset < self._position:
            raise DamagedBackup(f"{self._payload} is damaged: a member's place lies before the one before it")
        while self._position < offset:
            if not self.read(min(CHUNK, offset - self._position)):
                break
        return self._position


class _Data:
    """A member's data; read by others than tar_members, so that tarfile's complaints have to be told here."""

    def __init__(self, data: IO[bytes], payload: str) -> None:
        self._data = data
        self._payload = payload

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._data.read(size)
        except tarfile.TarError as error:
            raise DamagedBackup(f"{self._payload} is damaged or truncated: {error}") from error


def tar_members(source: Source, payload: str) -> Iterator[tuple[tarfile.TarInfo, BinaryIO | None]]:
    """Every member of a tar stream, regular files with their data; raises DamagedBackup unless the archive
    ends properly.
    """
    stream = ForwardStream(source, payload)
    try:
        archive = tarfile.TarFile(
            fileobj=cast("IO[bytes]", stream), mode="r", encoding="utf-8", errors="surrogateescape"
        )
        while True:
            info = archive.next()
            if info is None:
                break
            # tarfile remembers every member for seeking back, which a stream cannot.
            archive.members.clear()  # type: ignore[attr-defined]
            data = archive.extractfile(info) if info.isreg() else None
            yield info, None if data is None else cast(BinaryIO, _Data(data, payload))
    except (tarfile.TarError, ValueError, IndexError, OverflowError, UnicodeError) as error:
        raise DamagedBackup(f"{payload} is damaged: {error}") from error
    # tarfile takes anything that is no header for the end; only an empty block is.
    if len(stream.last) != BLOCK or any(stream.last):
        raise DamagedBackup(f"{payload} is damaged or truncated: the archive does not end where it should")
    while rest := stream.read(CHUNK):
        if any(rest):
            raise DamagedBackup(f"{payload} has something behind the end of the archive")
