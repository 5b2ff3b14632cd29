"""pytest-testinfra's view of a host: by the host's own way to run a command, on any engine, and in guests too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

import lab.execute

Run = Callable[..., lab.execute.CommandResult]


class HostBackend(BaseBackend):  # type: ignore[misc, unused-ignore]
    """Runs what testinfra asks for by the host's own ``run``."""

    NAME = "lab"

    def __init__(self, hostname: str, run: Run) -> None:
        super().__init__(hostname)
        self._run = run

    def run(self, command: str, *args: str, **_: Any) -> CommandResult:
        """Run a shell's command line."""
        line = self.get_command(command, *args)
        done = self._run(["/bin/sh", "-c", line], check=False)
        return self.result(done.status, line.encode(), done.stdout.encode(), done.stderr.encode())


def testinfra_host(hostname: str, run: Run) -> Host:
    """The host as testinfra sees it; ``run`` runs a command on it."""
    backend = HostBackend(hostname, run)
    host = Host(backend)
    backend.set_host(host)
    return host
