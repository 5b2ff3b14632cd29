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
