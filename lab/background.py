"""A command that runs on inside a host while the scenario does something else, like sending it a signal."""

from __future__ import annotations

import secrets
import shlex
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lab.errors import LabError, TimedOut
from lab.execute import CommandResult, execute
from lab.waiting import wait_for

if TYPE_CHECKING:
    from docker.models.containers import Container

#: Writes its own process id, then becomes the command: a signal to that id reaches the command itself.
_ANNOUNCED = 'echo $$ > "$0"; exec "$@"'


class BackgroundCommand:
    """A running command.  Its output is collected while it runs."""

    def __init__(self, container: Container, argv: Sequence[str], pid_file: str, env: Mapping[str, str]) -> None:
        self._container = container
        self._argv = tuple(argv)
        self._pid_file = pid_file
        self._result: CommandResult | None = None
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._work, args=(env,), daemon=True)

    @classmethod
    def start(
        cls, container: Container, argv: Sequence[str], *, env: Mapping[str, str] | None = None
    ) -> BackgroundCommand:
        """Start ``argv`` as root, and return when its process exists."""
        command = cls(container, argv, f"/run/lab-{secrets.token_hex(6)}.pid", env or {})
        command._thread.start()
        wait_for(f"{shlex.join(argv)} to start", lambda: command._pid() or not command.running, limit=30)
        return command

    def _work(self, env: Mapping[str, str]) -> None:
        try:
            self._result = execute(
                self._container,
                ["sh", "-c", _ANNOUNCED, self._pid_file, *self._argv],
                check=False,
                env=env,
                timeout=900,
            )
        except Exception as error:
            self._failure = error

    def _pid(self) -> str:
        return execute(self._container, ["cat", self._pid_file], check=False).stdout.strip()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._thread.is_alive()

    def signal(self, name: str) -> None:
        """Send a signal, as in ``signal("INT")``; raises :class:`LabError` when the command has ended."""
        pid = self._pid()
        sent = execute(self._container, ["kill", f"-{name}", pid], check=False)
        if sent.status != 0:
            raise LabError(f"{shlex.join(self._argv)} was gone before SIG{name} came: {sent.stderr.strip()}")

    def wait(self, limit: float = 300) -> CommandResult:
        """Wait for its end.  A command that a signal ended has the status 128 + the signal's number."""
        self._thread.join(limit)
        if self.running:
            raise TimedOut(f"Waited {limit:g} s for {shlex.join(self._argv)} to end, in vain.")
        if self._failure is not None:
            raise self._failure
        assert self._result is not None
        done = self._result
        return CommandResult(self._argv, done.stdout, done.stderr, done.status, done.duration)
