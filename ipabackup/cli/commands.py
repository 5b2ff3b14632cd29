"""Where the commands begin.

Loading their modules makes some ten thousands of objects that live to the end.  None of them is garbage, so Python is
not to look for any among them, neither while they are made nor as it ends: that would take 20 ms, the sixteenth part of
an online backup of a small directory.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from ipabackup.host.session import settle


def backup() -> int:
    """Run ``ipa-backup``; returns its exit status."""
    with _loading():
        from ipabackup.cli.backup import main
    settle()
    return main()


def restore() -> int:
    """Run ``ipa-restore``; returns its exit status."""
    with _loading():
        from ipabackup.cli.restore import main
    settle()
    return main()


@contextmanager
def _loading() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
