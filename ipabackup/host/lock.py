"""One backup or restore at a time on a host."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ipabackup.errors import Busy

LOCK = Path("/run/ipabackup.lock")


@contextmanager
def exclusive(command: str, path: Path = LOCK) -> Iterator[None]:
    """Hold the host's lock; raises Busy, naming the other command and its process id, when another one has
    it.

    The kernel lets go of the lock when the process ends, however it ends: the file stays, and means nothing
    by itself.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 4096, 0).decode("utf-8", "replace").strip()
            raise Busy(
                f"another operation is running: {holder or 'unknown'}",
                remedy="Wait until it has ended, then try again.",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{command} (pid {os.getpid()})\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
