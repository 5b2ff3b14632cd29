#!/usr/bin/python3 -sP
"""The container's first process: boots user-mode Linux on the disk beside it, and shuts it down in order.

The disk is an image and what changed of it since (copy-on-write), which is kept packed while the guest is down: so a
commit of the container is a snapshot of the guest.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

GUEST = Path("/guest")
CHANGES, PACKED = GUEST / "disk.cow", GUEST / "disk.cow.zst"
#: A tmpfs: its inode numbers are never used again, which hostfs relies on.
SHARE = Path("/run/guest")
MEMORY = os.environ.get("GUEST_MEMORY", "768M")
STOP = signal.SIGRTMIN + 3


def network() -> dict[str, str]:
    """Take the container's address, for the guest."""
    (link,) = (one for one in json.loads(ip("-json", "address", "show")) if one["ifname"] == "eth0")
    (address,) = (one for one in link["addr_info"] if one["family"] == "inet")
    routes = json.loads(ip("-json", "route", "show", "default"))
    ip("address", "flush", "dev", "eth0")
    return {
        "mac": link["address"],
        "address": f"{address['local']}/{address['prefixlen']}",
        "gateway": routes[0]["gateway"] if routes else "",
    }


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def share_facts(net: dict[str, str]) -> None:
    for name in ("requests", "results"):
        (SHARE / name).mkdir(parents=True)
    facts = {**net, "hostname": socket.gethostname()}
    for name in ("hosts", "resolv.conf"):
        facts[name] = Path("/etc", name).read_text()
    (SHARE / "facts.json").write_text(json.dumps(facts))


def kernel(mac: str) -> list[str]:
    return [
        "linux.uml",
        f"mem={MEMORY}",
        f"ubd0={CHANGES},{GUEST / 'root.img'}",
        "root=/dev/ubda",
        "rootfstype=ext4",
        "rw",
        f"vec0:transport=raw,ifname=eth0,mac={mac}",
        f"hostfs={SHARE}",
        "security=selinux",
        "enforcing=0",
        "audit=1",
        "audit_backlog_limit=8192",
        "con=null",
        "con0=null,fd:1",
        "quiet",
        "systemd.show_status=0",
    ]


def main() -> int:
    if PACKED.exists():
        subprocess.run(["zstd", "-q", "-d", "--sparse", "--rm", "-f", PACKED, "-o", CHANGES], check=True)
    shutil.rmtree(SHARE, ignore_errors=True)
    net = network()
    share_facts(net)
    environment = {**os.environ, "TMPDIR": "/dev/shm"}
    process = subprocess.Popen(kernel(net["mac"]), env=environment, stdin=subprocess.DEVNULL)
    signal.signal(STOP, lambda *_: (SHARE / "poweroff").touch())
    status = process.wait()
    print(f"The guest's kernel ended with status {status}.", flush=True)
    if CHANGES.exists():
        subprocess.run(["zstd", "-q", "-1", "-T2", "--rm", "-f", CHANGES, "-o", PACKED], check=True)
    return 0 if status == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
