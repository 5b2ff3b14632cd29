"""Faults for a realm: hosts that do not reach each other, stand still, die, or have a slow line.

``with partition(one, other):`` undoes itself however the block ends; the bare deeds (:func:`cut`, :func:`pause`, …)
stay until :func:`heal`.

What concerns the network is done by a short-lived container that shares the host's network and nothing else, and has
``NET_ADMIN`` for that one command.  So the host itself needs no more rights, this machine needs no tools, and the
engine may run elsewhere.  The host's own image has to have ``nft`` and ``tc``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import docker.errors

from lab.engine import api_message
from lab.errors import FaultImpossible, LabError
from lab.host import Host

#: The lab's own table: healing removes it, and touches nothing of the engine's.
TABLE = "inet ipalab"

INTERFACE = "eth0"

#: Bytes that may pass at once, and milliseconds that a packet may wait, where the rate is limited.
BURST, QUEUE = "16kb", 2000

_NOTHING_THERE = re.compile("No such file or directory|handle of zero|Invalid handle")


@contextmanager
def partition(one: Host, *others: Host) -> Iterator[None]:
    """Let no packet pass between ``one`` and each of ``others``, in either direction, as long as the block lasts."""
    with ExitStack() as undo:
        for other in others:
            undo.callback(join, one, other)
            cut(one, other)
        yield


@contextmanager
def paused(host: Host) -> Iterator[None]:
    """Let the host's processes stand still as long as the block lasts: it accepts connections, and never answers."""
    pause(host)
    try:
        yield
    finally:
        resume(host)


@contextmanager
def slow_line(host: Host, *, kbit: int, delay: int = 0) -> Iterator[None]:
    """Slow down what the host sends as long as the block lasts: see :func:`slow_down`."""
    slow_down(host, kbit=kbit, delay=delay)
    try:
        yield
    finally:
        speed_up(host)


def cut(one: Host, other: Host) -> None:
    """Let no packet pass between two hosts, until :func:`join`.  Connections that exist hang, as with a cut wire.

    Each host drops what comes from the other, so the cut also holds after one of them was restarted (whose network
    is made anew then); it ends when both were.
    """
    _network_tool(one, ["nft", cut_rules(other.address)])
    _network_tool(other, ["nft", cut_rules(one.address)])


def join(one: Host, other: Host) -> None:
    """Undo :func:`cut`.  A host that does not run has nothing to undo."""
    with ExitStack() as both:
        for host, unwanted in ((one, other), (other, one)):
            rule = f"delete element {TABLE} cut {{ {unwanted.address} }}"
            both.callback(_undo, host, ["nft", rule])


def cut_rules(address: str) -> str:
    """Write nftables' commands that drop what comes from an address, besides addresses that are dropped already."""
    return "; ".join(
        [
            f"add table {TABLE}",
            f"add set {TABLE} cut {{ type ipv4_addr; }}",
            # Before connection tracking, and before anything that the engine has there.
            f"add chain {TABLE} input {{ type filter hook input priority -300; }}",
            f"flush chain {TABLE} input",
            f"add rule {TABLE} input ip saddr @cut drop",
            f"add element {TABLE} cut {{ {address} }}",
        ]
    )


def slow_down(host: Host, *, kbit: int, delay: int = 0) -> None:
    """Limit what a host sends to ``kbit`` kilobits a second, until :func:`speed_up`; it receives at full speed.

    ``delay`` (milliseconds for each packet) needs a kernel with netem: raises :class:`FaultImpossible` on others.
    """
    rate = ["tc", "qdisc", "replace", "dev", INTERFACE, "root", "handle", "1:"]
    _network_tool(host, [*rate, "tbf", "rate", f"{kbit}kbit", "burst", BURST, "latency", f"{QUEUE}ms"])
    if delay:
        late = ["tc", "qdisc", "replace", "dev", INTERFACE, "parent", "1:", "handle", "2:"]
        try:
            _network_tool(host, [*late, "netem", "delay", f"{delay}ms"])
        except FaultImpossible:
            speed_up(host)
            raise


def speed_up(host: Host) -> None:
    """Undo :func:`slow_down`."""
    _undo(host, ["tc", "qdisc", "del", "dev", INTERFACE, "root"])


def pause(host: Host) -> None:
    """Let all processes of the host stand still, until :func:`resume`.  No command runs on it meanwhile."""
    try:
        host.container.pause()
    except docker.errors.APIError as error:
        raise FaultImpossible(f"{host.fqdn} cannot be paused: {api_message(error)}") from error


def resume(host: Host) -> None:
    """Undo :func:`pause`; nothing happens when the host is not paused."""
    if _state(host) == "paused":
        host.container.unpause()


def kill(host: Host) -> None:
    """Switch the host off like a power cut does; :meth:`Host.boot` switches it on again."""
    host.container.kill()
    host.container.wait()


def kill_service(host: Host, unit: str) -> None:
    """End all processes of a service on the spot (SIGKILL), without its knowing."""
    host.run(["systemctl", "kill", "--signal=KILL", unit])


def heal(hosts: Sequence[Host]) -> None:
    """Undo all cuts, slow lines and pauses of these hosts; those that do not run stay as they are."""
    with ExitStack() as all_of_them:
        for host in hosts:
            all_of_them.callback(_undo, host, ["nft", f"delete table {TABLE}"])
            all_of_them.callback(speed_up, host)
            all_of_them.callback(resume, host)


def _state(host: Host) -> str:
    try:
        host.container.reload()
    except docker.errors.NotFound:
        return "gone"
    return host.container.status


def _undo(host: Host, argv: Sequence[str]) -> None:
    """Run what takes something away, where there may be nothing to take away."""
    if _state(host) not in ("running", "paused"):
        return
    try:
        _network_tool(host, argv)
    except FaultImpossible as error:
        if not _NOTHING_THERE.search(str(error)):
            raise


def _network_tool(host: Host, argv: Sequence[str]) -> None:
    """Run a command in the host's network, with the right to change it and no other.

    Raises :class:`FaultImpossible` with what the command or the engine said.
    """
    engine, (command, *arguments) = host.engine, argv
    if _state(host) not in ("running", "paused"):
        raise LabError(f"{host.fqdn} does not run: its network cannot be disturbed.")
    labels = host.container.labels
    try:
        engine.client.containers.run(
            str(host.container.attrs["Image"]),
            arguments,
            entrypoint=[command],
            network_mode=f"container:{host.container.id}",
            cap_drop=["ALL"],
            cap_add=["NET_ADMIN"],
            # Found by what cleans up, should this process be killed now.
            labels=engine.labels(engine.label_of(labels), "tool", owner=engine.label_of(labels, "owner")),
            remove=True,
        )
    except docker.errors.ContainerError as error:
        said = error.stderr.decode("utf-8", "replace") if isinstance(error.stderr, bytes) else str(error.stderr)
        raise FaultImpossible(f"{host.fqdn}: {command} failed: {said.strip()}") from error
    except docker.errors.APIError as error:
        raise FaultImpossible(
            f"{host.fqdn}: {command} cannot be run in its network: {api_message(error)}\n"
            "The host's image has to have nft (nftables) and tc (iproute2), and the engine has to grant NET_ADMIN."
        ) from error
