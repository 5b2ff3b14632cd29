"""SIGTERM ends what goes on like Ctrl-C does, with its cleaning up."""

from __future__ import annotations

import signal
from types import FrameType


def unwind_when_terminated() -> None:
    """From now on let the first SIGTERM raise KeyboardInterrupt; another one does not break off the cleaning up."""
    signal.signal(signal.SIGTERM, _terminated)


def _terminated(number: int, frame: FrameType | None) -> None:
    del number, frame
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt
