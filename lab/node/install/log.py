"""The logs of the commands: everything in a file that only root reads."""

from __future__ import annotations

import logging
import time
from pathlib import Path


def log_to(path: Path, *, verbose: bool = False) -> None:
    """Send the process's log to `path`, appended; `verbose` shows it on standard error as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    path.chmod(0o600)
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    if verbose:
        console = logging.StreamHandler()
        console.setFormatter(logging.Formatter("ipa: %(levelname)s: %(message)s"))
        root.addHandler(console)
