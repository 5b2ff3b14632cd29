"""Waiting for a state."""

import pytest

from lab.errors import TimedOut
from lab.waiting import wait_for


def test_the_state_is_returned_as_soon_as_it_is_there() -> None:
    answers = iter([None, "", "there", "too late"])
    assert wait_for("an answer", lambda: next(answers), limit=10) == "there"


def test_a_state_that_does_not_come_is_named_with_its_limit_and_details() -> None:
    with pytest.raises(TimedOut, match=r"Waited 0 s for the moon, in vain\.\nit is new"):
        wait_for("the moon", lambda: None, limit=0, details=lambda: "it is new")
