"""Trees go into a payload and come back the same, by our reader and by GNU tar."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from ipabackup.archive.extract import Destination, extract
from ipabackup.archive.member import Finding
from ipabackup.archive.metadata import Recorded
from ipabackup.archive.reader import open_payload
from ipabackup.archive.writer import PayloadWriter
from tests.archive.conftest import acl_attribute, backup_of
from tests.archive.trees import TREES, Entry, facts, grow

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can set owners and trusted attributes")
SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def restored(backup: Path, root: Path) -> Path:
    result = extract(open_payload(backup), lambda member: Destination(root, member.name), Recorded(), durable=False)
    assert result.failures == ()
    return root


def untarred(backup: Path, root: Path) -> Path:
    plain = backup.parent / "plain.tar"
    subprocess.run(["zstd", "-qdfo", plain, backup / "ipa-full.tar"], check=True)
    root.mkdir()
    words = [
        "tar",
        "-C",
        str(root),
        "--xattrs",
        "--xattrs-include=*",
        "--acls",
        "--selinux",
        "--warning=no-timestamp",
        "-xpf",
        str(plain),
    ]
    done = subprocess.run(words, check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.stderr == ""
    return root


@pytest.mark.row("B5")
@SLOW
@given(TREES)
def test_any_tree_comes_back_as_it_was(tree: dict[tuple[str, ...], Entry]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "source"
        grow(source, tree)
        before = facts(source)
        backup = backup_of(folder, lambda writer: writer.add_tree(source, "files/source"))
        assert facts(restored(backup, folder / "ours") / "files/source") == before
        assert facts(source) == before


@pytest.mark.row("B5")
@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
@SLOW
@given(TREES)
def test_gnu_tar_restores_any_tree_as_it_was(tree: dict[tuple[str, ...], Entry]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "source"
        grow(source, tree)
        backup = backup_of(folder, lambda writer: writer.add_tree(source, "files/source"))
        assert facts(untarred(backup, folder / "gnu") / "files/source") == facts(source)


@pytest.mark.row("B5")
@AS_ROOT
def test_owners_lists_labels_and_attributes_of_root_survive_both_ways(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    file, folder = source / "file", source / "folder"
    file.write_text("x")
    folder.mkdir()
    os.chown(file, 1, 2)
    named = acl_attribute(
        (1, 6, 0xFFFFFFFF),
        (2, 5, 1),
        (4, 4, 0xFFFFFFFF),
        (8, 7, 54321),
        (0x10, 7, 0xFFFFFFFF),
        (0x20, 0, 0xFFFFFFFF),
    )
    os.setxattr(file, "system.posix_acl_access", named)
    os.setxattr(folder, "system.posix_acl_default", named)
    os.setxattr(file, "trusted.note", b"\0\xff=%")
    os.setxattr(file, "security.selinux", b"system_u:object_r:dirsrv_config_t:s0\0")
    file.chmod(0o4750)
    before = facts(source)
    assert {"system.posix_acl_access", "trusted.note", "security.selinux"} <= set(before["file"][5])  # type: ignore[index]
    backup = backup_of(tmp_path, lambda writer: writer.add_tree(source, "files/source"))
    assert facts(restored(backup, tmp_path / "ours") / "files/source") == before
    assert facts(untarred(backup, tmp_path / "gnu") / "files/source") == before


@pytest.mark.row("B5")
def test_holes_stay_holes_and_take_no_room(tmp_path: Path) -> None:
    source = tmp_path / "sparse"
    with source.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(500 << 20)
        file.write(b"in the middle")
    backup = backup_of(tmp_path, lambda writer: writer.add_path(source, "files/sparse"))
    assert (backup / "ipa-full.tar").stat().st_size < 20_000
    for root in (restored(backup, tmp_path / "ours"), untarred(backup, tmp_path / "gnu")):
        back = root / "files/sparse"
        assert back.stat().st_size == 1 << 30
        assert back.stat().st_blocks * 512 <= source.stat().st_blocks * 512 + 4096
        with back.open("rb") as file:
            file.seek((500 << 20) - 1)
            assert file.read(15) == b"\0in the middle\0"


def test_a_hard_link_stores_its_data_once(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_bytes(os.urandom(300_000))
    os.link(source / "a", source / "b")
    backup = backup_of(tmp_path, lambda writer: writer.add_tree(source, "files/source"))
    assert (backup / "ipa-full.tar").stat().st_size < 400_000


def test_a_file_that_shrinks_meanwhile_is_reported_and_the_archive_stays_whole(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    big = source / "a-big"
    big.write_bytes(os.urandom(3 << 20))
    (source / "b-after").write_text("still there")
    findings: list[Finding] = []

    def shrink(done: int) -> None:
        if 0 < done < 3 << 20:
            os.truncate(big, 1 << 20)

    target = tmp_path / "payload"
    with PayloadWriter(target, threads=0, progress=shrink) as writer:
        writer.add_tree(source, "files/source")
        findings += writer.findings
        writer.close()
    assert [(finding.path, finding.problem.name) for finding in findings] == [(str(big), "CHANGED")]
    subprocess.run(["zstd", "-qdfo", tmp_path / "plain.tar", target], check=True)
    listed = subprocess.run(["tar", "-tf", tmp_path / "plain.tar"], check=True, capture_output=True, text=True)
    assert "files/source/b-after" in listed.stdout.splitlines()


def test_what_cannot_be_archived_is_reported(tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as listener, PayloadWriter(tmp_path / "payload", threads=0) as writer:
        listener.bind(str(tmp_path / "socket"))
        writer.add_path(tmp_path / "socket", "files/socket")
        writer.add_path(tmp_path / "nothing", "files/nothing")
        sealed = writer.close()
    assert [finding.problem.name for finding in sealed.findings] == ["SOCKET", "VANISHED"]
    assert sealed.members == 0


@pytest.mark.row("B12")
def test_excluded_paths_stay_out_with_all_below_them(tmp_path: Path) -> None:
    for name in ("keep/a", "backup/b", "keep/backup/c"):
        (tmp_path / "ipa" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "ipa" / name).write_text(name)
    hidden = str(tmp_path / "ipa" / "backup")
    backup = backup_of(
        tmp_path / "out",
        lambda writer: writer.add_tree(tmp_path / "ipa", "files/ipa", exclude=lambda path: path == hidden),
    )
    names = [member.name for member, _ in open_payload(backup).members()]
    assert names == [
        "files/ipa",
        "files/ipa/keep",
        "files/ipa/keep/a",
        "files/ipa/keep/backup",
        "files/ipa/keep/backup/c",
    ]


def test_abort_removes_the_file_and_leaving_the_block_aborts(tmp_path: Path) -> None:
    target = tmp_path / "payload"
    with PayloadWriter(target, threads=0) as writer:
        writer.add_bytes("record/a", b"x" * 1000)
        assert target.exists()
    assert not target.exists()


@pytest.mark.row("B5")
def test_attribute_names_that_look_like_escapes_come_back(tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_text("x")
    for name in ("user.a%3Db", "user.%25", "user.a=b%", "user.%253D"):
        os.setxattr(source, name, name.encode())
    backup = backup_of(tmp_path, lambda writer: writer.add_path(source, "file"))
    for root in (restored(backup, tmp_path / "ours"), untarred(backup, tmp_path / "gnu")):
        attributes = {name: os.getxattr(root / "file", name) for name in os.listxattr(root / "file")}
        assert attributes == {name: os.getxattr(source, name) for name in os.listxattr(source)}
