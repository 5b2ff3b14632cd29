"""Databases that are kept while others take their place."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipabackup.restore import aside
from ipabackup.restore.aside import keep, put_back


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A database folder, as the Berkeley library has it: files, and a folder for each backend."""
    home = tmp_path / "db"
    (home / "userRoot").mkdir(parents=True)
    (home / "DBVERSION").write_text("bdb")
    (home / "userRoot" / "id2entry.db").write_text("entries")
    (home / "userRoot" / "id2entry.db").chmod(0o600)
    (home / "userRoot").chmod(0o700)
    return home


@pytest.mark.row("R14")
@pytest.mark.parametrize("far", [False, True])
def test_what_was_put_back_before_a_failure_is_not_lost_to_the_next_attempt(
    home: Path, elsewhere: Path, tmp_path: Path, far: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(home)
    place = (elsewhere if far else tmp_path) / "aside"
    keep(home, place, needed=False)
    (home / "half-imported").mkdir()
    real, calls = aside._rename_or_copy, []

    def failing(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) == 2:
            if far and source.is_dir():
                target.mkdir(exist_ok=True)
            raise OSError(errno.EIO, "Input/output error")
        real(source, target)

    monkeypatch.setattr(aside, "_rename_or_copy", failing)
    with pytest.raises(OSError, match="Input/output"):
        put_back(place, home)
    put_back(place, home)
    assert content(home) == before


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    for place in ("/dev/shm", "/run", "/var/tmp", "/tmp"):
        if os.access(place, os.W_OK) and Path(place).stat().st_dev != tmp_path.stat().st_dev:
            with tempfile.TemporaryDirectory(dir=place) as folder:
                yield Path(folder)
            return
    pytest.fail("this machine has no second file system to write to")


def content(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(folder)): (path.read_text() if path.is_file() else "", path.stat().st_mode)
        for path in folder.rglob("*")
    }


@pytest.mark.row("R14")
@pytest.mark.parametrize("needed", [False, True])
@pytest.mark.parametrize("far", [False, True])
def test_what_was_kept_comes_back_from_wherever_it_was(
    home: Path, elsewhere: Path, tmp_path: Path, needed: bool, far: bool
) -> None:
    before = content(home)
    aside = (elsewhere if far else tmp_path) / "aside"
    keep(home, aside, needed=needed)
    assert content(aside) == before
    if needed:
        assert content(home) == before, "an import works on them"
    (home / "half-imported").mkdir()
    (home / "half-imported" / "file").write_text("")
    put_back(aside, home)
    assert content(home) == before


@pytest.mark.row("R14")
@pytest.mark.parametrize("needed", [False, True])
def test_databases_that_cannot_be_kept_stay_where_they_are(
    home: Path, elsewhere: Path, tmp_path: Path, needed: bool
) -> None:
    # A name that only the copy cannot have: sockets are not copied, and the file before it is moved already.
    os.mkfifo(home / "zzz")
    before = set(content(home))
    with pytest.raises(OSError, match="zzz"):
        keep(home, elsewhere / "aside", needed=needed)
    assert set(content(home)) == before


@pytest.mark.row("R14")
def test_databases_that_were_moved_already_move_back(home: Path) -> None:
    """Nothing can be moved into itself: here the last entry, after the others."""
    before = content(home)
    with pytest.raises(OSError, match="zzz"):
        keep(home, home / "zzz", needed=False)
    (home / "zzz").rmdir()
    assert content(home) == before
