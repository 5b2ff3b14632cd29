"""An authority's certificate with its key, made on the spot."""

from __future__ import annotations

from lab.node.ca.authority import Authority, utc_now
from lab.node.replica.info import KeyPair


def small_authority() -> KeyPair:
    """With a small key: these are made to be thrown away."""
    made = Authority.create("EXAMPLE.TEST", "example.test", utc_now(), bits=2048)
    return KeyPair(made.certificate, made.key)
