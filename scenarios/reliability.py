"""How reliable the suite is: the documented cases again and again, also on a machine that is busy with other things.

``tox -e reliability -- --runs 20`` runs them, notes each run in ``scenarios/reliability.json`` as it ends, and writes
``docs/reliability.md`` from all that were noted for the same choice of scenarios.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
NOTED = ROOT / "scenarios" / "reliability.json"
PAGE = ROOT / "docs" / "reliability.md"

#: All documented cases.
CASES = tuple(word for number in range(1, 17) for word in ("--row", f"T{number}"))

#: pytest's status when the tests ran, and all passed or not.
_RAN = (0, 1)


@dataclass(frozen=True)
class Run:
    """One run: when and of which commit, beside how many processes that only compute, and what came of it.

    ``memory`` is what the machine used at most, less what it used before, in MiB; None where it was not measured.
    """

    begun: str
    commit: str
    hogs: int
    passed: int
    failed: list[str]
    seconds: float
    memory: int | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Run, note and tell; returns 0 when nothing failed, 1 when something did, 130 when interrupted."""
    options = _options(argv)
    failed = False
    try:
        with _hogs(options.hogs):
            for number in range(1, options.runs + 1):
                print(f"run {number} of {options.runs}", flush=True)
                done = run_once(options.pytest or CASES, options.hogs)
                failed |= bool(done.failed)
                if not options.pytest:
                    note(done)
                print(_row(number, done), flush=True)
    except KeyboardInterrupt:
        return 130
    return int(failed)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scenarios.reliability", description="Run the documented cases again and again, and keep score."
    )
    parser.add_argument("--runs", type=int, default=20, metavar="N", help="how often (default: 20)")
    parser.add_argument("--hogs", type=int, default=0, metavar="N", help="how many processes compute meanwhile")
    parser.add_argument("pytest", nargs="*", help="pytest's arguments, instead of all cases; such runs are not noted")
    return parser.parse_args(argv)


def run_once(choice: Sequence[str], hogs: int) -> Run:
    """Run the chosen scenarios once.  Raises KeyboardInterrupt, or SystemExit when they could not run."""
    workers = os.environ.get("SCENARIO_WORKERS", "6")
    argv = [sys.executable, "-m", "pytest", "-q", "-n", workers, "--dist", "worksteal", "--skips-fail"]
    begun, started = time.strftime("%Y-%m-%d %H:%M", time.gmtime()), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Memory() as memory:
        report = Path(folder, "junit.xml")
        words = [*argv, "-o", "testpaths=scenarios", f"--junitxml={report}", *choice]
        status = to_its_end(words)
        if status == 2:
            raise KeyboardInterrupt
        if status not in _RAN:
            raise SystemExit(f"pytest ended with {status}: that was no run.")
        passed, failed = results(report.read_text(encoding="utf-8"))
    return Run(begun, _commit(), hogs, passed, failed, round(time.monotonic() - started, 1), memory.most)


class Memory:
    """Look every second at what the machine has left: programs and file systems in memory take of it, caches do not.

    The figure is the kernel's, ``MemAvailable`` (proc_meminfo(5)).
    """

    def __init__(self, source: Path = Path("/proc/meminfo"), every: float = 1.0) -> None:
        self._source, self._every = source, every
        self._first = self._least = self._left()
        self._enough = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Memory:
        self._watch.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._enough.set()
        self._watch.join()

    @property
    def most(self) -> int:
        """What was used at most since the beginning, less what was used then, in MiB."""
        return (self._first - self._least) // 1024

    def _look(self) -> None:
        while not self._enough.wait(self._every):
            self._least = min(self._least, self._left())

    def _left(self) -> int:
        """In KiB."""
        told = dict(line.split(":") for line in self._source.read_text(encoding="ascii").splitlines())
        return int(told["MemAvailable"].split()[0])


def to_its_end(words: Sequence[str]) -> int:
    """Run a program, and give it the time to clean up when this one is to end; returns its status.

    Ctrl-C on a terminal reaches both, SIGTERM this one alone.
    """
    child = subprocess.Popen(words, cwd=ROOT)
    before = signal.signal(signal.SIGTERM, lambda number, frame: child.send_signal(number))
    try:
        while True:
            with suppress(KeyboardInterrupt):
                return child.wait()
    finally:
        signal.signal(signal.SIGTERM, before)


def results(junit: str) -> tuple[int, list[str]]:
    """How many scenarios of a JUnit report passed, and the names of those that did not."""
    cases = list(ElementTree.fromstring(junit).iter("testcase"))
    bad = [case for case in cases if any(child.tag in ("failure", "error", "skipped") for child in case)]
    return len(cases) - len(bad), sorted({str(case.get("name")) for case in bad})


def _commit() -> str:
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    return asked.stdout.strip() or "unknown"


@contextmanager
def _hogs(count: int) -> Iterator[None]:
    """Keep so many processes computing."""
    hogs = [multiprocessing.Process(target=_compute, args=(os.getpid(),), daemon=True) for _ in range(count)]
    for hog in hogs:
        hog.start()
    try:
        yield
    finally:
        for hog in hogs:
            hog.terminate()


def _compute(parent: int) -> None:
    """Compute until the process that wants it has ended, however it did."""
    while os.getppid() == parent:
        sum(range(1_000_000))


def note(run: Run, noted: Path = NOTED, page: Path = PAGE) -> None:
    """Add a run to those that are known, and write the page."""
    known = read(noted)
    known.append(run)
    lines = ",\n".join(f" {json.dumps(asdict(one))}" for one in known)
    noted.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    page.write_text(written(known), encoding="utf-8")


def read(noted: Path = NOTED) -> list[Run]:
    """The runs that are known, the oldest first."""
    return [Run(**one) for one in json.loads(noted.read_text(encoding="utf-8"))] if noted.exists() else []


_INTRODUCTION = """\
# Reliability of the suite

Written by `tox -e reliability`; do not edit. Each line is a run of all documented cases (rows T1 to T16), as
many at a time as `tox -e scenarios` runs; *hogs* are processes that did nothing but compute meanwhile, *MiB* is the
memory that the machine used at most, caches apart, less what it used before.

```
tox -e reliability -- --runs 20               twenty runs in a row
tox -e reliability -- --runs 20 --hogs 2      the same on a busy machine
```

"""


def written(runs: Sequence[Run]) -> str:
    """``docs/reliability.md``."""
    clean = sum(not run.failed for run in runs)
    told = f"**{clean} of {len(runs)} runs without a failure; {_streak(runs)} in a row up to the last one.**\n\n"
    head = "| run | begun (UTC) | commit | hogs | passed | failed | minutes | MiB |\n"
    rule = "|---:|---|---|---:|---:|---|---:|---:|\n"
    return _INTRODUCTION + told + head + rule + "".join(f"{_row(number, run)}\n" for number, run in enumerate(runs, 1))


def _streak(runs: Sequence[Run]) -> int:
    """How many runs up to the last one had no failure."""
    streak = 0
    for run in reversed(runs):
        if run.failed:
            break
        streak += 1
    return streak


def _row(number: int, run: Run) -> str:
    failed = ", ".join(f"`{name}`" for name in run.failed) or "none"
    minutes, memory = f"{run.seconds / 60:.1f}", "" if run.memory is None else f"{run.memory:,}"
    return f"| {number} | {run.begun} | {run.commit} | {run.hogs} | {run.passed} | {failed} | {minutes} | {memory} |"


if __name__ == "__main__":
    sys.exit(main())
