"""Format 1, as FreeIPA's own tools write it, here made with the same commands."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from ipabackup.archive.member import Kind
from ipabackup.archive.reader import open_payload
from ipabackup.archive.stock import split_ldif
from ipabackup.errors import DamagedBackup

pytestmark = pytest.mark.row("R13", "R2")
HEADER = """[ipa]
type = FULL
time = 2026-11-21T21:21:05
host = ipa1.example.test
ipa_version = 4.13.3
version = 1
services = KDC,HTTP

"""


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A full backup with two backends, a binary copy, and two names of one file."""
    root, stage, made = tmp_path / "root", tmp_path / "stage", tmp_path / "ipa-full-2026-11-21-21-21-05"
    for folder in (root / "etc/ipa", stage / "EXAMPLE-TEST/config_files", made):
        folder.mkdir(parents=True)
    (root / "etc/ipa/default.conf").write_text("[global]\n")
    os.link(root / "etc/ipa/default.conf", root / "etc/ipa/same.conf")
    (root / "etc/ipa/link").symlink_to("../nowhere")
    (stage / "EXAMPLE-TEST/data.mdb").write_bytes(bytes(5000))
    os.link(stage / "EXAMPLE-TEST/data.mdb", stage / "EXAMPLE-TEST/second.mdb")
    (stage / "EXAMPLE-TEST-userRoot.ldif").write_text("dn: dc=example,dc=test\n")
    (stage / "EXAMPLE-TEST-ipaca.ldif").write_text("dn: o=ipaca\n")
    tar = ["tar", "--xattrs", "--selinux", "-czf"]
    subprocess.run([*tar, stage / "files.tar", "etc/ipa"], cwd=root, check=True)
    subprocess.run([*tar, made / "ipa-full.tar", "."], cwd=stage, check=True)
    (made / "header").write_text(HEADER)
    return made


def test_members_appear_under_the_names_of_format_2(backup: Path) -> None:
    members = {member.name: member for member, _ in open_payload(backup).members()}
    assert sorted(members) == [
        "data/EXAMPLE-TEST/binary",
        "data/EXAMPLE-TEST/binary/config_files",
        "data/EXAMPLE-TEST/binary/data.mdb",
        "data/EXAMPLE-TEST/binary/second.mdb",
        "data/EXAMPLE-TEST/ldif/ipaca.ldif",
        "data/EXAMPLE-TEST/ldif/userRoot.ldif",
        "files/etc/ipa",
        "files/etc/ipa/default.conf",
        "files/etc/ipa/link",
        "files/etc/ipa/same.conf",
    ]
    for folder in ("files/etc/ipa", "data/EXAMPLE-TEST/binary"):
        linked = [
            member for name, member in members.items() if member.kind is Kind.HARDLINK and name.startswith(folder)
        ]
        assert [member.link_target in members for member in linked] == [True]
    assert members["files/etc/ipa/link"].link_target == "../nowhere"


def test_it_is_verified_by_reading_it_all(backup: Path) -> None:
    verified = open_payload(backup).verify()
    assert [str(instance) for instance in verified.instances] == ["EXAMPLE-TEST:ipaca,userRoot"]
    assert verified.files_size == len("[global]\n")


@pytest.mark.parametrize("cut", [512, 700, 2048, -10_240, -1024])
def test_a_tar_that_ends_too_early_within_a_sound_gzip_is_damage(backup: Path, cut: int) -> None:
    payload = backup / "ipa-full.tar"
    payload.write_bytes(gzip.compress(gzip.decompress(payload.read_bytes())[:cut].rstrip(b"\0")))
    with pytest.raises(DamagedBackup):
        open_payload(backup).verify()


@pytest.mark.parametrize("instead", [b"", b"\x01" * 512, b"\0" * 511])
def test_an_archive_without_its_end_is_damage_though_every_member_is_whole(backup: Path, instead: bytes) -> None:
    payload = backup / "ipa-full.tar"
    plain = gzip.decompress(payload.read_bytes())
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        last = archive.getmembers()[-1]
    end = last.offset_data + (last.size + 511) // 512 * 512
    payload.write_bytes(gzip.compress(plain[:end] + instead))
    with pytest.raises(DamagedBackup, match="does not end where it should"):
        open_payload(backup).verify()


def test_something_behind_its_end_is_damage(backup: Path) -> None:
    payload = backup / "ipa-full.tar"
    whole = payload.read_bytes()
    payload.write_bytes(whole + gzip.compress(b"more"))
    with pytest.raises(DamagedBackup, match="behind the end"):
        open_payload(backup).verify()
    payload.write_bytes(whole + b"more")
    with pytest.raises(DamagedBackup):
        open_payload(backup).verify()


def test_a_full_backup_without_its_files_is_damage(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "stage/files.tar").unlink()
    subprocess.run(["tar", "-czf", backup / "ipa-full.tar", "."], cwd=tmp_path / "stage", check=True)
    with pytest.raises(DamagedBackup, match=r"files\.tar"):
        open_payload(backup).verify()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EXAMPLE-TEST-userRoot.ldif", ("EXAMPLE-TEST", "userRoot")),
        ("PKI-IPA-ipaca.ldif", ("PKI-IPA", "ipaca")),
        ("A-B-C-other.ldif", ("A-B-C", "other")),
    ],
)
def test_instances_have_hyphens_in_their_names(name: str, expected: tuple[str, str]) -> None:
    assert split_ldif(name) == expected


def test_a_known_instance_tells_where_a_backend_with_a_hyphen_begins() -> None:
    assert split_ldif("EXAMPLE-TEST-my-db.ldif", {"EXAMPLE", "EXAMPLE-TEST", "OTHER"}) == ("EXAMPLE-TEST", "my-db")
    assert split_ldif("EXAMPLE-TEST-userRoot.ldif", {"OTHER"}) == ("EXAMPLE-TEST", "userRoot")


def test_an_export_behind_its_instance_is_read_as_that_instances(backup: Path, tmp_path: Path) -> None:
    stage = tmp_path / "stage"
    (stage / "EXAMPLE-TEST-userRoot.ldif").rename(stage / "EXAMPLE-TEST-my-db.ldif")
    tar = ["tar", "-czf", str(backup / "ipa-full.tar"), "./EXAMPLE-TEST", "./EXAMPLE-TEST-my-db.ldif", "./files.tar"]
    subprocess.run(tar, cwd=stage, check=True)
    assert [str(instance) for instance in open_payload(backup).verify().instances] == ["EXAMPLE-TEST:my-db"]
