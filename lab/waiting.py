"""Waiting for a state, with a limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from lab.errors import TimedOut

State = TypeVar("State")

#: Seconds between two looks at the same thing.
INTERVAL = 0.1


def wait_for(
    what: str,
    probe: Callable[[], State | None],
    *,
    limit: float,
    details: Callable[[], str] | None = None,
) -> State:
    """Look until ``probe`` returns something true, and return that.

    ``what`` names the state in the message of the :class:`TimedOut` that follows after ``limit`` seconds;
    ``details`` is called then, for what a reader needs in order to know why (a log's tail, the last answer).
    """
    deadline = time.monotonic() + limit
    while True:
        state = probe()
        if state:
            return state
        if time.monotonic() >= deadline:
            more = f"\n{details()}" if details else ""
            raise TimedOut(f"Waited {limit:g} s for {what}, in vain.{more}")
        time.sleep(INTERVAL)
