"""Extraction: places, owners, collisions, and payloads that try to lead it astray."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ipabackup.archive.extract import Destination, Extracted, extract
from ipabackup.archive.metadata import Recorded
from ipabackup.archive.reader import open_payload
from ipabackup.archive.writer import PayloadWriter
from ipabackup.errors import NoSpace
from tests.archive.conftest import acl_attribute, backup_of

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can do this")


class Fixed:
    """Owners by a table of names."""

    def __init__(self, numbers: dict[str, int | None]) -> None:
        self._numbers = numbers

    def uid(self, name: str, number: int) -> int | None:
        return self._numbers.get(name, number)

    def gid(self, name: str, number: int) -> int | None:
        return self._numbers.get(name, number)


def put(tmp_path: Path, fill: Callable[[PayloadWriter], object], root: Path) -> Extracted:
    backup = backup_of(tmp_path / "backups", fill)
    return extract(open_payload(backup), lambda member: Destination(root, member.name), Recorded(), durable=False)


def test_a_link_of_the_same_payload_is_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "link").symlink_to(outside)
    (tmp_path / "file").write_text("evil")

    def fill(writer: PayloadWriter) -> None:
        writer.add_path(tmp_path / "link", "etc/trap")
        writer.add_path(tmp_path / "file", "etc/trap/file")
        writer.add_path(tmp_path / "file", "etc/innocent")

    result = put(tmp_path, fill, tmp_path / "root")
    assert list(outside.iterdir()) == []
    assert [failure.path for failure in result.failures] == [str(tmp_path / "root/etc/trap/file")]
    assert "symbolic link" in result.failures[0].reason
    assert (tmp_path / "root/etc/innocent").read_text() == "evil"


def test_a_link_that_was_there_is_followed_within_the_root_only(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "run").mkdir(parents=True)
    (root / "var").mkdir()
    outside.mkdir()
    (root / "var/run").symlink_to("/run")
    (root / "var/up").symlink_to("../../outside")
    (tmp_path / "file").write_text("x")

    def fill(writer: PayloadWriter) -> None:
        writer.add_path(tmp_path / "file", "var/run/file")
        writer.add_path(tmp_path / "file", "var/up/file")

    result = put(tmp_path, fill, root)
    assert (root / "run/file").read_text() == "x"
    assert (root / "var/run").is_symlink()
    assert list(outside.iterdir()) == []
    assert (root / "outside/file").exists()
    assert result.failures == ()


def test_a_folder_stays_a_link_where_the_system_has_one(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "run").mkdir(parents=True)
    (root / "var").mkdir()
    (root / "var/run").symlink_to("/run")
    source = tmp_path / "source"
    source.mkdir(mode=0o751)
    (source / "pid").write_text("1")
    result = put(tmp_path, lambda writer: writer.add_tree(source, "var/run"), root)
    assert result.failures == ()
    assert (root / "var/run").is_symlink()
    assert (root / "run/pid").read_text() == "1"


def test_files_replace_files_links_and_empty_folders_but_no_full_ones(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("empty", "full"):
        (root / name).mkdir(parents=True)
    (root / "full/other").write_text("keep")
    (root / "old").write_text("old")
    (root / "target").write_text("untouched")
    (root / "link").symlink_to("target")
    (tmp_path / "file").write_text("new")

    def fill(writer: PayloadWriter) -> None:
        for name in ("empty", "full", "old", "link"):
            writer.add_path(tmp_path / "file", name)

    result = put(tmp_path, fill, root)
    assert [Path(failure.path).name for failure in result.failures] == ["full"]
    assert "in the way" in result.failures[0].reason
    assert (root / "full/other").read_text() == "keep"
    assert (root / "target").read_text() == "untouched"
    assert all((root / name).read_text() == "new" for name in ("empty", "old", "link"))
    assert not (root / "link").is_symlink()
    assert not list(root.rglob(".ipabackup-*"))


def test_a_folder_takes_the_place_of_a_file(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "thing").write_text("a file")
    source = tmp_path / "source"
    source.mkdir()
    (source / "inside").write_text("x")
    assert put(tmp_path, lambda writer: writer.add_tree(source, "thing"), root).failures == ()
    assert (root / "thing/inside").read_text() == "x"


@pytest.mark.row("R10")
@ROOT
def test_files_belong_to_the_name_not_to_the_number(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    os.chown(file, 1, 1)  # daemon, on every Linux
    backup = backup_of(tmp_path / "backups", lambda writer: writer.add_path(file, "file"))
    root = tmp_path / "root"
    extract(
        open_payload(backup),
        lambda member: Destination(root, member.name),
        Fixed({"daemon": 4711}),
        durable=False,
    )
    status = (root / "file").stat()
    assert (status.st_uid, status.st_gid) == (4711, 4711)


@pytest.mark.row("R10")
@ROOT
def test_an_owner_that_nobody_may_be_leaves_the_file_with_root_and_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    os.chown(file, 1, 1)
    file.chmod(0o6755)
    backup = backup_of(tmp_path / "backups", lambda writer: writer.add_path(file, "file"))
    root = tmp_path / "root"
    result = extract(
        open_payload(backup),
        lambda member: Destination(root, member.name),
        Fixed({"daemon": None}),
        durable=False,
    )
    status = (root / "file").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (0, 0, 0o755)
    assert "no user daemon" in result.failures[0].reason


@ROOT
def test_a_file_that_something_is_mounted_on_is_written_in_place(tmp_path: Path) -> None:
    root, over = tmp_path / "root", tmp_path / "over"
    root.mkdir()
    target = root / "hosts"
    target.write_text("below")
    over.write_text("a much longer text that was mounted over it")
    mounted = subprocess.run(["mount", "--bind", over, target], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("this place does not allow mounting")
    try:
        source = tmp_path / "source"
        source.write_text("restored")
        result = put(tmp_path, lambda writer: writer.add_path(source, "hosts"), root)
        assert result.failures == ()
        assert over.read_text() == "restored"
        assert [path.name for path in root.iterdir()] == ["hosts"]
    finally:
        subprocess.run(["umount", target], check=True)


def test_existing_folders_may_keep_what_they_are(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc").chmod(0o711)
    source = tmp_path / "etc"
    (source / "new").mkdir(parents=True)
    (source / "new").chmod(0o700)
    source.chmod(0o755)
    backup = backup_of(tmp_path / "backups", lambda writer: writer.add_tree(source, "etc"))
    extract(
        open_payload(backup),
        lambda member: Destination(root, member.name, keep_existing=True),
        Recorded(),
        durable=False,
    )
    assert (root / "etc").stat().st_mode & 0o7777 == 0o711
    assert (root / "etc/new").stat().st_mode & 0o7777 == 0o700


def test_what_is_not_chosen_is_counted_and_a_link_to_it_is_a_failure(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_text("x")
    os.link(source / "a", source / "b")
    backup = backup_of(tmp_path / "backups", lambda writer: writer.add_tree(source, "s"))
    result = extract(
        open_payload(backup),
        lambda member: None if member.name == "s/a" else Destination(tmp_path / "root", member.name),
        Recorded(),
        durable=False,
    )
    assert (result.restored, result.skipped) == (1, 1)
    assert "hard link to s/a" in result.failures[0].reason


@pytest.mark.parametrize("path", ["../out", "a/../../out", "a\0b"])
def test_a_destination_that_leads_out_is_refused(tmp_path: Path, path: str) -> None:
    backup = backup_of(tmp_path / "backups", lambda writer: writer.add_bytes("x", b"y"))
    root = tmp_path / "root"
    result = extract(open_payload(backup), lambda _: Destination(root, path), Recorded(), durable=False)
    assert result.restored == 0
    assert "leads out" in result.failures[0].reason
    assert not (tmp_path / "out").exists()


def test_parents_are_recorded_once_and_made_as_they_were(tmp_path: Path) -> None:
    deep = tmp_path / "etc" / "bind"
    deep.mkdir(parents=True)
    deep.chmod(0o2750)
    (deep / "named.conf").write_text("x")
    (deep / "other.conf").write_text("y")

    def fill(writer: PayloadWriter) -> None:
        for name in ("named.conf", "other.conf"):
            writer.add_parents(deep / name, f"files/etc/bind/{name}")
            writer.add_path(deep / name, f"files/etc/bind/{name}")

    root = tmp_path / "root"
    assert put(tmp_path, fill, root).failures == ()
    assert (root / "files/etc/bind").stat().st_mode & 0o7777 == 0o2750
    assert sorted(path.name for path in (root / "files/etc/bind").iterdir()) == ["named.conf", "other.conf"]


@pytest.mark.row("B5")
def test_a_restored_file_does_not_inherit_a_list_that_it_never_had(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    inherited = acl_attribute(
        (1, 7, 0xFFFFFFFF), (2, 7, 54321), (4, 5, 0xFFFFFFFF), (0x10, 7, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF)
    )
    os.setxattr(root, "system.posix_acl_default", inherited)
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o640)
    assert put(tmp_path, lambda writer: writer.add_path(tmp_path / "file", "file"), root).failures == ()
    assert os.listxattr(root / "file") == []
    assert (root / "file").stat().st_mode & 0o7777 == 0o640


@pytest.mark.row("R10")
@ROOT
def test_names_in_lists_become_the_numbers_of_this_host(tmp_path: Path) -> None:
    entries = (
        (1, 6, 0xFFFFFFFF),
        (2, 6, 1),
        (4, 4, 0xFFFFFFFF),
        (0x10, 6, 0xFFFFFFFF),
        (0x20, 0, 0xFFFFFFFF),
    )
    file = tmp_path / "file"
    file.write_text("x")
    os.setxattr(file, "system.posix_acl_access", acl_attribute(*entries))
    backup = backup_of(tmp_path / "backups", lambda writer: writer.add_path(file, "file"))
    root = tmp_path / "root"
    extract(
        open_payload(backup),
        lambda member: Destination(root, member.name),
        Fixed({"daemon": 4711}),
        durable=False,
    )
    moved = tuple(entry if entry[0] != 2 else (2, 6, 4711) for entry in entries)
    assert os.getxattr(root / "file", "system.posix_acl_access") == acl_attribute(*moved)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    place = tmp_path / "small"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)]
    if subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("this place does not allow mounting")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_ends_an_extraction_and_leaves_no_half_file(tmp_path: Path, small: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(3 << 20))
    backup = backup_of(tmp_path / "backups", lambda writer: writer.add_path(tmp_path / "big", "big"))
    with pytest.raises(NoSpace, match="big is full"):
        extract(open_payload(backup), lambda _: Destination(small, "big"), Recorded(), durable=False)
    assert list(small.iterdir()) == []


@pytest.mark.row("B1")
def test_a_full_disk_ends_a_backup_and_leaves_no_payload(tmp_path: Path, small: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(3 << 20))
    with PayloadWriter(small / "payload", threads=0) as writer:

        def write_all() -> None:
            writer.add_path(tmp_path / "big", "big")
            writer.close()

        with pytest.raises(NoSpace):
            write_all()
    assert list(small.iterdir()) == []
