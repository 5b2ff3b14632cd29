"""GnuPG as a filter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ipabackup.host.processes import Processes


@dataclass(frozen=True)
class Keyring:
    """Where GnuPG finds its keys (None: the caller's own home) and, when encrypting, for whom."""

    home: Path | None
    recipient: str = ""

    def encrypting(self) -> list[str]:
        """The command that encrypts its standard input to ``recipient`` (a fingerprint)."""
        raise NotImplementedError

    def decrypting(self) -> list[str]:
        """The command that decrypts its standard input."""
        raise NotImplementedError


@contextmanager
def keyring(name: str | None, processes: Processes) -> Iterator[Keyring]:
    """The keyring that ``--gpg-keyring NAME`` means: a key or user id, a GnuPG home, or a prefix
    PREFIX.pub/.sec.

    None means root's own keyring and its default key.  Raises KeyProblem.  A temporary home lasts as long
    as the context.
    """
    raise NotImplementedError


def check_encryption(ring: Keyring, processes: Processes) -> Keyring:
    """Make sure that something encrypted now can be read again; the result names the key by its fingerprint.

    Raises KeyProblem: no such key, expired, revoked, unable to encrypt, no secret key."""
    raise NotImplementedError


def check_decryption(ring: Keyring, payload: Path, processes: Processes) -> None:
    """Make sure that the secret key of one of the payload's recipients is usable; raises WrongKey,
    KeyProblem.
    """
    raise NotImplementedError
