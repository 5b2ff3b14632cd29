"""Damage of any kind is seen before anything is restored."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipabackup.archive import layout
from ipabackup.archive.header import Header
from ipabackup.archive.reader import open_payload, read_header
from ipabackup.archive.writer import PayloadWriter
from ipabackup.errors import BadBackup, DamagedBackup, NotABackup
from tests.archive.conftest import backup_of

pytestmark = pytest.mark.row("R13")
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def fill(writer: PayloadWriter) -> None:
    writer.add_bytes("record/server.json", b"{}")
    writer.add_bytes("data/EXAMPLE-TEST/ldif/userRoot.ldif", b"dn: dc=example\n" * 300 + os.urandom(500))
    writer.add_bytes("files/etc/empty", b"")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return backup_of(tmp_path_factory.mktemp("whole"), fill)


def resealed(backup: Path, folder: Path, payload: bytes) -> Path:
    """The backup with another payload, and a header that vouches for it: what no digest gives away."""
    import hashlib

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    header = read_header(backup).sealed(
        payload="ipa-full.tar",
        size=len(payload),
        sha256=hashlib.sha256(payload).hexdigest(),
        uncompressed_size=0,
    )
    (folder / "header").write_text(header.render())
    (folder / "ipa-full.tar").write_bytes(payload)
    return folder


def altered(backup: Path, folder: Path, payload: bytes) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(backup, folder)
    (folder / "ipa-full.tar").write_bytes(payload)
    return folder


def plain(backup: Path) -> bytes:
    return subprocess.run(["zstd", "-qdc", backup / "ipa-full.tar"], check=True, capture_output=True).stdout


def packed(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=data, check=True, capture_output=True).stdout


def test_a_whole_backup_is_accepted(whole: Path) -> None:
    verified = open_payload(whole).verify()
    assert verified.members == 3
    assert [str(instance) for instance in verified.instances] == ["EXAMPLE-TEST:userRoot"]


@SETTINGS
@given(st.data())
def test_truncation_at_any_byte_is_seen(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    payload = (whole / "ipa-full.tar").read_bytes()
    length = data.draw(st.integers(0, len(payload) - 1))
    with pytest.raises(DamagedBackup, match="truncated"):
        open_payload(altered(whole, tmp_path / "cut", payload[:length]))
    # And where the header has been made to fit, the stream itself gives it away; zstd's last bytes are a
    # checksum only.
    if length < len(payload) - 8:
        with pytest.raises(DamagedBackup):
            open_payload(resealed(whole, tmp_path / "cut", payload[:length])).verify()


@SETTINGS
@given(st.data())
def test_a_flipped_bit_anywhere_is_seen(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    payload = bytearray((whole / "ipa-full.tar").read_bytes())
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DamagedBackup):
        open_payload(altered(whole, tmp_path / "flipped", bytes(payload))).verify()


@SETTINGS
@given(st.data())
def test_a_flipped_bit_within_the_tar_is_seen_by_the_manifest(whole: Path, tmp_path: Path, data: st.DataObject) -> None:
    tar = bytearray(plain(whole))
    with tarfile.open(fileobj=io.BytesIO(bytes(tar))) as archive:
        members = archive.getmembers()
    # All that carries information: the data, and of a header the fields before its checksum.
    spans = [range(info.offset_data, info.offset_data + info.size) for info in members if info.size]
    spans += [range(info.offset_data - 512, info.offset_data - 512 + 148) for info in members]
    place = data.draw(st.sampled_from(spans).flatmap(st.sampled_from))
    tar[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(DamagedBackup):
        open_payload(resealed(whole, tmp_path / "flipped", packed(bytes(tar)))).verify()


def test_something_appended_is_seen(whole: Path, tmp_path: Path) -> None:
    payload = (whole / "ipa-full.tar").read_bytes()
    with pytest.raises(DamagedBackup, match="altered"):
        open_payload(altered(whole, tmp_path / "more", payload + b"x"))
    with pytest.raises(DamagedBackup):
        open_payload(resealed(whole, tmp_path / "more", payload + b"x")).verify()
    with pytest.raises(DamagedBackup, match="behind the end"):
        open_payload(resealed(whole, tmp_path / "more", payload + packed(b"more"))).verify()


def test_a_missing_or_misplaced_manifest_is_seen(whole: Path, tmp_path: Path) -> None:
    tar = plain(whole)
    place = tar.index(layout.MANIFEST.encode()) // 512 * 512
    start = tar.rindex(b"PaxHeaders/" + layout.MANIFEST.encode()) // 512 * 512
    assert start < place or start == place
    cut = tar[:start] + b"\0" * 1024
    with pytest.raises(DamagedBackup, match="manifest is missing"):
        open_payload(resealed(whole, tmp_path / "none", packed(cut))).verify()


def test_every_file_missing_or_of_another_kind_has_its_message(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(NotABackup, match="does not exist"):
        open_payload(tmp_path / "nothing")
    with pytest.raises(NotABackup, match="has no header"):
        open_payload(tmp_path)
    with pytest.raises(NotABackup, match="is not a folder"):
        open_payload(whole / "header")
    folder = tmp_path / "headeronly"
    folder.mkdir()
    shutil.copy(whole / "header", folder)
    with pytest.raises(DamagedBackup, match=r"ipa-full\.tar is missing"):
        open_payload(folder)
    with pytest.raises(DamagedBackup, match="neither a zstd nor a gzip"):
        open_payload(resealed(whole, tmp_path / "text", b"this is no archive")).verify()
    (folder / "header").write_bytes(b"\xff\xfe\0")
    with pytest.raises(NotABackup, match="not text"):
        read_header(folder)


def test_a_name_that_leads_out_is_refused(whole: Path, tmp_path: Path) -> None:
    tar = bytearray(plain(whole).replace(b"files/etc/empty", b"files/../../bad"))
    for start in range(0, len(tar), 512):
        if b"files/../../bad" in tar[start : start + 100] and tar[start + 257 : start + 262] == b"ustar":
            tar[start + 148 : start + 156] = b" " * 8
            tar[start + 148 : start + 156] = b"%06o\0 " % sum(tar[start : start + 512])
    changed = bytes(tar)
    with pytest.raises(DamagedBackup, match="leads out"):
        open_payload(resealed(whole, tmp_path / "out", packed(changed))).verify()


@given(st.binary(max_size=3000))
@settings(deadline=None, max_examples=50)
def test_garbage_is_refused_and_nothing_else_happens(garbage: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "header").write_bytes(garbage)
        with pytest.raises(BadBackup):
            open_payload(folder)


def test_stock_backups_are_read(stock_backups: Path) -> None:
    full = next(stock_backups.glob("ipa-full-*"))
    reader = open_payload(full)
    assert [str(instance) for instance in reader.verify().instances] == ["EXAMPLE-TEST:userRoot"]
    wanted = ["files/etc/ipa/default.conf", "data/EXAMPLE-TEST/binary/config_files/dse.ldif"]
    found = reader.read(wanted)
    assert sorted(found) == sorted(wanted)
    assert b"realm = EXAMPLE.TEST" in found[wanted[0]]
    data = open_payload(next(stock_backups.glob("ipa-data-*")))
    assert data.verify().files_size == 0


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.9999])
def test_truncated_stock_backups_are_refused(stock_backups: Path, tmp_path: Path, share: float) -> None:
    source = next(stock_backups.glob("ipa-full-*"))
    shutil.copy(source / "header", tmp_path / "header")
    (tmp_path / "header").chmod(0o600)
    whole = (source / "ipa-full.tar").read_bytes()
    (tmp_path / "ipa-full.tar").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DamagedBackup):
        open_payload(tmp_path).verify()


def test_header_rendering_of_the_published_backup_is_its_own(whole: Path) -> None:
    assert Header.parse((whole / "header").read_text()).payload == "ipa-full.tar"
