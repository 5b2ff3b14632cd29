"""Space, usage, mounts, and folders of one's own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ipabackup.host.files import mount_of, mount_points, space, usage, work_directory


@pytest.mark.row("B10")
def test_space_is_that_of_the_nearest_existing_folder(tmp_path: Path) -> None:
    here = space(tmp_path)
    there = space(tmp_path / "not" / "yet")
    assert there.device == here.device == tmp_path.stat().st_dev
    assert there.mount == here.mount
    assert abs(here.free - shutil.disk_usage(tmp_path).free) < here.free * 0.2
    assert here.free_files > 0


@pytest.mark.row("B10")
def test_usage_counts_links_once_holes_not_on_disk_and_leaves_out_what_is_excluded(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a").write_bytes(b"x" * 10_000)
    os.link(tmp_path / "sub/a", tmp_path / "b")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/c").write_bytes(b"y" * 50_000)
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    (tmp_path / "link").symlink_to("/usr")
    found = usage(tmp_path, exclude=lambda path: path == str(tmp_path / "out"))
    assert found.apparent == 10_000 + (1 << 30)
    assert 10_000 <= found.allocated < 200_000
    assert found.entries == 6
    assert usage(tmp_path / "nothing").entries == 0
    assert (usage(tmp_path / "sub") + usage(tmp_path / "out")).apparent == 60_000


def test_mount_points_are_read_with_their_escapes(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "2 1 8:2 / /a\\040b rw - ext4 /dev/sda2 rw\n"
        "3 1 8:1 /x /etc/hosts rw - ext4 /dev/sda1 rw\n"
    )
    assert mount_points(table) == {"/", "/a b", "/etc/hosts"}
    assert mount_of(Path("/usr"), table) == "/"
    assert "/proc" in mount_points()


def test_a_work_folder_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    def work() -> Path:
        with work_directory(tmp_path / "made") as folder:
            assert folder.stat().st_mode & 0o7777 == 0o700
            (folder / "left").write_text("x")
            kept.append(folder)
            raise OSError("full")

    kept: list[Path] = []
    with pytest.raises(OSError, match="full"):
        work()
    assert not kept[0].exists()
