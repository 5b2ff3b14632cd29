"""Keeping a directory server from letting connections wait while it is filled.

389 DS polls its connections for something to read.  One whose operation is being worked on is left out until that is
done, and when the poll has begun anew just then, for up to a quarter of a second more (`connection.py` tells of the
same).  On a server that nobody else talks to, a connection with much traffic is kept by a thread of its own ("turbo
mode") and waits less; on one with many clients none is.  So a supplier can send such a server some 33 entries a second
(3.1.2: 10,000 users, two peers with 200 clients each, more than five minutes), although both have nothing else to do.

Whatever arrives on any connection makes the poll begin anew.  So for the time that a server is filled another
connection sends it requests to abandon an operation that there is not: nothing has to be done for these, and nothing is
answered.  Every so often one is a question, which is answered: so the server is never asked more than it can take.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

#: Seconds between two requests.
_INTERVAL = 0.001
#: One of so many requests is a question, and so many may be on their way without an answer to one behind them.
_ASKED_EVERY, _UNANSWERED = 64, 256
#: Seconds after which a server is tried again that took no connection or ended it, and that it has to take one.
_TRIED_AGAIN, _TAKES = 1.0, 0.5
#: LDAP messages (RFC 4511): number 2 abandons number 1, and number 3 asks who it is that asks (RFC 4532).
_ABANDON = bytes.fromhex("3006 020102 500101")
_WHO_AM_I = b"1.3.6.1.4.1.4203.1.11.3"
_QUESTION = bytes((0x30, len(_WHO_AM_I) + 7, 0x02, 1, 3, 0x77, len(_WHO_AM_I) + 2, 0x80, len(_WHO_AM_I))) + _WHO_AM_I

#: Where a server takes connections without TLS: host and port.
Address = tuple[str, int]


@contextmanager
def awake(addresses: Iterable[Address]) -> Iterator[None]:
    """Keep the servers at these addresses awake; one that cannot be reached is left alone, and tried again."""
    over = threading.Event()
    wakers = [
        threading.Thread(target=_keep_awake, args=(address, over), daemon=True, name=f"waking {address[0]}")
        for address in sorted(set(addresses))
    ]
    for waker in wakers:
        waker.start()
    try:
        yield
    finally:
        over.set()
        for waker in wakers:
            # A name server that does not answer is not waited for.
            waker.join(2 * _TAKES)


def _keep_awake(address: Address, over: threading.Event) -> None:
    while not over.is_set():
        with suppress(OSError), socket.create_connection(address, _TAKES) as connection:
            # What is on its way without an answer always fits into the buffers.
            connection.settimeout(None)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _call(connection, over)
        over.wait(_TRIED_AGAIN)


def _call(connection: socket.socket, over: threading.Event) -> None:
    """Send requests until it is over; raises OSError when the server does not want any more."""
    answers = _Answers(connection)
    sent = 0
    while not over.wait(_INTERVAL):
        if sent - answers.count() * _ASKED_EVERY >= _UNANSWERED:
            continue
        connection.sendall(_ABANDON if sent % _ASKED_EVERY else _QUESTION)
        sent += 1


class _Answers:
    """The answers that have come on a connection: each is a BER sequence."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = b""
        self._count = 0

    def count(self) -> int:
        """How many have come; raises OSError when the server has ended the connection."""
        while piece := self._arrived():
            self._rest += piece
        while (size := _message_size(self._rest)) and size <= len(self._rest):
            self._rest = self._rest[size:]
            self._count += 1
        return self._count

    def _arrived(self) -> bytes:
        try:
            piece = self._connection.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""
        if not piece:
            raise ConnectionResetError
        return piece


def _message_size(content: bytes) -> int:
    """The bytes that the BER element at the beginning takes, with its header; 0 as long as that is not wholly there."""
    if len(content) < 2:
        return 0
    length = content[1]
    if length < 0x80:
        return 2 + length
    digits = length & 0x7F
    if len(content) < 2 + digits:
        return 0
    return 2 + digits + int.from_bytes(content[2 : 2 + digits], "big")
