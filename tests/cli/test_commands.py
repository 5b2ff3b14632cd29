"""Where the commands begin."""

from __future__ import annotations

import subprocess
import sys

import pytest

_LOADED = """
import gc, sys
from ipabackup.cli.commands import {command}

sys.argv = ["ipa-{command}", "--version"]
before = gc.get_freeze_count()
try:
    {command}()
finally:
    print(gc.isenabled(), gc.get_freeze_count() - before > 10000)
"""


@pytest.mark.row("B13")
@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_command_says_its_version_and_python_looks_for_no_garbage_in_its_modules(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LOADED.format(command=command)], capture_output=True, text=True, check=True, timeout=60
    )
    said, collecting = done.stdout.splitlines()
    assert said.startswith(f"ipa-{command} ")
    assert collecting == "True True", "what the command makes itself is looked at as ever"
