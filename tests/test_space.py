"""Predictions of space: what samples say of databases, and what becomes of the figures."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from ipabackup.directory.instances import discover_instances
from ipabackup.host.files import Space
from ipabackup.space import SLACK, Demand, measure, predict
from tests.host_of_its_own import make_host

ENTRY = """dn: uid=user{n},cn=users,cn=accounts,dc=example,dc=test
objectClass: top
objectClass: person
uid: user{n}
sn: {word}
userPassword: {{PBKDF2}}{word}{word}
"""


@pytest.mark.row("B10")
def test_text_among_pages_is_taken_for_the_ldif_to_come(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    (instance,) = discover_instances(host.path("/etc/dirsrv"))
    chance = random.Random(1)
    entries = [ENTRY.format(n=n, word=chance.getrandbits(400)).encode() for n in range(4000)]
    pages = []
    for at in range(0, len(entries), 8):
        pages.append(b"".join(entries[at : at + 8]).ljust(8192, b"\0")[:8192])
        pages.append(chance.randbytes(2048) + bytes(2048))
    content = b"".join(pages)
    (instance.database_dir / "data.mdb").write_bytes(content)

    size = measure(instance, level=3)

    assert size.binary == len(content)
    assert size.ldif == pytest.approx(sum(map(len, entries)), rel=0.2)
    packed = len(zstandard.ZstdCompressor(level=3).compress("".join(map(bytes.decode, entries)).encode()))
    assert size.ldif_packed == pytest.approx(packed, rel=0.2)
    assert 0 < size.binary_packed < len(content)


@pytest.mark.row("B10")
def test_a_server_without_databases_needs_next_to_nothing(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    (instance,) = discover_instances(host.path("/etc/dirsrv"))
    assert measure(replace(instance, database_dir=tmp_path / "nowhere"), level=3).binary_packed == 0


def test_demands_of_one_file_system_are_added_up() -> None:
    room = Space("/", 7, 500, 100)
    (prediction,) = predict([Demand(Path("/a"), 10, "one"), Demand(Path("/b"), 20, "two")], lambda path: room)
    assert prediction.needed == 30 + SLACK
    assert not prediction.fits
    assert prediction.purposes == ("one", "two")
