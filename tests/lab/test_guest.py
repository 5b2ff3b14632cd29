"""Commands for a guest: what goes over by the shared folder, and what comes back."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.guest.root.agent import POWER_OFF, serve
from lab.guest.root.exec import ask

Ask = Callable[..., tuple[int, bytes, bytes]]


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Path]:
    for name in ("requests", "results"):
        (tmp_path / name).mkdir()
    agent = threading.Thread(target=serve, args=(tmp_path,))
    agent.start()
    yield tmp_path
    (tmp_path / POWER_OFF).touch()
    agent.join(10)
    assert not agent.is_alive(), "the agent ends when the power goes off"


@pytest.fixture
def run(share: Path) -> Ask:
    def run(*argv: str, given: bytes = b"", **environment: str) -> tuple[int, bytes, bytes]:
        out, err = io.BytesIO(), io.BytesIO()
        status = ask(share, argv, {"PATH": "/usr/bin:/bin", **environment}, io.BytesIO(given), out, err)
        return status, out.getvalue(), err.getvalue()

    return run


def test_a_command_has_its_input_and_its_environment_and_both_outputs_come_back_apart(run: Ask) -> None:
    script = 'cat; printf "%s" "$COLOUR" >&2; exit 3'
    assert run("sh", "-c", script, given=b"\0raw\n", COLOUR="blue") == (3, b"\0raw\n", b"blue")


def test_a_command_that_a_signal_ended_has_a_shell_s_status(run: Ask) -> None:
    assert run("sh", "-c", "kill -TERM $$")[0] == 128 + 15


def test_a_command_that_is_not_there_says_so(run: Ask) -> None:
    status, out, err = run("/no/such/command")
    assert (status, out) == (127, b"")
    assert b"/no/such/command" in err


def test_commands_run_side_by_side(run: Ask, share: Path) -> None:
    waiting = threading.Thread(target=run, args=("sh", "-c", f"until test -e {share}/go; do sleep 0.05; done"))
    waiting.start()
    assert run("touch", f"{share}/go")[0] == 0
    waiting.join(10)
    assert not waiting.is_alive()


def test_a_service_that_holds_the_output_open_holds_up_nobody(run: Ask) -> None:
    assert run("sh", "-c", "sleep 30 & echo started")[1] == b"started\n"


def test_nothing_of_a_finished_command_stays(run: Ask, share: Path) -> None:
    run("true")
    assert sorted(path.name for path in share.rglob("*")) == ["requests", "results"]
