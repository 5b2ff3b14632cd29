"""The ports that masters need of each other, and whether they can be reached.

Order, names and wording of the listing are those of the replica document.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lab.node.install.checks import Refused

TIMEOUT = 3.0
PROBE = b"conncheck"
#: Where the CA's own directory instance listens on servers that have come a long way.
AUTHORITY_DIRECTORY_PORT = 7389


@dataclass(frozen=True)
class Port:
    """One service's port; `udp` for datagrams."""

    number: int
    name: str
    udp: bool = False


PORTS = (
    Port(389, "Directory Service: Unsecure port"),
    Port(636, "Directory Service: Secure port"),
    Port(88, "Kerberos KDC: TCP"),
    Port(88, "Kerberos KDC: UDP", udp=True),
    Port(464, "Kerberos Kpasswd: TCP"),
    Port(464, "Kerberos Kpasswd: UDP", udp=True),
    Port(80, "HTTP Server: Unsecure port"),
    Port(443, "HTTP Server: Secure port"),
)


def line(port: Port, state: str) -> str:
    return f"   {port.name} ({port.number}): {state}"


def reachable(host: str, port: Port, timeout: float = TIMEOUT) -> bool:
    """Whether a TCP connection is accepted; whether a datagram to our own listener is answered."""
    try:
        if not port.udp:
            with socket.create_connection((host, port.number), timeout):
                return True
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port.number, type=socket.SOCK_DGRAM):
            with socket.socket(family, kind, protocol) as probe:
                probe.settimeout(timeout)
                probe.connect(address)
                # A datagram may be lost; three in a row are not.
                for _ in range(3):
                    probe.send(PROBE)
                    if select.select([probe], [], [], timeout / 3)[0]:
                        return probe.recv(64) == PROBE
    except OSError:
        return False
    return False


def in_use(number: int) -> bool:
    """Whether somebody on this host listens on a TCP port already."""
    for family, address in ((socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind((address, number))
        except OSError:
            return True
    return False


def check_master(master: str, say: Callable[[str], None]) -> None:
    """From here to a master: print the listing, raise Refused naming the ports that cannot be reached."""
    say(f"Check connection from replica to remote master '{master}':")
    closed = []
    for port in PORTS:
        if port.udp:
            continue
        open_ = reachable(master, port)
        say(line(port, "OK" if open_ else "FAILED"))
        if not open_:
            closed.append(f"{port.number} (TCP)")
    say("The following list of ports use UDP protocol and would need to be\nchecked manually:")
    for port in PORTS:
        if port.udp:
            say(line(port, "SKIPPED"))
    if closed:
        raise Refused(f"Port check failed! Inaccessible port(s): {', '.join(closed)}")
    say("Connection from replica to master is OK.")


@contextmanager
def listening(ports: Sequence[Port] = PORTS) -> Iterator[None]:
    """Answer on the ports as a replica will; Refused when one of them is taken."""
    sockets = [_listener(port) for port in ports]
    quit_here, quit_there = socket.socketpair()
    thread = threading.Thread(target=_answer, args=(sockets, quit_there), daemon=True)
    thread.start()
    try:
        yield
    finally:
        quit_here.send(b"q")
        thread.join()
        for one in (*sockets, quit_here, quit_there):
            one.close()


def _listener(port: Port) -> socket.socket:
    made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM if port.udp else socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("::", port.number))
        if not port.udp:
            made.listen(8)
    except OSError as error:
        made.close()
        kind = "UDP" if port.udp else "TCP"
        raise Refused(f"Port {port.number} ({kind}) cannot be opened on this host: {error.strerror}") from error
    return made


def _answer(sockets: Sequence[socket.socket], quit_: socket.socket) -> None:
    while True:
        ready, _, _ = select.select([*sockets, quit_], [], [])
        for one in ready:
            if one is quit_:
                return
            if one.type == socket.SOCK_DGRAM:
                said, sender = one.recvfrom(64)
                one.sendto(said, sender)
            else:
                one.accept()[0].close()


def check_replica(replica: str) -> list[tuple[Port, bool]]:
    """From a master to a host that listens: each port and whether it is reached. Run on the master."""
    return [(port, reachable(replica, port)) for port in PORTS]
