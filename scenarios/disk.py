"""How much room something takes on each file system of a host while it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from lab.host import Host
from lab.waiting import wait_for

#: Where backups, copies of databases and exports may take room.  Logs grow whatever one does.
FOLDERS = ("/var/lib", "/var/tmp", "/var/cache", "/tmp", "/run", "/root", "/srv", "/opt", "/etc")

#: Prints, when it is told to end, the highest number of bytes that each file system held beyond those at the start: by
#: the number of its device, which is that of the folder a file lies in (a file's own may be a layer's).
_WATCH = """
import json, os, signal, sys, threading

def taken(folders):
    sums, seen = {}, set()
    waiting = list(folders)
    while waiting:
        folder = waiting.pop()
        try:
            device = os.lstat(folder).st_dev
            entries = list(os.scandir(folder))
        except OSError:
            continue
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                sums[device] = sums.get(device, 0) + status.st_blocks * 512
    return sums

ready, *folders = sys.argv[1:]
ended = threading.Event()
signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
first, peaks = taken(folders), {}
open(ready, "w").close()
while not ended.wait(0.05):
    for device, size in taken(folders).items():
        peaks[device] = max(peaks.get(device, 0), size - first.get(device, 0))
print(json.dumps(peaks))
"""


@contextmanager
def watched(host: Host) -> Iterator[dict[int, int]]:
    """Watch as long as the block lasts; afterwards there are the peaks in bytes, by device number."""
    script, ready = "/opt/watch-disk.py", "/opt/watch-disk.ready"
    host.write_file(script, _WATCH)
    host.run(["rm", "-f", ready])
    watcher = host.start(["python3", "-I", script, ready, *FOLDERS])
    wait_for(
        "the disk to be watched",
        lambda: not watcher.running or host.run(["test", "-e", ready], check=False).status == 0,
        limit=30,
    )
    peaks: dict[int, int] = {}
    try:
        yield peaks
    finally:
        watcher.signal("TERM")
        ended = watcher.wait(60)
    peaks.update({int(device): size for device, size in json.loads(ended.stdout).items()})


def device_of(host: Host, mount: str) -> int:
    """The device number of a folder's file system."""
    return int(host.run(["stat", "-c", "%d", mount]).stdout)
