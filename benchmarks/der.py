"""As much of ASN.1's distinguished encoding rules (X.690) as Kerberos messages and keys need here."""

from __future__ import annotations

from collections.abc import Iterator

SEQUENCE, INTEGER, BIT_STRING, OCTET_STRING, GENERAL_STRING, GENERALIZED_TIME = 0x30, 0x02, 0x03, 0x04, 0x1B, 0x18


def encode(tag: int, *content: bytes) -> bytes:
    """Make one element of the given tag (its whole identifier octet) from its content."""
    body = b"".join(content)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def integer(value: int) -> bytes:
    """Make an INTEGER that is not negative."""
    return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def tagged(number: int, content: bytes) -> bytes:
    """Put an element under the explicit, context-specific tag ``[number]``."""
    return encode(0xA0 | number, content)


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the elements that follow each other in ``data``: tag and content; ValueError where it is no DER."""
    at = 0
    while at < len(data):
        if len(data) < at + 2:
            raise ValueError("an element ends before its length")
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            octets = length & 0x7F
            length = int.from_bytes(data[at : at + octets], "big")
            at += octets
        if len(data) < at + length:
            raise ValueError("an element ends before its content")
        yield tag, data[at : at + length]
        at += length
