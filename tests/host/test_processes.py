"""Running programs, for real."""

from __future__ import annotations

import threading
import time

import pytest

from ipabackup.host.processes import CommandFailed, CommandMissing, CommandTimedOut, Enough, SystemProcesses

PROCESSES = SystemProcesses()


def test_output_status_and_input_come_through() -> None:
    done = PROCESSES.run(["sh", "-c", "cat; echo oops >&2; exit 3"], input="täxt", check=False)
    assert (done.stdout, done.stderr, done.status, done.ok) == ("täxt", "oops\n", 3, False)
    assert done.said == "oops"


def test_a_failure_carries_what_the_program_said() -> None:
    with pytest.raises(CommandFailed, match="oops") as failed:
        PROCESSES.run(["sh", "-c", "echo oops >&2; exit 3"])
    assert failed.value.completed is not None
    assert failed.value.completed.status == 3


def test_a_missing_program_and_one_that_hangs_have_their_own_errors() -> None:
    with pytest.raises(CommandMissing, match="no-such-program"):
        PROCESSES.run(["no-such-program"])
    with pytest.raises(CommandMissing, match="cannot be executed"):
        PROCESSES.run(["/etc/passwd"])
    with pytest.raises(CommandTimedOut, match=r"0\.1 seconds"):
        PROCESSES.run(["sleep", "60"], timeout=0.1)


def test_nothing_is_read_from_our_own_input_and_messages_are_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PROCESSES.run(["cat"]).stdout == ""
    monkeypatch.setenv("LANGUAGE", "de")
    shown = PROCESSES.run(["sh", "-c", "echo $LC_ALL $MORE $LANGUAGE"], env={"MORE": "x"}).stdout
    assert shown == "C.UTF-8 x\n", "gettext asks LANGUAGE first"


def test_bytes_that_are_no_text_do_not_break_it() -> None:
    assert PROCESSES.run(["printf", r"a\377b"]).stdout == r"a\xffb"


def test_a_program_of_which_there_is_enough_is_ended_and_has_done_well() -> None:
    enough = Enough()
    teller = threading.Timer(0.1, enough.say)
    teller.start()
    begun = time.monotonic()
    assert PROCESSES.run(["sleep", "60"], enough=enough).status == 0
    assert PROCESSES.run(["sleep", "60"], enough=enough).status == 0, "said before it began"
    assert time.monotonic() - begun < 30
    assert PROCESSES.run(["sh", "-c", "exit 3"], check=False, enough=Enough()).status == 3
