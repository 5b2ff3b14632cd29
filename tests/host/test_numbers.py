"""Files follow an account to its new number."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ipabackup.host.files import change_numbers

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.mark.row("R10")
def test_only_the_accounts_own_files_change_and_modes_stay(tmp_path: Path) -> None:
    folder = tmp_path / "dirsrv"
    folder.mkdir()
    for name, uid, gid, mode in (("his", 5001, 6001, 0o4750), ("strangers", 5002, 6001, 0o640), ("roots", 0, 0, 0o600)):
        (folder / name).write_text(name)
        os.chown(folder / name, uid, gid)
        (folder / name).chmod(mode)
    (folder / "link").symlink_to("roots")
    os.chown(folder / "link", 5001, 0, follow_symlinks=False)

    assert change_numbers(folder, {5001: 7001}, {6001: 8001}) == 3

    found = {path.name: (path.lstat().st_uid, path.lstat().st_gid) for path in folder.iterdir()}
    assert found == {"his": (7001, 8001), "strangers": (5002, 8001), "roots": (0, 0), "link": (7001, 0)}
    assert (folder / "his").stat().st_mode & 0o7777 == 0o4750


@pytest.mark.row("R10")
def test_restored_files_are_spared_whoever_has_the_old_number_now(tmp_path: Path) -> None:
    folder = tmp_path / "dirsrv"
    folder.mkdir()
    for name in ("brought-by-a-package", "restored"):
        (folder / name).touch()
        os.chown(folder / name, 5001, 0)
    assert change_numbers(folder, {5001: 7001}, {}, spare={str(folder / "restored")}) == 1
    assert (folder / "restored").stat().st_uid == 5001
    assert (folder / "brought-by-a-package").stat().st_uid == 7001
