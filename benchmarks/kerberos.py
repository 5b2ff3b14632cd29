"""The smallest question to a KDC that needs its database: an AS-REQ without pre-authentication (RFC 4120).

A KDC that works answers "pre-authentication required" after it has read the client's entry, or gives a ticket.
Nothing secret is asked or sent.
"""

from __future__ import annotations

import secrets
import socket
import struct

from benchmarks.der import (
    BIT_STRING,
    GENERAL_STRING,
    GENERALIZED_TIME,
    SEQUENCE,
    elements,
    encode,
    integer,
    tagged,
)

AS_REQ, AS_REP, KRB_ERROR = 0x6A, 0x6B, 0x7E
PREAUTH_REQUIRED = 25
AES256_SHA1, AES128_SHA1 = 18, 17
_NT_PRINCIPAL, _NT_SRV_INST = 1, 2


class NoTicket(Exception):
    """The KDC did not answer as one that can read its database."""


def as_request(client: str, realm: str, nonce: int) -> bytes:
    """Make an AS-REQ of ``client`` for a ticket-granting ticket of ``realm``."""
    body = encode(
        SEQUENCE,
        tagged(0, encode(BIT_STRING, b"\0\0\0\0\0")),
        tagged(1, _name(_NT_PRINCIPAL, client)),
        tagged(2, _text(realm)),
        tagged(3, _name(_NT_SRV_INST, "krbtgt", realm)),
        tagged(5, encode(GENERALIZED_TIME, b"20370913024805Z")),
        tagged(7, integer(nonce)),
        tagged(8, encode(SEQUENCE, integer(AES256_SHA1), integer(AES128_SHA1))),
    )
    return encode(AS_REQ, encode(SEQUENCE, tagged(1, integer(5)), tagged(2, integer(10)), tagged(4, body)))


def check_answer(answer: bytes) -> None:
    """Raise :class:`NoTicket` unless the answer shows that the KDC has read the client's entry."""
    try:
        [(tag, content)] = elements(answer)
        if tag == AS_REP:
            return
        if tag != KRB_ERROR:
            raise NoTicket(f"an answer with tag {tag:#x}")
        [(_, fields)] = elements(content)
        [(_, code)] = elements(dict(elements(fields))[0xA6])
    except (ValueError, KeyError) as error:
        raise NoTicket(f"no Kerberos message: {error}") from error
    number = int.from_bytes(code, "big")
    if number != PREAUTH_REQUIRED:
        raise NoTicket(f"error {number} of the KDC")


def ask(address: str, client: str, realm: str, timeout: float) -> None:
    """Ask the KDC at ``address`` over TCP; raises NoTicket or OSError (also after ``timeout`` seconds)."""
    # Another nonce each time: the KDC answers a request that it has seen from its memory, directory or not.
    request = as_request(client, realm, secrets.randbits(31))
    with socket.create_connection((address, 88), timeout) as connection:
        connection.sendall(struct.pack(">L", len(request)) + request)
        (length,) = struct.unpack(">L", _exactly(connection, 4))
        check_answer(_exactly(connection, length))


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("the KDC closed the connection")
        data += part
    return data


def _text(value: str) -> bytes:
    return encode(GENERAL_STRING, value.encode("ascii"))


def _name(kind: int, *parts: str) -> bytes:
    return encode(SEQUENCE, tagged(0, integer(kind)), tagged(1, encode(SEQUENCE, *map(_text, parts))))
