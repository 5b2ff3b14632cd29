"""Runs of the suite that are kept: what is read of a report, and what the page says."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from lab.waiting import wait_for
from scenarios.reliability import PAGE, Memory, Run, note, read, results, written

_JUNIT = """<testsuites><testsuite tests="4">
<testcase name="test_good" /><testcase name="test_bad"><failure message="no">no</failure></testcase>
<testcase name="test_worse"><error message="no">no</error></testcase>
<testcase name="test_left_out"><skipped /></testcase>
</testsuite></testsuites>"""


def _run(*failed: str) -> Run:
    return Run("2026-11-26 20:00", "abc1234", 2, 33, list(failed), 593.7, None if failed else 3456)


def test_what_did_not_run_has_not_passed() -> None:
    assert results(_JUNIT) == (1, ["test_bad", "test_left_out", "test_worse"])


def test_the_page_tells_each_run_and_how_long_nothing_has_failed(tmp_path: Path) -> None:
    noted, page = tmp_path / "runs.json", tmp_path / "page.md"
    for run in (_run(), _run("test_bad"), _run(), _run()):
        note(run, noted, page)
    assert [run.failed for run in read(noted)] == [[], ["test_bad"], [], []]
    text = page.read_text()
    assert "3 of 4 runs without a failure; 2 in a row up to the last one" in text
    assert "| 2 | 2026-11-26 20:00 | abc1234 | 2 | 33 | `test_bad` | 9.9 |  |" in text
    assert "| 3 | 2026-11-26 20:00 | abc1234 | 2 | 33 | none | 9.9 | 3,456 |" in text


def test_the_kept_page_is_that_of_the_kept_runs() -> None:
    kept = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    assert kept == (written(read()) if read() else "")


def test_memory_is_what_was_used_at_most_less_what_was_used_before(tmp_path: Path) -> None:
    source = tmp_path / "meminfo"

    def used(mebibytes: int) -> None:
        left = (8000 - mebibytes) * 1024
        new = tmp_path / "new"
        new.write_text(f"MemTotal: 99999999 kB\nMemAvailable: {left} kB\nHugePages_Total: 0\n")
        new.replace(source)

    used(1000)
    with Memory(source, every=0.01) as memory:
        used(4500)
        wait_for("what is used to be seen", lambda: memory.most == 3500, limit=20)
        used(1200)
        time.sleep(0.1)
    assert memory.most == 3500


def test_a_process_that_only_computes_ends_with_who_wants_it() -> None:
    script = (
        "import multiprocessing, os, sys\n"
        "from scenarios.reliability import _hogs\n"
        "with _hogs(1):\n"
        "    print(multiprocessing.active_children()[0].pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=False, timeout=60)
    left = Path("/proc", done.stdout.strip())
    deadline = time.monotonic() + 10
    while left.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left.exists()


def test_a_run_that_is_told_to_end_cleans_up_before(tmp_path: Path) -> None:
    """Also when it is told by SIGTERM, which the run itself does not get from whoever sends it."""
    child = (
        "import pathlib, signal, sys, time\n"
        "def end(*told):\n"
        "    time.sleep(0.5)\n"
        "    pathlib.Path(sys.argv[1], 'cleaned').touch()\n"
        "    sys.exit(2)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "pathlib.Path(sys.argv[1], 'begun').touch()\n"
        "time.sleep(60)\n"
    )
    script = (
        "import sys\n"
        "from scenarios.reliability import to_its_end\n"
        "sys.exit(to_its_end([sys.executable, '-c', sys.argv[1], sys.argv[2]]))\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, child, str(tmp_path)]) as running:
        deadline = time.monotonic() + 20
        while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) == 2
    assert (tmp_path / "cleaned").exists()
