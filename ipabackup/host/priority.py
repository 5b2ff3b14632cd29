"""Giving way: threads that others should not have to wait for."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

_THREADS = Path("/proc/self/task")
#: How nice a thread is that gives way (setpriority(2)): it gets a tenth of a processor that others want.
_NICE = 10


def give_way(but: str) -> None:
    """Let all threads of this process give way to others, for good, `but` those whose names begin like this.

    On Linux each thread has a priority of its own, which threads and processes that it makes later take over.  Threads
    of libraries count too.  Where that is not allowed nothing happens.
    """
    spared = {thread.native_id for thread in threading.enumerate() if thread.name.startswith(but)}
    with suppress(OSError):
        for entry in _THREADS.iterdir():
            number = int(entry.name)
            # One may just have ended.
            with suppress(OSError):
                # Who started us may have been nicer still.
                if number not in spared and os.getpriority(os.PRIO_PROCESS, number) < _NICE:
                    os.setpriority(os.PRIO_PROCESS, number, _NICE)
