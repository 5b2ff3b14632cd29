"""A replica without a file: what it needs, fetched with an administrator's credentials.

Names and trust come from the master's directory, the realm's secrets from its keeper of keys (encrypted to a key of this
host's that lives as long as the installation), the host's own keys from its kadmind.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.node.ldapi import Directory
from lab.node.replica.conncheck import foreign_realm
from lab.node.replica.info import ReplicaInfo
from lab.node.replica.joining import Joining
from lab.node.replica.remote import master_directory


def random_password() -> str:
    return secrets.token_urlsafe(24)


@contextmanager
def with_ticket(place: Path, realm: str, domain: str, master: str) -> Iterator[Directory]:
    """The master's directory, bound with the ticket in `place`; the environment is back as it was in the block."""
    with foreign_realm(place, realm, domain, master):
        opened = master_directory(master)
        server = opened.__enter__()
    try:
        yield server
    finally:
        opened.__exit__(None, None, None)


def fetch_authorities(master: str, realm: str, place: Path) -> Path:
    raise NotImplementedError


def fetch_info(
    master: str, realm: str, domain: str, host: str, *, principal: str, password: str, place: Path
) -> ReplicaInfo:
    raise NotImplementedError


def give_keytabs(joining: Joining, place: Path) -> None:
    raise NotImplementedError
