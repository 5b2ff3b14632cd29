"""Whoever watches may go away: what was stopped is started all the same."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from ipabackup.cli import display, options
from ipabackup.cli.display import Display
from ipabackup.cli.options import conclude
from ipabackup.host.session import settle

_PROGRAM = """
import fcntl, signal, sys, termios, time
from pathlib import Path

from ipabackup.cli.display import Display
from ipabackup.host.session import settle
from ipabackup.steps import Plan, Step, run_plan

settle()
# Tests may run below nohup.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if sys.stdin.isatty():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
place, patience = Path(sys.argv[1]), float(sys.argv[2])

def stop(report):
    (place / "stopped").touch()
    limit = time.monotonic() + patience
    while time.monotonic() < limit:
        time.sleep(0.01)
        report.note("a detail")

steps = (
    Step("stop", "Stopping", stop, closed_by="start"),
    Step("start", "Starting", lambda report: (place / "started").touch()),
)
display = Display(place / "log", verbose=True)
try:
    run_plan(Plan("test", "A test", steps), display.listeners(), {})
    display.say("the end")
finally:
    display.close()
"""


def started(folder: Path, patience: float, stream: int) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", _PROGRAM, str(folder), str(patience)]
    return subprocess.Popen(argv, stdin=stream, stdout=stream, stderr=stream, start_new_session=True)


def wait_for(path: Path) -> None:
    limit = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < limit, f"{path.name} did not appear"
        time.sleep(0.01)


@pytest.mark.row("B1", "R14")
def test_what_was_stopped_is_started_when_the_connection_breaks(tmp_path: Path) -> None:
    """SIGHUP comes, and nothing can be printed any more."""
    here, there = os.openpty()
    process = started(tmp_path, 60, there)
    os.close(there)
    wait_for(tmp_path / "stopped")
    os.close(here)
    assert process.wait(20) != 0
    assert (tmp_path / "started").exists()
    assert "SIGHUP" in (tmp_path / "log").read_text()


@pytest.mark.row("B1", "R14")
def test_a_command_goes_on_to_its_end_when_its_reader_has_enough(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    process = started(tmp_path, 0.3, writing)
    os.close(writing)
    wait_for(tmp_path / "stopped")
    os.close(reading)
    assert process.wait(20) == 0
    assert (tmp_path / "started").exists()
    log = (tmp_path / "log").read_text()
    assert log.count("a detail") > 5
    assert "the end" in log


class Disk(io.RawIOBase):
    """A file on a disk that is full, until somebody makes room."""

    def __init__(self) -> None:
        self.full, self.content = True, b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.content += bytes(data)
        return len(data)


@pytest.mark.parametrize("recovers", [False, True])
def test_a_full_disk_ends_no_command_and_what_it_did_not_take_is_written_once_there_is_room(
    recovers: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    disk, out = Disk(), io.StringIO()
    monkeypatch.setattr(display, "_opened", lambda path: io.TextIOWrapper(io.BufferedWriter(disk)))
    shown = Display(tmp_path / "log", out=out)
    shown.say("one")
    shown.say("two")
    disk.full = not recovers
    shown.say("three")
    shown.close()
    assert out.getvalue().count("warning: the log cannot be written") == 1
    assert "three" in out.getvalue()
    logged = [line.split()[-1] for line in disk.content.decode().splitlines()]
    assert logged == (["one", "two", "three"] if recovers else [])


_STRANGE = """
import os
from ipabackup.host.session import settle

settle()
print(os.fsdecode(b"caf\\xe9"), "→")
"""


@pytest.mark.parametrize("coding", ["utf-8", "iso-8859-1", "ascii"])
def test_names_that_are_no_text_are_printed(coding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": coding}
    done = subprocess.run([sys.executable, "-c", _STRANGE], capture_output=True, check=True, env=environment)
    assert done.stdout.decode(coding).rstrip() in ("caf\\udce9 →", "caf\\udce9 \\u2192")


_OPENS = """
import os, sys
from ipabackup.host.session import settle

settle()
os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
    stream.isatty()
    if number:
        print("ours", file=stream, flush=True)
        os.write(number, b"a program's")
"""


@pytest.mark.parametrize(
    ("closed", "kept"),
    [
        ("", {"stdout", "stderr"}),
        (">&-", {"stderr"}),
        ("<&- >&-", {"stderr"}),
        ("2>&-", {"stdout"}),
        ("<&-", {"stdout", "stderr"}),
    ],
)
def test_what_is_printed_to_a_closed_stream_goes_into_no_file(closed: str, kept: set[str], tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    argv = ["sh", "-c", f'exec "$0" -c "$1" "$2" {closed}', sys.executable, _OPENS, str(opened)]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    printed = {"stdout": done.stdout, "stderr": done.stderr}
    assert printed == {name: "ours\na program's" if name in kept else "" for name in printed}
    assert opened.read_bytes() == b""


def test_folders_for_temporary_files_are_taken_over_when_they_exist(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    monkeypatch.setenv("TMP", str(tmp_path))
    monkeypatch.delenv("TEMP", raising=False)
    umask = os.umask(0o022)
    settle()
    os.umask(umask)
    assert "TMPDIR" not in os.environ
    assert os.environ["TMP"] == str(tmp_path)
    assert "TEMP" not in os.environ


def test_settling_changes_nothing_that_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    before, umask = (sys.stdout, sys.stderr, os.environ["PATH"]), os.umask(0o022)
    settle()
    assert (sys.stdout, sys.stderr, os.environ["PATH"]) == before
    os.umask(umask)


@pytest.mark.row("R13", "R14")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_comes_before_anything_is_done_ends_a_command_in_good_order(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(options, "require_root", lambda: None)
    given = Namespace(dry_run=False, log_file=tmp_path / "log", quiet=False, verbose=False, json=False)
    before, tidied = signal.signal(number, signal.SIG_DFL), []

    def deed(display: Display) -> int:
        try:
            os.kill(os.getpid(), number)
        finally:
            tidied.append("keys")
        return 0

    try:
        assert conclude(given, "ipa-restore", deed) == 130
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert tidied == ["keys"]
    assert f"Interrupted by {number.name}" in capsys.readouterr().err
