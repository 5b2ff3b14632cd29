"""Members whose size is known only at their end."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipabackup.archive.layout import MANIFEST
from ipabackup.archive.reader import open_payload
from ipabackup.archive.stock_writer import StockWriter
from ipabackup.archive.writer import PayloadWriter
from tests.archive.conftest import backup_of

SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAME = "data/EXAMPLE-TEST/ldif/userRoot.ldif"
MIB = 1 << 20


def grown(writer: PayloadWriter, pieces: list[bytes]) -> None:
    """A payload with members before and behind the growing one."""
    writer.add_bytes("record/server.json", b"{}")
    member = writer.growing(NAME)
    for piece in pieces:
        member.write(piece)
    member.commit()
    writer.add_bytes("record/entries.json", b"[]")


@pytest.mark.row("B3")
@SLOW
@given(st.lists(st.binary(max_size=3 * MIB // 10), max_size=8), st.sampled_from([0, MIB, 1 << 40]))
def test_a_growing_member_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], spliced_from: int
) -> None:
    backup = backup_of(
        tmp_path_factory.mktemp("growing"), lambda writer: grown(writer, pieces), spliced_from=spliced_from
    )
    found = {member.name: data.read() for member, data in open_payload(backup).members() if data is not None}
    assert found[NAME] == b"".join(pieces)
    assert found["record/entries.json"] == b"[]"
    assert sorted(path.name for path in backup.iterdir()) == ["header", "ipa-full.tar"]


@pytest.mark.row("B3")
@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
def test_zstd_and_tar_open_a_payload_with_spliced_members(tmp_path: Path) -> None:
    content = [hashlib.sha256(bytes([number % 256, number // 256])).digest() * 100 for number in range(3000)]
    backup = backup_of(tmp_path, lambda writer: grown(writer, content), spliced_from=0)
    subprocess.run(["zstd", "-qdo", tmp_path / "plain.tar", backup / "ipa-full.tar"], check=True)
    with tarfile.open(tmp_path / "plain.tar") as archive:
        found = archive.extractfile(NAME)
        assert found is not None
        assert found.read() == b"".join(content)
        assert archive.getnames()[-2:] == ["record/entries.json", MANIFEST]


def test_a_growing_member_that_is_aborted_leaves_nothing(tmp_path: Path) -> None:
    for kind in (PayloadWriter, StockWriter):
        with kind(tmp_path / "payload") as writer:
            member = writer.growing(NAME)
            for number in range(40):
                member.write(hashlib.sha256(bytes([number])).digest() + bytes(MIB) + _noise(number))
            assert len(list(tmp_path.iterdir())) == 2, "the payload and a spool"
            member.abort()
            assert len(list(tmp_path.iterdir())) == 1
        assert list(tmp_path.iterdir()) == []


def _noise(number: int) -> bytes:
    return b"".join(hashlib.sha256(f"{number} {block}".encode()).digest() for block in range(MIB // 32))
