#!/usr/bin/python3 -sP
"""The lab's hand inside a guest: gives it its names and its address, then runs what is asked for in the shared folder.

A request is a folder requests/ID with ``command.json`` (argv, environment) and ``stdin``; it appears whole, by a
rename.  The answer is results/ID with ``stdout``, ``stderr`` and, last, ``status``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

SHARE = Path("/guest/share")

#: Seconds between two looks; a look is two readdirs.
INTERVAL = 0.04

#: A file of this name asks for an orderly end.
POWER_OFF = "poweroff"


def prepare(share: Path) -> None:
    """Take the container's names and its address."""
    facts = json.loads((share / "facts.json").read_text())
    Path("/etc/hostname").write_text(facts["hostname"] + "\n")
    for name in ("hosts", "resolv.conf"):
        Path("/etc", name).write_text(facts[name])
    subprocess.run(["hostname", facts["hostname"]], check=True)
    # As in a container: servers listen on IPv6 sockets for both families, and no interface has such an address.
    subprocess.run(["modprobe", "ipv6"], check=True)
    Path("/proc/sys/net/ipv6/conf/vec0/disable_ipv6").write_text("1")
    commands = [
        ["link", "set", "lo", "up"],
        ["address", "add", facts["address"], "dev", "vec0"],
        ["link", "set", "vec0", "up"],
    ]
    if facts["gateway"]:
        commands.append(["route", "add", "default", "via", facts["gateway"]])
    for words in commands:
        subprocess.run(["ip", *words], check=True)


def serve(share: Path) -> None:
    """Run what is asked for, side by side, until the power is to go off."""
    taken: set[str] = set()
    while POWER_OFF not in names(share):
        asked = names(share / "requests")
        for name in sorted(asked - taken):
            threading.Thread(target=answer, args=(share, name), daemon=True).start()
        taken = asked
        time.sleep(INTERVAL)


def names(folder: Path) -> set[str]:
    """What is in a folder, as the other side has it now."""
    return {path.name for path in folder.iterdir()}


def answer(share: Path, name: str) -> None:
    """Run one request, and write its answer."""
    result = share / "results" / name
    result.mkdir()
    status = run(share / "requests" / name, result)
    (result / "unfinished").write_text(str(status))
    (result / "unfinished").rename(result / "status")


def run(request: Path, result: Path) -> int:
    """Run a request's command to its end; returns the status that a shell would give it."""
    command = json.loads((request / "command.json").read_text())
    with (
        (request / "stdin").open("rb") as given,
        (result / "stdout").open("wb") as out,
        (result / "stderr").open("wb") as err,
    ):
        try:
            process = subprocess.Popen(
                command["argv"],
                stdin=given,
                stdout=out,
                stderr=err,
                env=command["environment"],
                cwd="/",
                start_new_session=True,
            )
            status = process.wait()
        except OSError as error:
            err.write(f"{error}\n".encode())
            status = 127 if isinstance(error, FileNotFoundError) else 126
        # A service that the command started may hold the file open: what is there goes over now.
        for file in (out, err):
            file.flush()
            os.fsync(file.fileno())
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(SHARE)
    else:
        serve(SHARE)
        subprocess.run(["systemctl", "--no-block", "poweroff"], check=True)
