#!/usr/bin/python3 -sP
"""Run a command in this container's guest: with its own environment and standard input, and the command's status.

Waits for a guest that still boots.  The limit in time is the command's own matter (timeout(1) in the guest).
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

SHARE = Path("/run/guest")

#: Seconds between two looks.
INTERVAL = 0.02


def ask(
    share: Path, argv: Sequence[str], environment: Mapping[str, str], given: BinaryIO, out: BinaryIO, err: BinaryIO
) -> int:
    """Hand a command over and wait for its end; returns its status."""
    name = secrets.token_hex(8)
    draft, request, result = share / f"draft-{name}", share / "requests" / name, share / "results" / name
    while not request.parent.is_dir():
        time.sleep(INTERVAL)
    draft.mkdir()
    (draft / "command.json").write_text(json.dumps({"argv": list(argv), "environment": dict(environment)}))
    with (draft / "stdin").open("wb") as stdin:
        shutil.copyfileobj(given, stdin)
    draft.rename(request)
    while not (result / "status").exists():
        time.sleep(INTERVAL)
    for file, stream in (("stdout", out), ("stderr", err)):
        stream.write((result / file).read_bytes())
        stream.flush()
    status = int((result / "status").read_text())
    shutil.rmtree(request)
    shutil.rmtree(result)
    return status


if __name__ == "__main__":
    sys.exit(ask(SHARE, sys.argv[1:], os.environ, sys.stdin.buffer, sys.stdout.buffer, sys.stderr.buffer))
