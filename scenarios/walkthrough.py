"""The first test case as a demonstration: ``python -m scenarios.walkthrough``.

A server is backed up, uninstalled and restored, with its answers noted before and compared after.  Each
step says what it does and how long it took; the table at the end has them all, and the answers beside them.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from lab import owner
from lab.engine import connect
from lab.errors import LabError
from lab.product import install_product
from lab.realm import Realm
from lab.topology import load
from scenarios.checks import Outline
from scenarios.deeds import back_up, restore, uninstall

#: Seconds between signs of life where the output is not a terminal.
_TICK = 10


@dataclass
class Story:
    """The steps so far, with the seconds that each took."""

    steps: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Run the body as a step, with a sign of life while it lasts."""
        print(f"{len(self.steps) + 1:>2}. {title}", flush=True)
        started, done = time.monotonic(), threading.Event()
        ticker = threading.Thread(target=_tick, args=(started, done), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            done.set()
            ticker.join()
        self.steps.append((title, time.monotonic() - started))
        print(f"    {self.steps[-1][1]:6.1f} s", flush=True)


def _tick(started: float, done: threading.Event) -> None:
    terminal = sys.stdout.isatty()
    for spin in itertools.cycle("|/-\\"):
        if done.wait(0.2 if terminal else _TICK):
            break
        elapsed = time.monotonic() - started
        print(f"\r    {spin} {elapsed:.0f} s \r" if terminal else f"    … {elapsed:.0f} s", end="", flush=True)
        if not terminal:
            print(flush=True)


def main() -> int:
    """Run the demonstration; 0 when the restored server answers as it did before."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return _tell(Story(), print)
    except (LabError, AssertionError) as error:
        print(f"\nThe walk-through failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; the lab is removed.", file=sys.stderr)
        return 130


def _tell(story: Story, say: Callable[[str], None]) -> int:
    started = time.monotonic()
    engine = connect()
    engine.remove_of_dead_owners()
    topology = load("single")
    with story.step("Bring up an identity server (an image is built and installed the first time)"):
        realm = Realm.up(engine, topology, owner=owner.this_process(), image=os.environ.get("LAB_IMAGE", ""), say=say)
    with realm:
        master = realm.master
        say(f"    {master.fqdn} answered {realm.seconds:.1f} s after its clone was made")
        with story.step("Put ipa-backup and ipa-restore of this checkout on it"):
            install_product(master)
        with story.step("Note what the server answers"):
            outline = Outline.note(master)
        with story.step("ipa-backup -v"):
            backup = back_up(master)
        size = int(master.run(["du", "-s", "--block-size=1K", backup]).stdout.split()[0])
        say(f"    {backup}, {size / 1024:.1f} MiB")
        with story.step("ipa-server-install --uninstall -U"):
            uninstall(master)
        with story.step("ipa-restore -U"):
            restore(master, backup)
        with story.step("Compare what the server answers now"):
            differences = outline.differences()
    _table(story, outline, differences)
    total = time.monotonic() - started
    verdict = f"{len(differences)} answers differ" if differences else "the restored server answers as before"
    say(f"\nDone in {total:.0f} s: {verdict}.")
    return 1 if differences else 0


def _table(story: Story, outline: Outline, differences: dict[str, str]) -> None:
    print(f"\n{'Step':<78}{'seconds':>9}\n{'-' * 87}")
    for title, seconds in story.steps:
        print(f"{title:<78}{seconds:>9.1f}")
    print(f"\n{'Answer':<24}{'lines':>6}  {'after the restore':<20}begins\n{'-' * 87}")
    for name, answer in outline.before.items():
        verdict = "DIFFERS" if name in differences else "the same"
        begins = next((line.strip()[:36] for line in answer.lines if line.strip(" -")), "")
        print(f"{name:<24}{len(answer.lines):>6}  {verdict:<20}{begins}")
    for name, text in differences.items():
        print(f"\n## {name}\n{text}")


def _terminated(number: int, frame: FrameType | None) -> None:
    """Let SIGTERM unwind like Ctrl-C, so that the lab is removed."""
    del number, frame
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
