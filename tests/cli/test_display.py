"""One stream of events, shown four ways."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest

from ipabackup.cli.display import Display
from ipabackup.errors import IpaBackupError, UsageError
from ipabackup.steps import Plan, Reporter, Step, run_plan


def shown(log: Path, *, fail: bool = False, quiet: bool = False, verbose: bool = False, as_json: bool = False) -> str:
    out = io.StringIO()
    display = Display(log, quiet=quiet, verbose=verbose, as_json=as_json, out=out)

    def work(report: Reporter) -> None:
        report.note("a detail")
        report.warn("look at this")
        logging.getLogger("ipabackup.test").warning("an adapter's word")
        if fail:
            raise IpaBackupError("it broke")

    plan = Plan("test", "A test of displays", (Step("one", "Doing one", work),))
    try:
        run_plan(plan, display.listeners(), {})
    except IpaBackupError as error:
        display.failure(error)
    display.say("the end")
    display.close()
    return out.getvalue()


def test_people_see_steps_and_warnings_and_details_when_they_ask(tmp_path: Path) -> None:
    text = shown(tmp_path / "log")
    assert "A test of displays" in text
    assert "[1/1] Doing one" in text
    assert "warning: look at this" in text
    assert "a detail" not in text
    verbose = shown(tmp_path / "log", verbose=True)
    assert "a detail" in verbose
    assert "an adapter's word" in verbose


@pytest.mark.row("B13")
def test_quiet_prints_nothing_and_the_log_holds_all(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert shown(log, quiet=True) == ""
    text = log.read_text()
    for words in ("one: note: a detail", "WARNING one: warning: look at this", "an adapter's word", "the end"):
        assert words in text
    assert log.stat().st_mode & 0o777 == 0o600


def test_json_is_one_object_a_line_and_nothing_else(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in shown(tmp_path / "log", as_json=True, fail=True).splitlines()]
    assert [line["kind"] for line in lines] == ["plan", "start", "note", "warning", "failed", "finished", "error"]
    assert lines[-1] == {"kind": "error", "message": "it broke", "state": "", "remedy": "", "status": 1}
    assert lines[1]["step"] == "one"


def test_a_failure_is_shown_where_it_happened(tmp_path: Path) -> None:
    assert "FAILED: it broke" in shown(tmp_path / "log", fail=True)
    assert "ERROR it broke (exit status 1)" in (tmp_path / "log").read_text()


@pytest.mark.row("B13")
def test_a_log_file_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--log-file"):
        Display(tmp_path / "no" / "such" / "folder")
