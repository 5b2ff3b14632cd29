"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

from lab.engine import Engine
from lab.host import Host

#: Load from which other work on the machine is worth a warning.
BUSY = 0.5


def facts(engine: Engine, host: Host) -> dict[str, str]:
    """The machine, the engine and the versions of what takes part, by name."""
    version = engine.client.version()
    packages = host.run(
        ["dpkg-query", "-W", "-f", "${Package} ${Version}; ", "389-ds-base", "krb5-kdc", "apache2", "tar"], check=False
    )
    return {
        "processors": f"{os.cpu_count()} x {_line('/proc/cpuinfo', 'model name')}",
        "memory": f"{int(_line('/proc/meminfo', 'MemTotal').split()[0]) / 1024 / 1024:.1f} GiB",
        "kernel": platform.release(),
        "engine": f"{version.get('Version')}, storage driver {engine.client.info().get('Driver')}",
        "host": f"topology '{host.topology.name}'; {packages.stdout.rstrip('; ')}",
        "product": f"{host.run(['ipa-backup', '--version']).stdout.strip()}{_commit()}",
        "python": host.run(["/usr/bin/python3", "--version"]).stdout.strip(),
    }


def disturbances(engine: Engine, host: Host) -> list[str]:
    """What else happens on the machine that figures may suffer from, a line each."""
    found = []
    load = os.getloadavg()[0]
    if load > BUSY:
        found.append(f"The machine's load was {load:.1f} before anything was measured.")
    others = [one.name for one in engine.containers() if one.id != host.container.id and one.status == "running"]
    if others:
        found.append(f"{len(others)} other hosts of labs were up.")
    return found


def database_bytes(host: Host) -> int:
    """What the directory's databases take."""
    folder = f"/var/lib/dirsrv/slapd-{host.instance}/db"
    return int(host.run(["du", "-s", "-B1", folder]).stdout.split()[0])


def _commit() -> str:
    """The checkout's commit, where there is one, and whether it was changed since."""
    argv = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return f", {done.stdout.strip()}" if done.returncode == 0 else ""


def _line(file: str, name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.+)$", Path(file).read_text(encoding="utf-8"), re.MULTILINE)
    return found[1].strip() if found else "unknown"
