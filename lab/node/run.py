"""Running the system's commands, each with its output in the log of the installation."""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

log = logging.getLogger(__name__)

MASK = "XXXXXXXX"


@dataclass(frozen=True)
class Completed:
    """A command that has ended."""

    stdout: str
    stderr: str
    status: int


class CommandFailed(Exception):
    """A command ended with a status other than 0, or not in time; the message holds what it printed."""

    def __init__(self, command: str, completed: Completed) -> None:
        said = (completed.stderr.strip() or completed.stdout.strip())[-2000:]
        super().__init__(f"{command} failed with status {completed.status}" + (f": {said}" if said else ""))
        self.completed = completed


def masked(text: str, secrets: Sequence[str]) -> str:
    """`text` without the secrets, longest first so that no half of one remains."""
    for secret in sorted((s for s in secrets if s), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def run(
    argv: Sequence[str],
    *,
    check: bool = True,
    input: str | None = None,
    env: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
    limit: float = 300,
    quiet: bool = False,
) -> Completed:
    """Run `argv` to its end and return what it printed.

    `env` is added to the environment; `secrets` are masked in the log and in errors; `limit` is in seconds;
    what a `quiet` command prints on standard output does not go into the log.
    Raises CommandFailed on a status other than 0 when `check` is set, always when the command is missing or
    out of time (status 127 and 124, as a shell has them).
    """
    command = masked(shlex.join(argv), secrets)
    log.debug("args=%s", command)
    try:
        process = subprocess.run(
            list(argv),
            check=False,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
            timeout=limit,
        )
    except FileNotFoundError as error:
        raise CommandFailed(command, Completed("", str(error), 127)) from error
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(command, Completed("", f"still running after {limit:g} seconds", 124)) from error
    completed = Completed(masked(process.stdout, secrets), masked(process.stderr, secrets), process.returncode)
    log.debug("exit status=%d", completed.status)
    if completed.stdout and not quiet:
        log.debug("stdout=%s", completed.stdout)
    if completed.stderr:
        log.debug("stderr=%s", completed.stderr)
    if check and completed.status != 0:
        raise CommandFailed(command, completed)
    return completed
