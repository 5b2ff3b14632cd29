"""Compression with gzip on all processors: one ordinary gzip stream, its blocks compressed side by side.

As pigz does it: each block is deflated on its own, with the end of the one before it as its dictionary, and flushed to
a whole byte, so that the pieces make one stream (RFC 1951, 1952).
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from ipabackup.archive.pipeline import Sink

_BLOCK = 1 << 18
_WINDOW = 1 << 15
# Deflate, no flags, no time, nothing about the level, made on Unix.
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
_LAST = b"\x03\x00"  # an empty final block


class GzipSink:
    """Compresses with gzip; the trailer carries a CRC-32."""

    def __init__(self, following: Sink, *, level: int = 6, threads: int = -1) -> None:
        """``level`` is zlib's; ``threads`` -1 means as many as there are processors."""
        self._following = following
        self._level = level
        workers = threads if threads > 0 else len(os.sched_getaffinity(0)) if threads < 0 else 1
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="gzip")
        self._ahead = 2 * workers
        self._pending: deque[Future[bytes]] = deque()
        self._block = bytearray()
        self._before = b""
        self._crc = 0
        self._size = 0
        self._begun = False

    def write(self, data: bytes) -> int:
        """See Sink."""
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        self._block += data
        while len(self._block) >= _BLOCK:
            self._submit(bytes(self._block[:_BLOCK]))
            del self._block[:_BLOCK]
        return len(data)

    def finish(self) -> None:
        """See Sink."""
        if self._block:
            self._submit(bytes(self._block))
            self._block.clear()
        self._pass_on(0)
        self._begin()
        self._following.write(_LAST + struct.pack("<II", self._crc, self._size & 0xFFFFFFFF))
        self._pool.shutdown()
        self._following.finish()

    def abort(self) -> None:
        """See Sink."""
        for waiting in self._pending:
            waiting.cancel()
        self._pool.shutdown()
        self._following.abort()

    def _submit(self, block: bytes) -> None:
        self._pending.append(self._pool.submit(_deflated, block, self._before, self._level))
        self._before = block[-_WINDOW:]
        self._pass_on(self._ahead)

    def _pass_on(self, left: int) -> None:
        """Hand finished blocks on, in order, until no more than ``left`` wait: that bounds the memory."""
        while len(self._pending) > left:
            self._begin()
            self._following.write(self._pending.popleft().result())

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._following.write(_HEADER)


def _deflated(block: bytes, before: bytes, level: int) -> bytes:
    extra = {"zdict": before} if before else {}
    compressor = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, **extra)  # type: ignore[arg-type]
    return compressor.compress(block) + compressor.flush(zlib.Z_SYNC_FLUSH)
