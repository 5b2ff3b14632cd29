"""How much room an operation needs on each file system, told before anything is stopped.

How well a payload will be compressed is not known beforehand: samples of the databases are compressed.  How much of the
databases will come out as LDIF is told by how much of the samples looks like it (both libraries keep entries as LDIF).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import zstandard

from ipabackup.directory.instances import Instance
from ipabackup.errors import NoSpace
from ipabackup.host.files import Space, Usage, usage
from ipabackup.inventory import InventoryItem, PathKind

#: Bytes that any operation may use beside its data: records, headers, folders, the file system's own bookkeeping.
SLACK = 1 << 20
_BLOCK = 1 << 16
_SAMPLES = 64
#: A line of an entry as the server keeps it: an attribute's name, options, and a value.
_LDIF_LINE = re.compile(rb"^[A-Za-z][A-Za-z0-9;.-]{0,80}::? ?[^\n\0]*\n", re.MULTILINE)
#: What text like an entry's compresses to beside a binary copy of the same entries: most of it repeats.
_FILES_RATIO = 0.45


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
    """The data of one instance: bytes of its databases, the LDIF expected of them, and what both compress to."""

    binary: int
    ldif: int
    compressed: int


def measure(instance: Instance, level: int) -> DataSize:
    """Measure the databases of `instance` by samples; `level` is the compression that will be used."""
    files = [path for path in instance.database_dir.rglob("*") if path.is_file()]
    binary = sum(path.stat().st_size for path in files)
    sample = b"".join(_samples(files, binary))
    if not sample:
        return DataSize(binary, 0, 0)
    text = b"".join(_LDIF_LINE.findall(sample))
    ldif = int(binary * len(text) / len(sample))
    packed = _compressed(sample, level) / len(sample)
    # The export repeats the text that the binary copy holds, wrapped and in another order.
    repeated = _compressed(text, level) / len(text) if text else 0.0
    return DataSize(binary, ldif, int(binary * packed + ldif * repeated))


def _samples(files: Sequence[Path], total: int) -> Iterator[bytes]:
    """Blocks spread evenly over the files."""
    step = max(_BLOCK, total // _SAMPLES)
    for path in files:
        with path.open("rb") as file:
            size = path.stat().st_size
            for offset in range(0, size, step):
                file.seek(offset)
                yield file.read(_BLOCK)


def _compressed(data: bytes, level: int) -> int:
    return len(zstandard.ZstdCompressor(level=level).compress(data))


def for_backup(
    instances: Iterable[Instance], items: Iterable[InventoryItem], target: Path, level: int
) -> tuple[Demand, ...]:
    """What a backup needs: beside the databases a copy and the LDIF of one backend, in `target` the payload."""
    demands = []
    payload = 0
    for instance in instances:
        size = measure(instance, level)
        payload += size.compressed
        demands.append(Demand(instance.backup_dir, size.binary + size.ldif, f"copy of slapd-{instance.name}"))
    files = Usage(0, 0, 0)
    for item in items:
        if item.kind is not PathKind.REQUIRED_DIRECTORY:
            files += usage(Path(item.path), item.excludes)
    payload += int(files.apparent * _FILES_RATIO) + files.entries * 100
    demands.append(Demand(target, payload, "the backup"))
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
