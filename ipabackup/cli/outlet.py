"""Printing for those who may have gone away: a terminal whose connection broke, a reader that had enough.

What a command does matters more than who watches.  Once nobody takes what it prints, that leads nowhere, and the
command goes on; where a signal says the same (SIGHUP), that is what ends it, in good order.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TextIO


def put(text: str, stream: TextIO, end: str = "\n") -> None:
    """Print `text` at once, or nowhere."""
    try:
        print(text, end=end, file=stream, flush=True)
    except OSError:
        _lead_nowhere(stream)
    except RuntimeError:
        # A signal's handler that prints while what it interrupted does: Python's streams refuse that.
        return


def _lead_nowhere(stream: TextIO) -> None:
    """Give the stream another end: what it still holds would fail again, at the latest when Python ends."""
    # One that is no file, or closed, has no number.
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
