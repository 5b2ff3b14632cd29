"""What a command takes over from the session that it is started in, and what not."""

from __future__ import annotations

import os

_UMASK = 0o022
_PLACES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def settle() -> None:
    """Give this process, and what it starts, what a server's administrator has in a session of the usual kind.

    The umask may be much narrower: what is made anew for a service has to be readable for its account, whoever
    restores.  What is secret gets a mode of its own.  PATH has no folder of system programs in a crontab of Debian's,
    or after ``su`` without ``-``; those that are missing come after those that are there.
    """
    os.umask(_UMASK)
    given = [place for place in os.environ.get("PATH", "").split(":") if place]
    os.environ["PATH"] = ":".join([*given, *(place for place in _PLACES if place not in given)])
