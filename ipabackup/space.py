"""How much room an operation needs on each file system, told before anything is stopped.

How well a payload will be compressed is not known beforehand: samples of the databases and of the files are compressed.
How much of the databases will come out as LDIF is told by how much of the samples looks like it (both libraries keep
entries as LDIF).  The factors were measured with 3,000 and 20,000 users.
"""

from __future__ import annotations

import os
import re
import stat
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import zstandard

from ipabackup.archive.header import CURRENT_FORMAT, STOCK_FORMAT
from ipabackup.archive.spool import IN_MEMORY, IN_MEMORY_GROWING
from ipabackup.archive.writer import SPLICED_FROM
from ipabackup.directory.instances import Instance
from ipabackup.directory.staging import memory_for
from ipabackup.errors import NoSpace
from ipabackup.host.files import Space
from ipabackup.inventory import InventoryItem, PathKind

#: Bytes that any operation may use beside its data: records, headers, folders, the file system's own bookkeeping.
SLACK = 1 << 18
_BLOCK = 1 << 16
_SAMPLES = 64
#: A line of an entry as the server keeps it: an attribute's name, options, and a value, with the lines that go on.
_LDIF_LINE = re.compile(rb"^[A-Za-z][A-Za-z0-9;.-]{0,80}::? ?[^\n\0]*\n(?: [^\n\0]*\n)*", re.MULTILINE)
#: Of that, what is exported: the server keeps more attributes of an entry than it shows.
_EXPORTED = 0.85
#: Of a small LDIF that is compressed in sight of the binary copy, what is new.
_NEW = 0.02
#: How many files are looked into at most.
_FILES = 256
#: What a header of tar and a line of the manifest compress to, for each member.
_MEMBER = 100


@dataclass(frozen=True)
class Demand:
    """Bytes that an operation needs at the same time on the file system of `path`, and what for."""

    path: Path
    size: int
    purpose: str


@dataclass(frozen=True)
class Prediction:
    """What one file system has to take: `needed` and `free` in bytes."""

    mount: str
    needed: int
    free: int
    purposes: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether there is room."""
        return self.needed <= self.free

    def describe(self) -> dict[str, Any]:
        """The prediction as plain data."""
        return {"mount": self.mount, "needed": self.needed, "free": self.free, "for": list(self.purposes)}

    def __str__(self) -> str:
        return (
            f"{self.mount} needs {self.needed / 1e6:.1f} MB ({', '.join(self.purposes)}) "
            f"and has {self.free / 1e6:.1f} MB"
        )


@dataclass(frozen=True)
class DataSize:
    """The data of one instance, in bytes: its databases, the LDIF expected of them, and what each compresses to."""

    binary: int
    ldif: int
    binary_packed: int
    ldif_packed: int


def measure(instance: Instance, level: int, format: int = CURRENT_FORMAT) -> DataSize:
    """Measure the databases of `instance` by samples, for a payload of `format`; `level` is that of zstd."""
    files = [(path, path.stat().st_size) for path in instance.database_dir.rglob("*") if path.is_file()]
    binary = sum(size for _, size in files)
    sample = b"".join(_samples(files, binary))
    if not sample:
        return DataSize(binary, 0, 0, 0)
    text = b"".join(_LDIF_LINE.findall(sample))
    ldif = int(_EXPORTED * binary * len(text) / len(sample))
    ratio = _ratio(sample, level, format) * _seen_whole(binary, instance.library, format)
    return DataSize(binary, ldif, int(binary * ratio), int(ldif * _ratio(text, level, format)))


def _seen_whole(binary: int, library: str, format: int) -> float:
    """What the whole compresses to, beside what samples of it do.

    zstd finds repetitions far back, the more of them the more there is, and databases of mdb are put into the order of
    their keys before.  gzip sees 32 KiB, and that order rather hinders it.
    """
    mdb = library == "mdb"
    small = max(0.0, 1.0 - binary / (64 << 20))
    if format == STOCK_FORMAT:
        return 1.3 - 0.2 * small if mdb else 0.9
    return 0.58 + 0.14 * small if mdb else 0.7 + 0.3 * small


def _samples(files: Sequence[tuple[Path, int]], total: int) -> Iterator[bytes]:
    """Blocks spread evenly over the files; what has vanished since it was listed is left out."""
    step = max(_BLOCK, total // _SAMPLES)
    for path, size in files:
        try:
            with path.open("rb") as file:
                for offset in range(0, size, step):
                    file.seek(offset)
                    yield file.read(_BLOCK)
        except OSError:
            continue


def _ratio(data: bytes, level: int, format: int) -> float:
    """What one byte of `data` compresses to in a payload of `format`."""
    if not data:
        return 0.0
    if format == STOCK_FORMAT:
        return len(zlib.compress(data, 6)) / len(data)
    return len(zstandard.ZstdCompressor(level=level).compress(data)) / len(data)


def _files_packed(items: Iterable[InventoryItem], level: int, format: int) -> int:
    """What the files of the inventory come to in the payload, each counted once."""
    found: dict[tuple[int, int], tuple[Path, int]] = {}
    entries = 0
    for item in items:
        if item.kind is PathKind.REQUIRED_DIRECTORY:
            continue
        for path, status in _files(item):
            entries += 1
            found.setdefault((status.st_dev, status.st_ino), (path, status.st_size))
    files = [*found.values()]
    total = sum(size for _, size in files)
    looked_into = files[:: max(1, len(files) // _FILES)]
    sample = b"".join(_samples(looked_into, total))
    return int(total * _ratio(sample, level, format)) + entries * _MEMBER


def _files(item: InventoryItem) -> Iterator[tuple[Path, os.stat_result]]:
    """The regular files of an item, itself or below it."""
    waiting = [item.path]
    while waiting:
        place = waiting.pop()
        if item.excludes(place):
            continue
        try:
            status = os.lstat(place)
            if stat.S_ISDIR(status.st_mode):
                waiting += [entry.path for entry in os.scandir(place)]
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            yield Path(place), status


def for_backup(
    instances: Iterable[Instance],
    items: Iterable[InventoryItem],
    target: Path,
    level: int,
    *,
    format: int = CURRENT_FORMAT,
    encrypted: bool = False,
) -> tuple[Demand, ...]:
    """What a backup needs: beside the databases (or in memory) a copy of them, in `target` the payload.

    An export, and in format 1 the files too, wait compressed beside the payload when they are too large for memory.
    """
    demands = []
    payload = waiting = 0
    for instance in instances:
        size = measure(instance, level, format)
        home = (memory_for(instance) if encrypted else None) or instance.backup_dir
        demands.append(Demand(home, size.binary, f"copy of slapd-{instance.name}"))
        seen_with_copy = format != STOCK_FORMAT and size.ldif < SPLICED_FROM
        payload += size.binary_packed + (int(size.ldif * _NEW) if seen_with_copy else size.ldif_packed)
        if size.ldif_packed > IN_MEMORY_GROWING:
            waiting = max(waiting, size.ldif_packed)
    files = _files_packed(items, level, format)
    if format == STOCK_FORMAT and files > IN_MEMORY:
        # The last thing that is put into the payload; exports are gone by then.
        waiting = max(waiting, files)
    demands.append(Demand(target, payload + files + waiting, "the backup"))
    return tuple(demands)


def predict(demands: Iterable[Demand], room: Callable[[Path], Space]) -> tuple[Prediction, ...]:
    """Add the demands up by file system, and a little for what nobody counts."""
    by_device: dict[int, Prediction] = {}
    for demand in demands:
        place = room(demand.path)
        before = by_device.get(place.device, Prediction(place.mount, SLACK, place.free, ()))
        by_device[place.device] = Prediction(
            before.mount, before.needed + demand.size, before.free, (*before.purposes, demand.purpose)
        )
    return tuple(by_device.values())


def require(predictions: Iterable[Prediction]) -> None:
    """Raises NoSpace, with the figures, for file systems that are too small."""
    short = [prediction for prediction in predictions if not prediction.fits]
    if short:
        raise NoSpace(
            "There is not enough room: " + "; ".join(map(str, short)) + ".",
            state="Nothing was stopped or changed.",
            remedy="Make room, or insist with --skip-space-check.",
        )
