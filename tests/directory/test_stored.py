"""LMDB's own tool: what becomes of it where there is no environment, or no library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from ipabackup.directory import compact, lmdb_tool
from ipabackup.directory.compact import compacted
from ipabackup.directory.stored import stored_entries
from tests.directory.test_tools import instance


@pytest.mark.row("R14")
@pytest.mark.parametrize("library", ["mdb", "bdb"])
def test_a_database_that_does_not_tell_is_searched_instead(tmp_path: Path, library: str) -> None:
    here = instance(tmp_path, library)
    assert stored_entries(here, here.backends[0]) is None


@pytest.mark.row("B3")
def test_what_cannot_be_compacted_is_archived_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"no environment")
    assert compacted(tmp_path) is None


def test_wrong_words_are_told_apart_from_failures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lmdb_tool.main(["copy"]) == 2
    assert "usage" in capsys.readouterr().err
    assert lmdb_tool.main(["entries", str(tmp_path / "nowhere"), "x"]) == 1
    assert capsys.readouterr().err.strip()


@pytest.mark.parametrize(("kept", "runs"), [(5, 1), (4, 2)])
def test_a_small_compacted_copy_is_made_once_and_a_larger_one_again(
    kept: int, runs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data.mdb").write_bytes(b"with free pages")
    (tmp_path / "lock.mdb").touch()
    begun: list[Path] = []

    @contextmanager
    def program(folder: Path) -> Iterator[BinaryIO]:
        begun.append(folder)
        with (tmp_path / "copy").open("w+b") as output:
            output.write(b"pages")
            output.seek(0)
            yield output

    monkeypatch.setattr(compact, "_program", program)
    monkeypatch.setattr(compact, "_KEPT", kept)
    made = compacted(tmp_path)
    assert made is not None
    assert made.size == 5
    with made.content() as content:
        assert content.read() == b"pages"
    assert len(begun) == runs
