"""The tree of failures and its documentation agree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ipabackup import errors

DOCUMENT = Path(__file__).parents[1] / "docs" / "exit-codes.md"


def classes(top: type[errors.IpaBackupError]) -> list[type[errors.IpaBackupError]]:
    found = [top]
    for below in top.__subclasses__():
        if below.__module__ == errors.__name__:
            found += classes(below)
    return found


@pytest.mark.row("R13", "R14")
def test_every_exit_status_is_documented_once_with_its_class() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| `(\w+)`", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE))
    statuses: dict[str, str] = {}
    for one in classes(errors.IpaBackupError):
        statuses.setdefault(str(one.exit_status), one.__name__)
    assert rows == statuses


@pytest.mark.row("R14")
def test_no_failure_ends_with_status_0() -> None:
    assert all(one.exit_status not in (0, 127) for one in classes(errors.IpaBackupError))


def test_a_failure_says_what_happened_then_the_state_then_the_remedy() -> None:
    error = errors.NoSpace("It does not fit.", state="Nothing was changed.", remedy="Make room.")
    assert str(error) == "It does not fit. Nothing was changed. Make room."


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (errors.IpaBackupError("It broke."), "It broke."),
        (errors.IpaBackupError("the disk is full", remedy="Make room."), "the disk is full. Make room."),
        (errors.IpaBackupError("It broke.", state="IPA runs", remedy="Try again"), "It broke. IPA runs. Try again"),
        (errors.IpaBackupError(""), ""),
    ],
)
def test_an_error_in_one_line_is_made_of_sentences(error: errors.IpaBackupError, told: str) -> None:
    assert str(error) == told
