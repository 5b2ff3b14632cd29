"""Which paths of a host changed, and which of them the product's inventory knows.

The engine tells what differs from the image that a container began with; what had changed before the installation
began, and has not changed since, is told apart by mode, owner and content.  File systems in memory (/run, /tmp) are not
looked at: nothing of them outlives a reboot.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import tomllib

from lab.host import Host

IGNORED = Path(__file__).with_name("audit_ignored.toml")

_LOOK = """
import hashlib, json, os, stat
found = {}
device = os.lstat("/").st_dev
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if os.lstat(os.path.join(folder, name)).st_dev == device]
    for name in folders + files:
        path = os.path.join(folder, name)
        try:
            status = os.lstat(path)
            content = ""
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            continue
        found[path] = f"{status.st_mode:o} {status.st_uid}:{status.st_gid} {content}"
print(json.dumps(found))
"""


def look(host: Host) -> Mapping[str, str]:
    """Mode, owner and content (a digest, or where a link leads) of every path on the host's disk."""
    return dict(json.loads(host.run(["python3", "-c", _LOOK]).stdout))


def changed(host: Host, before: Mapping[str, str]) -> tuple[str, ...]:
    """The paths that came, went or changed since ``before`` was looked at."""
    after = look(host)
    differing = {str(entry["Path"]) for entry in host.container.diff() or ()}
    return tuple(sorted(path for path in differing if before.get(path) != after.get(path)))


@dataclass(frozen=True)
class Listed:
    """A path that the product's inventory lists on a host; see ``ipa-backup --list-paths``."""

    path: str
    kind: str
    exclude: tuple[str, ...] = ()

    def knows(self, path: str) -> bool:
        """Whether a backup takes ``path`` because of this one, or makes it again as a folder on the way to this one."""
        if self.path == path or self.path.startswith(path + "/"):
            return True
        if self.kind not in ("directory", "log") or not path.startswith(self.path + "/"):
            return False
        return not any(matches(pattern, path) for pattern in self.exclude)


@dataclass(frozen=True)
class Ignored:
    """Paths (patterns of glob(7), each with all below it) that a backup leaves out, and why.

    ``sometimes`` ones are not there after every installation.
    """

    patterns: tuple[str, ...]
    reason: str
    sometimes: bool = False


@dataclass(frozen=True)
class Findings:
    """Paths that nobody knows, and patterns that ignore nothing."""

    unknown: tuple[str, ...]
    idle: tuple[str, ...]


def inventory(host: Host) -> tuple[Listed, ...]:
    """What the product says belongs to this server."""
    said: dict[str, Any] = json.loads(host.run(["ipa-backup", "--list-paths", "--json"]).stdout)
    return tuple(Listed(one["path"], one["kind"], tuple(one["exclude"])) for one in said["paths"])


def ignored(path: Path = IGNORED) -> tuple[Ignored, ...]:
    """The list of what is ignored; raises ValueError for an entry without a reason."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["ignored"]
    found = []
    for entry in entries:
        if not entry.get("reason") or not entry.get("paths"):
            raise ValueError(f"{path}: an entry needs paths and a reason: {entry}")
        found.append(Ignored(tuple(entry["paths"]), entry["reason"], bool(entry.get("sometimes"))))
    return tuple(found)


def compare(paths: Iterable[str], listed: Sequence[Listed], ignoring: Sequence[Ignored]) -> Findings:
    """Which of ``paths`` are neither listed nor ignored, and which patterns are of no use."""
    used: set[str] = set()
    unknown = []
    for path in paths:
        matching = {pattern for entry in ignoring for pattern in entry.patterns if matches(pattern, path)}
        known = any(one.knows(path) for one in listed)
        # A line that only matches what the inventory lists is as idle as one that matches nothing.
        if not known:
            used |= matching
            if not matching:
                unknown.append(path)
    idle = [pattern for entry in ignoring if not entry.sometimes for pattern in entry.patterns if pattern not in used]
    return Findings(tuple(unknown), tuple(idle))


def matches(pattern: str, path: str) -> bool:
    """Whether ``pattern`` matches ``path`` or a folder above it; ``*`` and ``?`` do not match a ``/``."""
    return _expression(pattern).match(path) is not None


@lru_cache(maxsize=4096)
def _expression(pattern: str) -> re.Pattern[str]:
    signs = {"*": "[^/]*", "?": "[^/]"}
    pieces = re.findall(r"\[[^/]+?\]|.", pattern)
    body = "".join(piece if len(piece) > 1 else signs.get(piece, re.escape(piece)) for piece in pieces)
    return re.compile(body + r"(?:/|\Z)")
