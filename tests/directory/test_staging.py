"""Where copies of databases wait."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ipabackup.directory.staging import memory_for
from tests.directory.test_tools import instance


@pytest.mark.row("B9")
@pytest.mark.parametrize(
    ("kind", "available", "fits"), [("tmpfs", 1000, True), ("ext4", 1000, False), ("tmpfs", 20, False)]
)
def test_a_copy_waits_in_memory_where_there_is_some(tmp_path: Path, kind: str, available: int, fits: bool) -> None:
    here = instance(tmp_path)
    home = tmp_path / "a b" / "dirsrv"
    for folder in (home, here.database_dir):
        folder.mkdir(parents=True)
    (here.database_dir / "data.mdb").write_bytes(bytes(16 << 10))
    mounts, meminfo = tmp_path / "mounts", tmp_path / "meminfo"
    mount = str(home.parent).replace(" ", "\\040")
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\ntmpfs {mount} {kind} rw,nosuid 0 0\nproc {tmp_path}/a proc rw 0 0\n")
    meminfo.write_text(f"MemTotal: 99999999 kB\nMemAvailable:   {available} kB\n")
    found = memory_for(replace(here, run_dir=home), meminfo, mounts)
    assert found == (home if fits else None)


def test_an_instance_without_a_run_folder_has_no_memory(tmp_path: Path) -> None:
    assert memory_for(instance(tmp_path)) is None
