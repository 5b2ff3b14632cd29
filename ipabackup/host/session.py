"""What a command takes over from the session that it is started in, and what not."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

_UMASK = 0o022
_PLACES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def settle() -> None:
    """Give this process, and what it starts, what a server's administrator has in a session of the usual kind.

    The umask may be much narrower: what is made anew for a service has to be readable for its account, whoever
    restores.  What is secret gets a mode of its own.  PATH has no folder of system programs in a crontab of Debian's,
    or after ``su`` without ``-``; those that are missing come after those that are there.  A folder for temporary files
    that does not exist, as one of a session that has ended, lets the system's own scripts fail.

    A stream that was closed leads nowhere: the next file that is opened would get what is printed.  Names of files need
    not be text: bytes that are none are printed as numbers.
    """
    os.umask(_UMASK)
    given = [place for place in os.environ.get("PATH", "").split(":") if place]
    os.environ["PATH"] = ":".join([*given, *(place for place in _PLACES if place not in given)])
    for name in ("TMPDIR", "TMP", "TEMP"):
        if not Path(os.environ.get(name, "/")).is_dir():
            del os.environ[name]
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # It gets the lowest free number, which is this one.
            os.open(os.devnull, os.O_RDWR)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115
        if isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
