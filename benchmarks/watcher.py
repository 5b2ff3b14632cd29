"""Disk and memory of a host while something is done on it: the reading end of :mod:`benchmarks.inside.watch`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.host import Host
from lab.waiting import wait_for

_SCRIPT = "/opt/benchmark-watch.py"
_READY = "/run/benchmark-watch.ready"

#: The commands whose memory is ours, as their launchers are called in a host of the lab.
COMMANDS = ("/usr/local/sbin/ipa-backup", "/usr/local/sbin/ipa-restore")

#: Where backups, exports, copies and databases may take room.  Logs grow whatever one does.
FOLDERS = ("/var/lib", "/var/tmp", "/var/cache", "/tmp", "/run", "/root", "/srv", "/opt", "/etc")


@dataclass
class Peaks:
    """The peaks (bytes): room taken beyond that at the start, and memory; see :mod:`benchmarks.inside.watch`."""

    used: int = 0
    lost: int = 0
    own: int = 0
    tree: int = 0


@contextmanager
def resources(host: Host) -> Iterator[Peaks]:
    """Watch as long as the block lasts; the peaks are known afterwards."""
    host.write_file(_SCRIPT, (Path(__file__).parent / "inside" / "watch.py").read_text(encoding="utf-8"))
    host.run(["rm", "-f", _READY])
    running = host.start(["/usr/bin/python3", "-I", _SCRIPT, _READY, *COMMANDS, "--", *FOLDERS])
    wait_for(
        f"{_SCRIPT} to watch",
        lambda: not running.running or host.run(["test", "-e", _READY], check=False).status == 0,
        limit=30,
    )
    peaks = Peaks()
    try:
        yield peaks
    finally:
        running.signal("TERM")
        ended = running.wait(60)
    for name, value in json.loads(ended.stdout).items():
        setattr(peaks, name, int(value))
