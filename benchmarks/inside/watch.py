"""Watches disk and memory of a host until SIGTERM, then prints the peaks as one JSON object.

    watch.py READY COMMAND... -- FOLDER...

It makes the file READY once it watches.  Memory is that of the processes whose second argument, the script that
Python runs, is one of COMMAND: the highest sum of their peak resident set sizes (VmHWM, proc(5)), and of
them together with all processes below them.  Disk is what the FOLDERs take (blocks, hard links once), and,
as a check that sees deleted files too, what the file system of the first one has lost.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

#: Seconds between two looks: looking more often would take a noticeable part of a processor.
INTERVAL = 0.25

BLOCK = 512


def used(folders: Iterable[str]) -> int:
    """Bytes that all below the folders takes; what vanishes meanwhile is not counted."""
    seen: set[tuple[int, int]] = set()
    return sum(_sizes(folders, seen))


def _sizes(folders: Iterable[str], seen: set[tuple[int, int]]) -> Iterator[int]:
    for folder in folders:
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        below = []
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if entry.is_dir(follow_symlinks=False):
                below.append(entry.path)
            elif (status.st_dev, status.st_ino) not in seen:
                if status.st_nlink > 1:
                    seen.add((status.st_dev, status.st_ino))
                yield status.st_blocks * BLOCK
        yield from _sizes(below, seen)


def taken(folder: str) -> int:
    """Bytes that the file system of the folder has given away, to whomever."""
    status = os.statvfs(folder)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def memory(commands: Iterable[str], proc: Path = Path("/proc")) -> tuple[int, int]:
    """Bytes (VmHWM) of the processes that run one of the commands, and of these and all below them."""
    wanted = {command.encode() for command in commands}
    peaks: dict[int, int] = {}
    parents: dict[int, int] = {}
    own: set[int] = set()
    for entry in os.scandir(proc):
        if not entry.name.isdigit():
            continue
        try:
            status = (proc / entry.name / "status").read_bytes()
            arguments = (proc / entry.name / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        fields = dict(line.split(b":", 1) for line in status.splitlines() if b":" in line)
        pid = int(entry.name)
        parents[pid] = int(fields[b"PPid"])
        peaks[pid] = int(fields.get(b"VmHWM", b"0 kB").split()[0]) * 1024
        if wanted.intersection(arguments[:3]) and b"python" in arguments[0]:
            own.add(pid)
    tree = {pid for pid in peaks if own.intersection(_line(pid, parents))}
    return sum(peaks[pid] for pid in own), sum(peaks[pid] for pid in tree)


def _line(pid: int, parents: dict[int, int]) -> Iterator[int]:
    """The process and those above it."""
    while pid in parents:
        yield pid
        pid = parents[pid]


def main() -> None:
    """Watch until SIGTERM."""
    ready, *rest = sys.argv[1:]
    commands, folders = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
    at_first, lost_at_first = used(folders), taken(folders[0])
    peaks = {"used": 0, "lost": 0, "own": 0, "tree": 0}
    Path(ready).touch()
    while not ended.wait(INTERVAL):
        own, tree = memory(commands)
        now = {"used": used(folders) - at_first, "lost": taken(folders[0]) - lost_at_first, "own": own, "tree": tree}
        peaks = {name: max(peak, now[name]) for name, peak in peaks.items()}
    print(json.dumps(peaks))


if __name__ == "__main__":
    main()
