"""Plans: pairs hold on every way out, signals wait where they must, events tell the story."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from ipabackup.errors import Interrupted, IpaBackupError
from ipabackup.steps import Event, Plan, Reporter, Step, interruptible, run_plan

NAMES = ("prepare", "stop", "copy", "start", "seal")


@pytest.fixture(autouse=True)
def signals_as_on_a_terminal() -> Iterator[None]:
    """Tests may run in the background, where SIGINT is ignored."""
    numbers = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    yield
    for number, handler in zip(numbers, before):
        signal.signal(number, handler)


class Recorder:
    """Steps that note what was run, one of which may do something else."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.events: list[Event] = []
        self.cleaned = 0

    def plan(self, **special: Callable[[], None]) -> Plan:
        def deed(name: str) -> Callable[[Reporter], None]:
            def run(report: Reporter) -> None:
                self.ran.append(name)
                if name in special:
                    special[name]()

            return run

        steps = tuple(
            Step(name, name.title(), deed(name), closed_by="start" if name == "stop" else None) for name in NAMES
        )
        return Plan("test", "A test", steps, self.clean)

    def clean(self) -> None:
        self.cleaned += 1

    def run(self, plan: Plan, **environ: str) -> list[str]:
        return run_plan(plan, [self.events.append], environ)


def fail() -> None:
    raise IpaBackupError("the disk is full")


def test_steps_run_in_order_and_cleanup_last() -> None:
    recorder = Recorder()
    recorder.run(recorder.plan())
    assert recorder.ran == list(NAMES)
    assert recorder.cleaned == 1
    assert [event.kind for event in recorder.events if event.kind in ("plan", "finished")] == ["plan", "finished"]


@pytest.mark.row("B1")
@pytest.mark.parametrize("failing", ["stop", "copy"])
def test_what_was_stopped_is_started_when_a_step_fails(failing: str) -> None:
    recorder = Recorder()
    with pytest.raises(IpaBackupError, match="the disk is full"):
        recorder.run(recorder.plan(**{failing: fail}))
    assert recorder.ran[-1] == "start"
    assert recorder.ran.count("start") == 1
    assert recorder.cleaned == 1


@pytest.mark.row("B1")
def test_nothing_is_started_when_the_failure_comes_before_the_stop() -> None:
    recorder = Recorder()
    with pytest.raises(IpaBackupError):
        recorder.run(recorder.plan(prepare=fail))
    assert recorder.ran == ["prepare"]


@pytest.mark.row("B1")
def test_nothing_is_started_twice_when_the_failure_comes_after_the_start() -> None:
    recorder = Recorder()
    with pytest.raises(IpaBackupError):
        recorder.run(recorder.plan(seal=fail))
    assert recorder.ran == list(NAMES)


@pytest.mark.row("B1")
def test_a_start_that_fails_is_tried_once_more() -> None:
    recorder = Recorder()
    with pytest.raises(IpaBackupError, match="On the way out these failed too"):
        recorder.run(recorder.plan(start=fail))
    assert recorder.ran.count("start") == 2


@pytest.mark.row("B1")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_plan_and_starts_what_was_stopped(number: signal.Signals) -> None:
    recorder = Recorder()
    with pytest.raises(Interrupted, match=number.name) as caught:
        recorder.run(recorder.plan(copy=lambda: os.kill(os.getpid(), number)))
    assert recorder.ran == ["prepare", "stop", "copy", "start"]
    assert caught.value.exit_status == 130


@pytest.mark.row("B1")
def test_a_signal_during_the_start_waits_until_it_is_done() -> None:
    recorder = Recorder()
    with pytest.raises(Interrupted):
        recorder.run(recorder.plan(start=lambda: os.kill(os.getpid(), signal.SIGTERM)))
    assert recorder.ran == ["prepare", "stop", "copy", "start"]


@pytest.mark.row("B1")
def test_a_second_signal_does_not_cut_the_way_out_short() -> None:
    recorder = Recorder()
    twice = {
        "copy": lambda: os.kill(os.getpid(), signal.SIGINT),
        "start": lambda: os.kill(os.getpid(), signal.SIGINT),
    }
    with pytest.raises(Interrupted):
        recorder.run(recorder.plan(**twice))
    assert recorder.ran == ["prepare", "stop", "copy", "start"]
    assert recorder.cleaned == 1


@pytest.mark.row("B1", "R14")
@pytest.mark.parametrize("kind", ["plan", "start", "failed", "done", "finished"])
@pytest.mark.parametrize("failing", [{}, {"copy": fail}], ids=["all goes well", "a step fails"])
def test_a_listener_that_fails_stops_neither_work_nor_way_out(
    kind: str, failing: dict[str, Callable[[], None]]
) -> None:
    """As one that prints does when the terminal is gone."""
    heard: list[str] = []

    def broken(event: Event) -> None:
        heard.append(event.kind)
        if event.kind == kind:
            raise OSError(errno.EIO, "Input/output error")

    recorder, whole = Recorder(), Recorder()
    with suppress(IpaBackupError):
        whole.run(whole.plan(**failing))
    with suppress(IpaBackupError):
        run_plan(recorder.plan(**failing), [broken, recorder.events.append], {})
    assert recorder.ran == whole.ran
    assert "start" in recorder.ran
    assert recorder.cleaned == 1
    assert [event.kind for event in recorder.events] == [event.kind for event in whole.events]
    assert heard.count(kind) == (1 if kind in [event.kind for event in whole.events] else 0), "it is asked no more"


@pytest.mark.row("R13", "R14")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_begun_before_a_plan_is_tidied_up_and_no_second_signal_cuts_that_short(number: signal.Signals) -> None:
    """A folder with secret keys, for one."""
    tidied = []

    def work() -> None:
        try:
            os.kill(os.getpid(), number)
            tidied.append("too late")
        finally:
            os.kill(os.getpid(), number)
            tidied.append("keys")

    with interruptible(), pytest.raises(Interrupted, match=number.name):
        work()
    assert tidied == ["keys"]
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.row("B1", "R13")
def test_a_second_signal_does_not_cut_short_what_is_tidied_up_around_a_plan() -> None:
    recorder, tidied = Recorder(), []

    def work() -> None:
        try:
            recorder.run(recorder.plan(copy=lambda: os.kill(os.getpid(), signal.SIGINT)))
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            tidied.append("keys")

    with interruptible(), pytest.raises(Interrupted):
        work()
    assert recorder.ran[-1] == "start"
    assert tidied == ["keys"]


@pytest.mark.row("R14")
def test_a_connection_that_breaks_does_not_end_a_plan_that_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """What is half restored is worse than what nobody watches; other signals end it all the same."""
    recorder = Recorder()
    going_on = replace(recorder.plan(copy=lambda: os.kill(os.getpid(), signal.SIGHUP)), goes_on=True)
    assert recorder.run(going_on) == [], "there is nothing left to do"
    assert recorder.ran == list(NAMES)
    assert "SIGHUP noted" in caplog.text
    ended = replace(recorder.plan(copy=lambda: os.kill(os.getpid(), signal.SIGTERM)), goes_on=True)
    with pytest.raises(Interrupted):
        recorder.run(ended)


@pytest.mark.row("B1")
def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    recorder = Recorder()
    recorder.run(recorder.plan(copy=lambda: os.kill(os.getpid(), signal.SIGHUP)))
    assert recorder.ran == list(NAMES)


def test_signal_handlers_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    recorder = Recorder()
    recorder.run(recorder.plan())
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("asked", "ran"), [("copy", ["prepare", "stop", "start"]), ("copy:after", ["prepare", "stop", "copy", "start"])]
)
def test_a_rehearsed_failure_comes_before_or_after_the_steps_work(asked: str, ran: list[str]) -> None:
    recorder = Recorder()
    with pytest.raises(IpaBackupError, match="IPABACKUP_FAIL_STEP"):
        recorder.run(recorder.plan(), IPABACKUP_FAIL_STEP=asked)
    assert recorder.ran == ran


def test_a_plan_whose_pair_is_never_closed_cannot_be_made() -> None:
    step = Step("stop", "Stop", lambda report: None, closed_by="start")
    with pytest.raises(ValueError, match="does not follow"):
        Plan("test", "A test", (step,))


def test_an_error_of_the_operating_system_becomes_one_of_ours() -> None:
    def no_space() -> None:
        raise OSError(28, "No space left on device")

    recorder = Recorder()
    with pytest.raises(IpaBackupError, match="No space left"):
        recorder.run(recorder.plan(copy=no_space))


def test_a_cleanup_that_fails_is_reported_and_hides_nothing() -> None:
    def stuck() -> None:
        raise OSError("busy")

    events: list[Event] = []
    with pytest.raises(IpaBackupError, match="the disk is full"):
        run_plan(Plan("test", "A test", (Step("a", "A", lambda report: fail()),), stuck), [events.append], {})
    assert any(event.kind == "warning" and "busy" in event.message for event in events)
