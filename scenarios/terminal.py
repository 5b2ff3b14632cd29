"""A command at a terminal of a host: what it shows there, and what is typed."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Sequence

from lab.execute import CommandResult
from lab.host import Host
from lab.waiting import wait_for

#: script(1) gives the command a terminal.  The pipe is opened for both ends, so the input never ends by itself.
_AT_TERMINAL = 'exec script -qefc "$1" "$2" <>"$3"'


class Terminal:
    """A command that runs at a terminal of its own, as root."""

    def __init__(self, host: Host, argv: Sequence[str]) -> None:
        self._host = host
        self._argv = tuple(argv)
        place = f"/run/terminal-{secrets.token_hex(4)}"
        self._shown, self._typed = f"{place}.shown", f"{place}.typed"
        host.run(["mkfifo", "-m", "600", self._typed])
        self._command = host.start(["sh", "-c", _AT_TERMINAL, "sh", shlex.join(argv), self._shown, self._typed])

    @property
    def shown(self) -> str:
        """All that the terminal showed so far."""
        return self._host.run(["cat", self._shown], check=False).stdout

    def wait_shown(self, text: str, limit: float = 60) -> None:
        """Wait until the terminal shows ``text``."""
        wait_for(
            f"{shlex.join(self._argv)} to show '{text}'",
            lambda: text in self.shown or not self._command.running,
            limit=limit,
            details=lambda: self.shown,
        )
        assert text in self.shown, self.shown

    def type(self, line: str) -> None:
        """Type a line, with Enter at its end."""
        self._host.run(["sh", "-c", 'printf "%s\\n" "$1" >"$2"', "sh", line, self._typed])

    def hang_up(self) -> None:
        """Take the terminal away, as a connection does that breaks; the command may go on without it."""
        self._command.signal("KILL")
        self._command.wait(30)

    def wait(self, limit: float = 300) -> CommandResult:
        """Wait for the command's end; its status is the command's own."""
        return self._command.wait(limit)
