"""Who started a lab: a process, named so that a later one can tell whether it still lives.

A process id alone is not enough: ids are used again, and do not survive a reboot.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

#: Names the process that a test run's workers belong to: their labs die with the run, not with a worker.
SESSION_VARIABLE = "IPALAB_SESSION_OWNER"


@cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _start_time(pid: int) -> str | None:
    """The 22nd field of /proc/PID/stat, see proc_pid_stat(5); None when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] == "Z" else fields[19]


def this_process() -> str:
    """Name the running process: boot id, process id and start time."""
    return f"{_boot_id()}:{os.getpid()}:{_start_time(os.getpid())}"


def session() -> str:
    """Name the owner of what a test run starts: the run's main process, or this one outside a run."""
    return os.environ.get(SESSION_VARIABLE) or this_process()


def is_alive(owner: str) -> bool:
    """Say whether the process that :func:`this_process` named is still there.

    Something that does not parse is taken for alive: what is not understood is not removed.
    """
    try:
        boot_id, pid, started = owner.split(":")
        number = int(pid)
    except ValueError:
        return True
    return boot_id == _boot_id() and _start_time(number) == started
