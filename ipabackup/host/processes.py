"""The one way in which the product starts other programs."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ipabackup.errors import IpaBackupError

DEFAULT_TIMEOUT = 300.0
"""Seconds a program may take unless the caller knows better.  Nothing waits without a limit."""


_GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL for a program that has to end."""


@dataclass(frozen=True)
class Completed:
    """A program that has ended: what was run, its exit status, and what it printed (decoded, bad bytes
    escaped).
    """

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """True when the exit status is 0."""
        return self.status == 0

    @property
    def said(self) -> str:
        """The last words of the program, for a message: its standard error, or its output when that is
        empty.
        """
        text = self.stderr.strip() or self.stdout.strip()
        return "\n".join(text.splitlines()[-10:])


class CommandFailed(IpaBackupError):
    """A program that had to succeed did not."""

    def __init__(self, message: str, completed: Completed | None = None) -> None:
        super().__init__(message)
        self.completed = completed


class CommandMissing(CommandFailed):
    """A program that is needed is not installed."""


class CommandTimedOut(CommandFailed):
    """A program did not end within its time."""


class Enough:
    """By this it is said of a program that goes on that it has done its work, and need not come to its own end."""

    def __init__(self) -> None:
        self.said = False
        self._end: Callable[[], None] | None = None

    def ends(self, end: Callable[[], None]) -> None:
        """From now on there is a program, which `end` ends."""
        self._end = end
        if self.said:
            end()

    def say(self) -> None:
        """Say it."""
        self.said = True
        if self._end is not None:
            self._end()


class Processes(Protocol):
    """Starts programs.  ``input`` is for secrets: they never belong in ``argv``, which every user of the
    host can see.
    """

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        input: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        enough: Enough | None = None,
    ) -> Completed:
        """Run ``argv`` to its end.  ``env`` is added to the environment; ``timeout`` is in seconds.

        Once somebody says ``enough`` the program is ended, and its status is 0.

        Raises CommandMissing when there is no such program, CommandTimedOut, and, with ``check``,
        CommandFailed when the exit status is not 0.
        """
        ...


class SystemProcesses:
    """Processes on this very host, with messages in the C locale."""

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        input: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        enough: Enough | None = None,
    ) -> Completed:
        """See Processes.run."""
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "LANGUAGE": "", **(env or {})}
        try:
            # A session of its own: Ctrl-C on the terminal is for us to handle, not for a half-done child.
            child = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                cwd=cwd,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise CommandMissing(f"{argv[0]} is not installed on this host") from error
        except PermissionError as error:
            raise CommandMissing(f"{argv[0]} cannot be executed: {error}") from error
        with child:
            if enough is not None:
                enough.ends(child.kill)
            try:
                stdout, stderr = child.communicate(None if input is None else input.encode(), timeout)
            except subprocess.TimeoutExpired as error:
                _end(child)
                raise CommandTimedOut(f"{argv[0]} did not end within {timeout:g} seconds") from error
            except BaseException:
                _end(child)
                raise
        completed = Completed(
            tuple(argv),
            0 if enough is not None and enough.said else child.returncode,
            stdout.decode("utf-8", "backslashreplace"),
            stderr.decode("utf-8", "backslashreplace"),
        )
        if check and not completed.ok:
            raise CommandFailed(f"{' '.join(argv)} ended with {completed.status}: {completed.said}", completed)
        return completed


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a child and whatever it started: first by SIGTERM, so that it can tidy up, then for certain."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            break
        try:
            child.wait(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            continue
    child.wait()
