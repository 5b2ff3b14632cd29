"""The engine's stream of frames, and results of commands."""

import io
import socket
import struct
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.execute import CommandResult, _collect, output_of

frames = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=300)))


@given(frames)
def test_frames_are_taken_apart_into_both_outputs(sent: list[tuple[int, bytes]]) -> None:
    stream = io.BytesIO(b"".join(struct.pack(">BxxxL", number, len(data)) + data for number, data in sent))
    out, err = _collect(stream)
    assert out == b"".join(data for number, data in sent if number == 1)
    assert err == b"".join(data for number, data in sent if number == 2)


def test_a_result_shows_the_command_its_status_and_what_it_said() -> None:
    result = CommandResult(("ipa", "user-show", "a b"), "out\n", "", 2, 1.25)
    assert result.command == "ipa user-show 'a b'"
    assert result.describe() == "ipa user-show 'a b'\nended with status 2 after 1.2 s\n--- stdout\nout"


class _Engine:
    """An engine's API that answers each command with the next of these statuses and outputs."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        self._answers = answers
        self.begun = 0

    def exec_create(self, *told: Any, **more: Any) -> dict[str, Any]:
        self.begun += 1
        return {"Id": self.begun}

    def exec_start(self, number: int, **more: Any) -> socket.socket:
        here, there = socket.socketpair()
        said = self._answers[number - 1][1]
        with there:
            there.sendall(struct.pack(">BxxxL", 1, len(said)) + said)
        return here

    def exec_inspect(self, number: int) -> dict[str, Any]:
        return {"Running": False, "ExitCode": self._answers[number - 1][0]}


_RUNC = b"OCI runtime exec failed: exec failed: unable to start container process: "
_LOST = (126, _RUNC + b"read init-p: connection reset by peer: unknown\r\n")
_NO_PROGRAM = (126, _RUNC + b'exec: "nothing": permission denied: unknown\r\n')


@pytest.mark.parametrize(
    ("answers", "tries"),
    [
        pytest.param([_LOST, (0, b"done")], 2, id="begun the second time"),
        pytest.param([_LOST] * 3, 3, id="never begun"),
        pytest.param([_NO_PROGRAM], 1, id="cannot be begun"),
        pytest.param([(1, _LOST[1])], 1, id="a command that says the same"),
        pytest.param([(126, b"sh: read init-p: connection reset by peer")], 1, id="a command with that status"),
    ],
)
def test_a_command_that_the_engine_could_not_begin_is_tried_again(answers: list[tuple[int, bytes]], tries: int) -> None:
    engine = _Engine(*answers)
    container: Any = SimpleNamespace(id="1", name="host", labels={}, client=SimpleNamespace(api=engine))
    assert output_of(container, ["true"], input="words") == (*answers[-1], b"")
    assert engine.begun == tries
