"""The writing end of a payload's stream: compression, encryption, digest, file."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import threading
from pathlib import Path
from typing import IO, BinaryIO, Protocol, cast

import zstandard

from ipabackup.archive import gpg
from ipabackup.archive.gpg import Keyring
from ipabackup.errors import IpaBackupError, KeyProblem, NoSpace

CHUNK = 1 << 20
_GPG_END = 600.0
"""Seconds that GnuPG may take for the last chunk and its integrity code once its input has ended."""


class Sink(Protocol):
    """The next stage of a stream."""

    def write(self, data: bytes) -> int:
        """Take all of ``data``."""
        ...

    def finish(self) -> None:
        """Nothing more comes: pass on what is held back, and finish the next stage too."""
        ...

    def abort(self) -> None:
        """Give up at once, without complaint."""
        ...


class FileSink:
    """The payload's file.  Counts and hashes what it is given."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._digest = hashlib.sha256()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    @property
    def sha256(self) -> str:
        """The hexadecimal digest of what was written so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> int:
        """See Sink.  Raises NoSpace when the file system is full."""
        view = memoryview(data)
        try:
            while view:
                written = self._file.write(view) or 0
                self._digest.update(view[:written])
                self.size += written
                view = view[written:]
        except OSError as error:
            raise _told(error, self.path) from error
        return len(data)

    def finish(self) -> None:
        """See Sink.  The data is on the disk afterwards."""
        try:
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise _told(error, self.path) from error

    def abort(self) -> None:
        """See Sink.  The file is removed."""
        self._file.close()
        self.path.unlink(missing_ok=True)


#: The binary copy and the LDIF of a directory hold the same text; a window that sees both stores it once.  Of 64 MiB:
#: zstd(1) opens that without being told, and the memory of both sides stays below 200 MiB.
_WINDOW_LOG = 26


class ZstdSink:
    """Compresses with Zstandard; every frame carries a checksum."""

    def __init__(self, following: Sink, *, level: int, threads: int, long: bool = True) -> None:
        """``level`` and ``threads`` are zstd's; ``long`` has it look for repetitions far back, which takes memory."""
        self._following = following
        far = {"window_log": _WINDOW_LOG, "enable_ldm": True, "ldm_min_match": 32} if long else {}
        parameters = zstandard.ZstdCompressionParameters.from_level(level, threads=threads, write_checksum=True, **far)
        compressor = zstandard.ZstdCompressor(compression_params=parameters)
        self._writer = compressor.stream_writer(cast("IO[bytes]", _AsFile(following)), write_size=CHUNK, closefd=False)

    def write(self, data: bytes) -> int:
        """See Sink."""
        self._writer.write(data)
        return len(data)

    def splice(self, frames: BinaryIO) -> None:
        """Take what was compressed elsewhere as it is: Zstandard frames may follow each other (RFC 8878)."""
        self._writer.flush(zstandard.FLUSH_FRAME)
        while data := frames.read(CHUNK):
            self._following.write(data)

    def finish(self) -> None:
        """See Sink."""
        self._writer.flush(zstandard.FLUSH_FRAME)
        self._following.finish()

    def abort(self) -> None:
        """See Sink."""
        self._following.abort()


class GpgSink:
    """Encrypts through a GnuPG process, whose output a thread hands to the next stage."""

    def __init__(self, following: Sink, keyring: Keyring) -> None:
        self._following = following
        self._failure: BaseException | None = None
        self._messages = b""
        self._process = subprocess.Popen(
            keyring.encrypting(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **gpg.ENVIRONMENT},
            start_new_session=True,
        )
        self._threads = (
            threading.Thread(target=self._drain, name="gpg output", daemon=True),
            threading.Thread(target=self._listen, name="gpg messages", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def write(self, data: bytes) -> int:
        """See Sink.  Raises what the next stage raised, or KeyProblem when GnuPG gave up."""
        view = memoryview(data)
        try:
            while view:
                view = view[_pipe(self._process.stdin).write(view) or 0 :]
        except BrokenPipeError:
            self._end()
            raise self._gave_up() from None
        return len(data)

    def finish(self) -> None:
        """See Sink."""
        self._end()
        if self._failure is not None or self._process.returncode != 0:
            raise self._gave_up()
        self._following.finish()

    def abort(self) -> None:
        """See Sink."""
        self._process.kill()
        self._process.wait()
        _pipe(self._process.stdin).close()
        for thread in self._threads:
            thread.join()
        self._following.abort()

    def _end(self) -> None:
        _pipe(self._process.stdin).close()
        try:
            self._process.wait(_GPG_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            self._messages += f"\nno end within {_GPG_END:g} seconds".encode()
        for thread in self._threads:
            thread.join()

    def _drain(self) -> None:
        output = _pipe(self._process.stdout)
        try:
            while data := output.read(CHUNK):
                self._following.write(data)
        except BaseException as failure:
            self._failure = failure
            self._process.kill()
        finally:
            output.close()

    def _listen(self) -> None:
        self._messages = _pipe(self._process.stderr).read()
        _pipe(self._process.stderr).close()

    def _gave_up(self) -> BaseException:
        if self._failure is not None:
            return self._failure
        said = self._messages.decode("utf-8", "replace").strip()
        return KeyProblem(f"gpg could not encrypt the payload: {said or self._process.returncode}")


class _AsFile:
    """A sink in the shape that zstandard writes to."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, data: bytes) -> int:
        return self._sink.write(data)

    def flush(self) -> None:
        """Nothing is held back here."""


def _pipe(stream: object) -> BinaryIO:
    if stream is None:
        raise IpaBackupError("a pipe to gpg is missing")
    return stream  # type: ignore[return-value]


def _told(error: OSError, path: Path) -> IpaBackupError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"the file system of {path} is full", remedy="Make room, then try again.")
    return IpaBackupError(f"{path} could not be written: {error.strerror}")
