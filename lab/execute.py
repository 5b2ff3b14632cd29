"""Running a command inside a host, with input, both outputs apart, and a limit in time."""

from __future__ import annotations

import shlex
import socket
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.errors import CommandFailed, TimedOut
from lab.waiting import wait_for

if TYPE_CHECKING:
    from docker.models.containers import Container

#: /usr/local/sbin first: the product under test comes before a stock command of the same name.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
}

#: The label of a container that only carries the host (a guest with a kernel of its own): the command that
#: hands a command over to it.
THROUGH = "ipabackup.lab.through"

#: What coreutils' timeout(1) answers when it had to end the command, and when it had to kill it.
_ENDED, _KILLED = 124, 137

#: What the engine answers in the place of a command that its runtime could not begin, and what the runtime says when
#: its own process ended before it became the command (runc 1.1.5: once in 16 runs of all documented cases, in the
#: first second of a host).
_NOT_BEGUN, _REFUSAL, _RUNTIME_ENDED = 126, b"OCI runtime exec failed", b"read init-p: connection reset by peer"
#: How often such a command is tried.
_TRIES = 3


@dataclass(frozen=True)
class CommandResult:
    """What a command printed, the status it ended with, and how many seconds it took."""

    argv: tuple[str, ...]
    stdout: str
    stderr: str
    status: int
    duration: float

    @property
    def command(self) -> str:
        """The command as one would type it."""
        return shlex.join(self.argv)

    @property
    def lines(self) -> list[str]:
        """The lines of its standard output."""
        return self.stdout.splitlines()

    def describe(self) -> str:
        """The command with everything it said, for a message."""
        said = [f"{self.command}\nended with status {self.status} after {self.duration:.1f} s"]
        for name, text in (("stdout", self.stdout), ("stderr", self.stderr)):
            if text.strip():
                said.append(f"--- {name}\n{text.rstrip()}")
        return "\n".join(said)


def execute(
    container: Container,
    argv: Sequence[str],
    *,
    check: bool = True,
    input: str | bytes | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 300,
) -> CommandResult:
    """Run ``argv`` as root in the container and wait for its end.

    Its standard input is ``input``, or empty.  With ``check`` another status than 0 raises
    :class:`CommandFailed`.  After ``timeout`` seconds the command is ended inside the host, and
    :class:`TimedOut` raised with what it had printed.
    """
    limited = ["timeout", "--signal=TERM", "--kill-after=10", f"{timeout:g}", *argv]
    started = time.monotonic()
    status, out, err = output_of(container, limited, input=input, env=env, limit=timeout + 60)
    result = CommandResult(
        tuple(argv),
        out.decode("utf-8", "replace"),
        err.decode("utf-8", "replace"),
        status,
        time.monotonic() - started,
    )
    if status in (_ENDED, _KILLED) and result.duration >= timeout:
        raise TimedOut(f"On {container.name}, after the {timeout:g} s that it was given:\n{result.describe()}")
    if check and status != 0:
        raise CommandFailed(f"On {container.name}:\n{result.describe()}")
    return result


def output_of(
    container: Container,
    argv: Sequence[str],
    *,
    input: str | bytes | None = None,
    env: Mapping[str, str] | None = None,
    limit: float = 300,
) -> tuple[int, bytes, bytes]:
    """Run ``argv`` and return its status and both outputs, byte for byte; nothing ends it in time.

    One that the engine could not begin, although nothing is wrong with it, is tried again.
    """
    for _ in range(_TRIES):
        status, out, err = _output_once(container, argv, input, env, limit)
        if not (status == _NOT_BEGUN and out.startswith(_REFUSAL) and _RUNTIME_ENDED in out):
            break
    return status, out, err


def _output_once(
    container: Container,
    argv: Sequence[str],
    input: str | bytes | None,
    env: Mapping[str, str] | None,
    limit: float,
) -> tuple[int, bytes, bytes]:
    assert container.client is not None
    api = container.client.api
    created = api.exec_create(
        container.id, [*through(container), *argv], stdin=input is not None, environment={**ENVIRONMENT, **(env or {})}
    )
    connection: Any = api.exec_start(created["Id"], socket=True)
    raw: socket.socket = getattr(connection, "_sock", connection)
    raw.settimeout(limit)
    writer = None
    if input is not None:
        data = input.encode() if isinstance(input, str) else input
        writer = threading.Thread(target=_feed, args=(raw, data), daemon=True)
        writer.start()
    try:
        out, err = _collect(_reader(connection))
    except TimeoutError as error:
        raise TimedOut(f"The engine did not end {shlex.join(argv)} on {container.name} in {limit:g} s.") from error
    finally:
        connection.close()
    if writer is not None:
        writer.join(limit)

    def ended() -> dict[str, Any] | None:
        state = api.exec_inspect(created["Id"])
        return None if state["Running"] or state["ExitCode"] is None else state

    return int(wait_for("the engine to know a command's status", ended, limit=30)["ExitCode"]), out, err


def through(container: Container) -> list[str]:
    """The words that go before a command's own, so that it runs in this container's guest; none where it has none."""
    return shlex.split(container.labels.get(THROUGH, ""))


def _feed(raw: socket.socket, data: bytes) -> None:
    """Write a command's input and close it; a command that ends without reading it all has done no wrong.

    The connection may be closed on this side by then as well.
    """
    try:
        raw.sendall(data)
        raw.shutdown(socket.SHUT_WR)
    except OSError:
        return


def _reader(connection: Any) -> Any:
    """The buffered stream under the answer.

    The HTTP client may have read the first bytes of output together with the headers; the bare socket that
    the SDK hands out would miss them, and the frames after them would be garbage.
    """
    response = getattr(connection, "_response", None)
    inner = getattr(getattr(getattr(response, "raw", None), "_fp", None), "fp", None)
    return inner if inner is not None else connection.makefile("rb")


def _collect(stream: Any) -> tuple[bytes, bytes]:
    """Take the frames apart: a byte for the stream (1 or 2), three of nothing, four of length, the data."""
    parts: dict[int, list[bytes]] = {1: [], 2: []}
    while True:
        head = stream.read(8)
        if len(head) < 8:
            return b"".join(parts[1]), b"".join(parts[2])
        number, length = struct.unpack(">BxxxL", head)
        parts.setdefault(number, []).append(stream.read(length))
