"""SSSD on a server: it caches users as they were before a restore, and goes offline when the directory stops."""

from __future__ import annotations

from pathlib import Path

from ipabackup.host.processes import Processes

UNIT = "sssd.service"
STATE = Path("/var/lib/sss")


def forget(state: Path) -> list[Path]:
    """Remove what SSSD has cached below `state` and return it; SSSD must be stopped.

    ``sss_cache -E`` does not do: it only makes entries expire, and one whose number has changed stays in
    the way.
    """
    cached = [
        *sorted((state / "db").glob("cache_*.ldb")),
        *sorted((state / "db").glob("timestamps_*.ldb")),
        *sorted(path for path in (state / "mc").glob("*") if path.is_file()),
    ]
    for path in cached:
        path.unlink()
    return cached


def go_online(processes: Processes) -> None:
    """Have SSSD try the directory again at once (SIGUSR2, sssd(8)).

    While the directory was down it may have gone offline, and would stay so for a minute: new users would be unknown.
    """
    shown = processes.run(["systemctl", "show", "--property=MainPID", "--value", UNIT], check=False)
    pid = shown.stdout.strip()
    if pid.isdigit() and int(pid) > 0:
        processes.run(["kill", "-USR2", pid], check=False)
