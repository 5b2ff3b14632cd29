"""Where the commands begin."""

from __future__ import annotations

import subprocess
import sys

import pytest

_LOADED = """
import gc, os, sys
from ipabackup.cli.commands import {command}

sys.argv = ["ipa-{command}", "--version"]
before = gc.get_freeze_count()
try:
    {command}()
finally:
    print(gc.isenabled(), gc.get_freeze_count() - before > 10000, oct(os.umask(0)), os.environ["PATH"])
"""


@pytest.mark.row("B13")
@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_command_says_its_version_and_python_looks_for_no_garbage_in_its_modules(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOADED.format(command=command)], capture_output=True, text=True, check=True, timeout=60
    )
    said, collecting = done.stdout.splitlines()
    assert said.startswith(f"ipa-{command} ")
    assert collecting.startswith("True True"), "what the command makes itself is looked at as ever"


@pytest.mark.row("R1", "B1")
@pytest.mark.parametrize("command", ["backup", "restore"])
@pytest.mark.parametrize(
    ("session", "path"),
    [
        ("PATH=/usr/bin:/bin", "/usr/bin:/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin"),
        ("unset PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("PATH=/opt:", "/opt:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ],
    ids=["cron", "none", "own"],
)
def test_a_command_finds_system_programs_and_has_the_usual_umask_however_it_is_started(
    command: str, session: str, path: str
) -> None:
    argv = ["sh", "-c", f'umask 077; {session}; exec "$0" -c "$1"', sys.executable, _LOADED.format(command=command)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split()[-2:] == ["0o22", path]
