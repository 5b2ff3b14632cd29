"""Compacted copies of an mdb database, made while they are read: no second copy ever lies on the disk."""

from __future__ import annotations

import fcntl
import io
import logging
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from ipabackup.directory import lmdb_tool
from ipabackup.errors import DirectoryFailure

#: LMDB's note of who reads and writes.
LOCK = "lock.mdb"
_CHUNK = 1 << 20
#: A copy of no more bytes is kept when it has been made to know its size: making it again would take longer.
_KEPT = 16 << 20
#: Linux's fcntl command for the size of a pipe; Python knows it from 3.10 on.
_F_SETPIPE_SZ = 1031
#: Seconds that the program may take to end once its output has ended.
_END = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Compacted:
    """What the database in `folder` becomes when compacted: `size` is in bytes, `kept` all of it when that is small."""

    folder: Path
    size: int
    kept: bytes | None = None

    @contextmanager
    def content(self) -> Iterator[BinaryIO]:
        """The compacted database, from the front; raises DirectoryFailure when it could not be made to its end.

        From when the block begins others may write to the database: it is read as it is now.
        """
        if self.kept is not None:
            yield io.BytesIO(self.kept)
            return
        with _program(self.folder) as output:
            select.select([output], [], [])
            yield output


def compacted(folder: Path) -> Compacted | None:
    """Find out what the database ``data.mdb`` in `folder`, which nobody writes to, becomes when compacted.

    None when that does not work, or is of no use.  The whole copy is made once for that, to nowhere: so there is a size
    to announce, and no failure in the middle of an archive.  A lock file remains, for whom the folder belongs to.
    """
    size = 0
    pieces: list[bytes] = []
    try:
        with _program(folder) as output:
            while data := output.read(_CHUNK):
                size += len(data)
                if size <= _KEPT:
                    pieces.append(data)
    except DirectoryFailure as problem:
        _log.info("The database in %s is kept as it is: %s", folder, problem)
        return None
    owner = folder.stat()
    os.chown(folder / LOCK, owner.st_uid, owner.st_gid)
    if not 0 < size < (folder / "data.mdb").stat().st_size:
        return None
    return Compacted(folder, size, b"".join(pieces) if size <= _KEPT else None)


def widen(pipe: int) -> None:
    """Let a pipe hold a megabyte, where that is allowed: fewer turns for the same data."""
    with suppress(OSError):
        fcntl.fcntl(pipe, _F_SETPIPE_SZ, _CHUNK)


@contextmanager
def _program(folder: Path) -> Iterator[BinaryIO]:
    # Its own modules will do (-I, -S): others' would take longer to load than a small database.
    argv = [sys.executable, "-I", "-S", str(Path(lmdb_tool.__file__).resolve()), "copy", str(folder)]
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=_CHUNK,
        start_new_session=True,
    )
    output, messages = cast(BinaryIO, process.stdout), cast(BinaryIO, process.stderr)
    widen(output.fileno())
    try:
        yield output
        rest = output.read(1)
        # Its message, if any, fits into the pipe: it is read when the output is.
        said = messages.read().decode("utf-8", "replace").strip()
        status = process.wait(_END)
        if rest or status != 0:
            raise DirectoryFailure(f"The database could not be compacted: {said or f'status {status}'}.")
    except subprocess.TimeoutExpired as error:
        raise DirectoryFailure(f"The compaction did not end within {_END:g} s.") from error
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        output.close()
        messages.close()
