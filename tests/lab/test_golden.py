"""Golden images are made by one process of a machine at a time, from whatever checkout it comes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab import golden
from lab.image import ROOT

_TRY = """
import fcntl, sys
with open(sys.argv[1], "w") as file:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(3)
"""


def test_who_makes_an_image_keeps_others_from_making_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not golden.LOCKS.is_relative_to(ROOT), "another checkout uses the same engine"
    monkeypatch.setattr(golden, "LOCKS", tmp_path / "locks")

    def tried() -> int:
        return subprocess.run(
            [sys.executable, "-c", _TRY, str(tmp_path / "locks" / "golden-abc")], check=False
        ).returncode

    with golden._lock("abc"):
        assert tried() == 3
    assert tried() == 0
