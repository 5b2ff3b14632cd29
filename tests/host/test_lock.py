"""The lock: held by one, named to the other, gone with its holder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ipabackup.errors import Busy
from ipabackup.host.lock import exclusive

HOLD = """
import sys
from pathlib import Path
from ipabackup.host.lock import exclusive
with exclusive("ipa-backup --data", Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_other_operation_is_named_and_the_lock_goes_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Busy, match=rf"ipa-backup --data \(pid {holder.pid}\)"), exclusive("x", path):
            pass
        holder.kill()
    with exclusive("ipa-restore", path):
        assert path.read_text() == f"ipa-restore (pid {os.getpid()})\n"
    with exclusive("ipa-restore", path):
        pass


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "lock").symlink_to("victim")
    with pytest.raises(OSError, match="symbolic links"), exclusive("x", tmp_path / "lock"):
        pass
    assert (tmp_path / "victim").read_text() == "precious"
