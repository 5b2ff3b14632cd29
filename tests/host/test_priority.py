"""Threads give way, but for those that are named."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

_PROGRAM = """
import json, os, threading
from ipabackup.host.priority import give_way

ready, end = threading.Barrier(3), threading.Event()
threads = [threading.Thread(target=lambda: (ready.wait(), end.wait()), name=name) for name in ("exports_0", "other")]
for thread in threads:
    thread.start()
ready.wait()
give_way("export")
numbers = [threading.get_native_id(), *(thread.native_id for thread in threads)]
print(json.dumps([os.getpriority(os.PRIO_PROCESS, number) for number in numbers]))
end.set()
"""


@pytest.mark.parametrize("nicer", [0, 15], ids=["as-ours", "nicer-than-we-are"])
def test_all_threads_give_way_but_those_that_are_named(nicer: int) -> None:
    # In a process of its own: it is for good.
    command = ["nice", "-n", str(nicer), sys.executable, "-c", _PROGRAM]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    main, export, other = json.loads(shown)
    inherited = min(os.getpriority(os.PRIO_PROCESS, 0) + nicer, 19)
    assert main == other == max(10, inherited)
    assert export == inherited
