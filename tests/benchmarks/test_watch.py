"""What the watcher inside a host counts."""

import os
from pathlib import Path

from benchmarks.inside.watch import memory, used


def test_room_is_counted_in_blocks_and_hard_links_once(tmp_path: Path) -> None:
    before = used([str(tmp_path)])
    (tmp_path / "below").mkdir()
    file = tmp_path / "below" / "file"
    file.write_bytes(os.urandom(100_000))
    os.link(file, tmp_path / "again")
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(10_000_000)
    assert 100_000 <= used([str(tmp_path)]) - before < 200_000


def test_a_folder_that_is_not_there_takes_no_room(tmp_path: Path) -> None:
    assert used([str(tmp_path / "nothing")]) == 0


def process(proc: Path, pid: int, parent: int, peak: int, *arguments: str) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    (folder / "status").write_text(f"Name:\tx\nPPid:\t{parent}\nVmHWM:\t{peak} kB\n")
    (folder / "cmdline").write_bytes("\0".join((*arguments, "")).encode())


def test_memory_is_that_of_our_processes_and_apart_that_of_all_below_them(tmp_path: Path) -> None:
    process(tmp_path, 1, 0, 1000, "/sbin/init")
    process(tmp_path, 5, 1, 100, "timeout", "60", "/usr/local/sbin/ipa-backup")
    process(tmp_path, 10, 5, 10, "/usr/bin/python3", "-I", "/usr/local/sbin/ipa-backup", "--data")
    process(tmp_path, 11, 10, 20, "/usr/bin/python3", "-I", "/usr/local/sbin/ipa-backup", "--data")
    process(tmp_path, 12, 10, 40, "ns-slapd", "db2archive")
    process(tmp_path, 13, 12, 80, "gzip")
    (tmp_path / "14").mkdir()
    own, tree = memory(["/usr/local/sbin/ipa-backup"], tmp_path)
    assert (own, tree) == (30 * 1024, 150 * 1024)
