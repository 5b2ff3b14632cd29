"""What is half up when a command is terminated is removed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from scenarios import conftest

_CLEANING = """
import pathlib, sys, time
from lab.termination import unwind_when_terminated
unwind_when_terminated()
try:
    print("up", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("cleaning", flush=True)
    sys.stdin.readline()
    pathlib.Path(sys.argv[1]).touch()
"""


def test_the_first_sigterm_lets_it_clean_up_and_another_one_does_not_break_that_off(tmp_path: Path) -> None:
    cleaned = tmp_path / "cleaned"
    argv = [sys.executable, "-c", _CLEANING, str(cleaned)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        for said in ("up\n", "cleaning\n"):
            assert running.stdout.readline() == said
            running.send_signal(signal.SIGTERM)
        running.communicate("go on\n", timeout=20)
    assert running.returncode == 0
    assert cleaned.exists()


def test_workers_of_a_run_clean_up_as_well() -> None:
    """Who ends a whole group of processes ends them too, and their labs are theirs."""
    usual = signal.getsignal(signal.SIGTERM)
    try:
        conftest.pytest_configure(cast("pytest.Config", SimpleNamespace(workerinput={})))
        handler = signal.getsignal(signal.SIGTERM)
        assert callable(handler)
        with pytest.raises(KeyboardInterrupt):
            handler(signal.SIGTERM, None)
    finally:
        signal.signal(signal.SIGTERM, usual)
