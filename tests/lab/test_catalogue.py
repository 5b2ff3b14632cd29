"""The list of scenarios says what the scenarios say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.plugins.catalogue import PAGE, Entry, render

ROOT = Path(__file__).parents[2]


def test_the_kept_list_is_what_the_scenarios_say_now(tmp_path: Path) -> None:
    target = tmp_path / "scenarios.md"
    command = [sys.executable, "-m", "pytest", "scenarios", f"--write-scenarios={target}"]
    written = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert written.returncode == 0, written.stdout + written.stderr
    kept = PAGE.read_text(encoding="utf-8")
    assert target.read_text(encoding="utf-8") == kept, "run: python -m pytest scenarios --write-scenarios"


def test_variants_and_bars_have_their_place_in_a_row() -> None:
    entry = Entry("scenarios/test_x.py", "Things.", "it works", "Either a|b.", ("B1", "R2"), 2, 12.4)
    other = Entry("scenarios/test_x.py", "Things.", "it works too", "", ("T1",), 1, None)
    page = render([entry, other])
    assert "## scenarios/test_x.py\n\nThings.\n" in page
    assert "| **it works** (2 variants)<br>Either a\\|b. | B1 R2 | 12 |" in page
    assert "| **it works too** | T1 |  |" in page
    assert page.endswith("3 scenarios, 0 minutes of one worker.\n")
