"""Units of systemd: started, stopped, and waited for by their state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lab.node.run import CommandFailed, Completed, run

#: Not empty while reloads are put off.
_put_off: list[bool] = []


class WaitedTooLong(Exception):
    """A state did not come within its limit."""


def wait_for(what: str, ready: Callable[[], bool], limit: float = 30, every: float = 0.05) -> None:
    """Return as soon as `ready()` is true; raise WaitedTooLong naming `what` after `limit` seconds."""
    end = time.monotonic() + limit
    while not ready():
        if time.monotonic() > end:
            raise WaitedTooLong(f"waited {limit:g} seconds for {what}")
        time.sleep(every)


def systemctl(*words: str, check: bool = True, limit: float = 120) -> Completed:
    return run(["systemctl", *words], check=check, limit=limit)


def start(unit: str) -> None:
    """Start a unit; the error of one that fails carries the end of its journal."""
    _act("start", unit)


def restart(unit: str) -> None:
    _act("restart", unit)


def stop(unit: str) -> None:
    """Stop a unit. One that does not exist, or is masked, is stopped already."""
    if load_state(unit) == "loaded":
        _act("stop", unit)


def reload_or_restart(unit: str) -> None:
    _act("reload-or-restart", unit)


def enable(unit: str) -> None:
    systemctl("enable", "--quiet", unit)


def disable(unit: str) -> None:
    if load_state(unit) == "loaded":
        systemctl("disable", "--quiet", *(["--no-reload"] if _put_off else []), unit)


def reset_failed(unit: str) -> None:
    """Forget that a unit has failed, if it has."""
    systemctl("reset-failed", unit, check=False)


def daemon_reload() -> None:
    """Have systemd read its units again: at the end of `reloading_once`, inside it."""
    if not _put_off:
        systemctl("daemon-reload")


@contextmanager
def reloading_once() -> Iterator[None]:
    """Where units go one after the other, systemd reads what is left of them once.  It takes seconds in a guest."""
    _put_off.append(True)
    try:
        yield
    finally:
        _put_off.clear()
        daemon_reload()


def load_state(unit: str) -> str:
    """loaded, not-found, masked, …"""
    return systemctl("show", "--property=LoadState", "--value", unit).stdout.strip()


def is_active(unit: str) -> bool:
    return systemctl("is-active", "--quiet", unit, check=False).status == 0


def is_enabled(unit: str) -> bool:
    return systemctl("is-enabled", "--quiet", unit, check=False).status == 0


def wait_active(unit: str, limit: float = 30) -> None:
    wait_for(f"{unit} to be active", lambda: is_active(unit), limit)


def _act(verb: str, unit: str) -> None:
    done = systemctl(verb, unit, check=False)
    if done.status == 0:
        return
    said = run(["journalctl", "--no-pager", "-q", "-n", "15", "-o", "cat", "-u", unit], check=False).stdout
    raise CommandFailed(
        f"systemctl {verb} {unit}", Completed(done.stdout, f"{done.stderr.strip()}\n{said}", done.status)
    )
