"""Steps, plans and their events.

A `Plan` is a list of named steps.  Building one changes nothing; running it yields events, and progress display, log
file, JSON output and journal are listeners of the same events.  A step that stops something names the step that starts
it again (`Step.closed_by`); the runner keeps that promise on every way out.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from ipabackup.errors import Interrupted, IpaBackupError

#: Environment variable that makes the named step fail: ``NAME`` before its work, ``NAME:after`` when it is done.
#: For rehearsals of failure on a real host; see docs/failure-rehearsal.md.
FAIL_STEP = "IPABACKUP_FAIL_STEP"

log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Event:
    """One thing that happened while a plan ran.

    `kind` is one of ``plan``, ``start``, ``progress``, ``note``, ``result``, ``warning``, ``done``, ``failed``,
    ``skipped``, ``finished``; `seconds` is the time since the step (or, for ``finished``, the plan) began.
    """

    kind: str
    step: str = ""
    message: str = ""
    seconds: float = 0.0
    data: Mapping[str, Any] = field(default_factory=dict)


Listener = Callable[[Event], None]


class Reporter:
    """What a step uses to speak while it works."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)
        self._step = ""
        self._began = time.monotonic()
        self.warnings: list[str] = []

    def emit(self, kind: str, message: str = "", **data: Any) -> None:
        """Send one event to every listener; one that fails hears nothing more, and stops neither work nor way out."""
        event = Event(kind, self._step, message, time.monotonic() - self._began, data)
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                self._listeners = tuple(other for other in self._listeners if other is not listener)
                log.exception("a listener failed, and hears nothing more of what is done")

    def note(self, message: str, **data: Any) -> None:
        """Say something worth a line in the log."""
        self.emit("note", message, **data)

    def warn(self, message: str, **data: Any) -> None:
        """Say something that the administrator must read; it is repeated at the end."""
        self.warnings.append(message)
        self.emit("warning", message, **data)

    def show(self, message: str, **data: Any) -> None:
        """Say something that the administrator asked for, or needs to go on: it is always printed, but with -q."""
        self.emit("result", message, **data)

    def progress(self, done: int, total: int, unit: str = "bytes") -> None:
        """Say how far the step is; `total` is 0 when it is not known."""
        self.emit("progress", "", done=done, total=total, unit=unit)

    def begin(self, step: str) -> None:
        self._step, self._began = step, time.monotonic()


@dataclass(frozen=True)
class Step:
    """One deed: a stable `name` (for logs, JSON and journal), a `title` for people, and what to do.

    `closed_by` names a later step of the same plan that undoes this one (start after stop).  Once this step has begun,
    the later one runs on every way out.
    """

    name: str
    title: str
    run: Callable[[Reporter], None]
    closed_by: str | None = None


@dataclass(frozen=True)
class Plan:
    """The steps of one operation, in order, and `cleanup`, which runs at the very end whatever happened.

    One that `goes_on` is not ended by SIGHUP, by which a connection that breaks ends programs: what is half done would
    be worse than what nobody watches.
    """

    name: str
    summary: str
    steps: tuple[Step, ...]
    cleanup: Callable[[], None] = lambda: None
    facts: Mapping[str, Any] = field(default_factory=dict)
    goes_on: bool = False

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        if len(set(names)) != len(names):
            raise ValueError(f"step names repeat: {names}")
        for position, step in enumerate(self.steps):
            if step.closed_by is not None and step.closed_by not in names[position + 1 :]:
                raise ValueError(f"step {step.name} is to be closed by {step.closed_by}, which does not follow it")

    def describe(self) -> dict[str, Any]:
        """The plan as plain data, as ``--dry-run --json`` prints it."""
        return {
            "plan": self.name,
            "summary": self.summary,
            "steps": [{"name": step.name, "title": step.title} for step in self.steps],
            **self.facts,
        }


class _Signals:
    """Turns signals that end programs into `Interrupted`, unless it is told to hold them back.

    Those in `overheard` are only logged.
    """

    def __init__(self, tell: Callable[[str], None], overheard: Collection[int] = ()) -> None:
        self._tell = tell
        self._overheard = overheard
        self._held = False
        self._pending: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if number in self._overheard:
            log.warning("%s noted; the work goes on, as half of it would be worse", signal.Signals(number).name)
        elif self._held:
            self._pending = number
            self._tell(f"{signal.Signals(number).name} noted; finishing what must not be left half done")
        else:
            self._interrupt(number)

    def hold(self) -> None:
        """From now on only take note of signals."""
        self._held = True

    def release(self) -> None:
        """Act on signals again, at once on one that came meanwhile."""
        self._held = False
        if self._pending is not None:
            self._interrupt(self._pending)

    def _interrupt(self, number: int) -> None:
        self._held = True  # a second signal must not cut the way out short
        raise Interrupted(f"Interrupted by {signal.Signals(number).name}.")


@contextmanager
def _listening(handler: _Signals) -> Iterator[None]:
    previous: dict[signal.Signals, Any] = {}
    try:
        for number in _SIGNALS:
            # What is ignored stays ignored: nohup(1), or a job in the background.
            if signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, handler)
        yield
    except BaseException:
        # Nor must a second one cut short the way out of what is around this.
        for old in previous.values():
            if isinstance(old, _Signals):
                old.hold()
        raise
    finally:
        for number, old in previous.items():
            signal.signal(number, old)


@contextmanager
def interruptible() -> Iterator[None]:
    """Have the signals that end programs raise `Interrupted` in here, so that what was begun is tidied up.

    Only the first one does.  A plan that is run in here has its own way with them.  For the main thread.
    """
    with _listening(_Signals(log.warning)):
        yield


def run_plan(plan: Plan, listeners: Sequence[Listener], environ: Mapping[str, str] | None = None) -> list[str]:
    """Run the steps of `plan` in order and return the warnings that were given.

    When a step fails or a signal arrives, the closing steps of everything begun so far run, the last begun first, then
    `Plan.cleanup`; the failure is raised afterwards, with what went wrong on the way out added to its message.

    Must be called in the main thread (it handles signals).
    """
    runner = _Runner(plan, Reporter(listeners), (os.environ if environ is None else environ).get(FAIL_STEP, ""))
    with _listening(runner.signals):
        return runner.run()


class _Runner:
    def __init__(self, plan: Plan, reporter: Reporter, failing: str) -> None:
        self._plan = plan
        self._reporter = reporter
        self._failing = failing
        self._open_pairs: list[str] = []
        self.signals = _Signals(reporter.warn, {signal.SIGHUP} if plan.goes_on else ())

    def run(self) -> list[str]:
        began = time.monotonic()
        reporter = self._reporter
        reporter.emit("plan", self._plan.summary, plan=self._plan.name, steps=[step.name for step in self._plan.steps])
        try:
            for step in self._plan.steps:
                self._perform(step)
            self.signals.hold()
        except BaseException as failure:
            self.signals.hold()
            troubles = self._way_out(failure)
            self._tidy()
            reporter.emit("finished", "failed", ok=False)
            raise _explained(failure, troubles) from failure
        self._tidy()
        reporter.begin("")
        reporter.emit("finished", self._plan.summary, ok=True, total_seconds=round(time.monotonic() - began, 3))
        return reporter.warnings

    def _perform(self, step: Step) -> None:
        if step.closed_by is not None:
            self._open_pairs.append(step.closed_by)
        closes = step.name in self._open_pairs
        self._reporter.begin(step.name)
        self._reporter.emit("start", step.title)
        if self._failing == step.name:
            raise IpaBackupError(f"Step {step.name} failed because {FAIL_STEP} asks for it.")
        if closes:
            # A start that closes a stop is not to be cut in half: a signal waits until it is done.
            self.signals.hold()
        step.run(self._reporter)
        if closes:
            self._open_pairs.remove(step.name)
            self.signals.release()
        if self._failing == f"{step.name}:after":
            raise IpaBackupError(f"Step {step.name} failed after its work because {FAIL_STEP} asks for it.")
        self._reporter.emit("done", step.title)

    def _way_out(self, failure: BaseException) -> list[str]:
        troubles: list[str] = []
        self._reporter.emit("failed", str(failure) or type(failure).__name__)
        for step in reversed([step for step in self._plan.steps if step.name in self._open_pairs]):
            self._reporter.begin(step.name)
            self._reporter.emit("start", step.title)
            try:
                step.run(self._reporter)
            except Exception as trouble:
                troubles.append(f"{step.title}: {trouble}")
                self._reporter.emit("failed", str(trouble))
            else:
                self._reporter.emit("done", step.title)
        return troubles

    def _tidy(self) -> None:
        try:
            self._plan.cleanup()
        except Exception as trouble:
            self._reporter.warn(f"Cleaning up failed: {trouble}")


def _explained(failure: BaseException, troubles: Sequence[str]) -> BaseException:
    if isinstance(failure, KeyboardInterrupt):
        failure = Interrupted("Interrupted from the keyboard.")
    elif isinstance(failure, OSError):
        failure = IpaBackupError(str(failure))
    if troubles and isinstance(failure, IpaBackupError):
        failure.state = " ".join(
            [failure.state, "On the way out these failed too: " + "; ".join(troubles) + "."]
        ).strip()
    return failure
