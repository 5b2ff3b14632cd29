"""A backup appears whole or not at all, and never over another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipabackup.archive.publish import PartialBackup, leftovers
from tests.archive.conftest import MOMENT

pytestmark = pytest.mark.row("B7")


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_nothing_is_visible_before_it_is_published(tmp_path: Path) -> None:
    partial = PartialBackup.create(tmp_path / "backup", full=True, moment=MOMENT)
    (partial.path / "ipa-full.tar").write_bytes(b"x")
    assert visible(tmp_path / "backup") == []
    assert leftovers(tmp_path / "backup") == (partial.path,)
    final = partial.publish("header\n")
    assert final.name == "ipa-full-2026-11-21-21-21-22"
    assert sorted(path.name for path in final.iterdir()) == ["header", "ipa-full.tar"]
    assert leftovers(tmp_path / "backup") == ()
    assert final.stat().st_mode & 0o7777 == 0o700
    assert (final / "header").stat().st_mode & 0o7777 == 0o600
    assert (tmp_path / "backup").stat().st_mode & 0o7777 == 0o700


def test_a_taken_name_gets_a_suffix_and_the_other_backup_stays(tmp_path: Path) -> None:
    first, second = (PartialBackup.create(tmp_path, full=False, moment=MOMENT) for _ in range(2))
    assert first.path != second.path
    names = [partial.publish(text).name for partial, text in ((first, "one"), (second, "two"))]
    assert names == ["ipa-data-2026-11-21-21-21-22", "ipa-data-2026-11-21-21-21-22-1"]
    third = PartialBackup.create(tmp_path, full=False, moment=MOMENT)
    assert third.publish("three").name == "ipa-data-2026-11-21-21-21-22-2"
    assert (tmp_path / names[0] / "header").read_text() == "one"


def test_a_name_taken_meanwhile_is_left_alone(tmp_path: Path) -> None:
    partial = PartialBackup.create(tmp_path, full=True, moment=MOMENT)
    (tmp_path / "ipa-full-2026-11-21-21-21-22").mkdir()
    assert partial.publish("mine").name == "ipa-full-2026-11-21-21-21-22-1"
    assert list((tmp_path / "ipa-full-2026-11-21-21-21-22").iterdir()) == []


def test_discarding_leaves_nothing_and_may_be_repeated(tmp_path: Path) -> None:
    partial = PartialBackup.create(tmp_path, full=True, moment=MOMENT)
    (partial.path / "ipa-full.tar").write_bytes(b"x")
    partial.discard()
    partial.discard()
    assert list(tmp_path.iterdir()) == []
