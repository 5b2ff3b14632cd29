"""The engine's stream of frames, and results of commands."""

import io
import struct

from hypothesis import given
from hypothesis import strategies as st

from lab.execute import CommandResult, _collect

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
