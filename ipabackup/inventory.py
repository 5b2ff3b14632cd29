"""What belongs to a server: data files that list paths, and the paths that they mean on one host.

The lists are TOML files in ``inventory/`` beside this module and in ``/etc/ipabackup/inventory.d/``; a file
there with the name of one of ours replaces it, any other adds to them.  A list looks like this:

    service = "httpd"                        # whose files these are; holds for every entry of the file

    [[entry]]
    paths = ["/etc/apache2"]                 # absolute; {instance}, {realm}, {domain}, {host}; * ? [] as in
    glob(7) kind = "directory"                       # file (the default), directory, log,
    required-directory generations = ["debian"]                 # v3, redhat, debian; left out: all optional
    = true                          # servers do well without it, so its absence is not reported exclusive =
    true                         # a folder that is IPA's alone exclude = ["/etc/apache2/private/*"]     #
    what stays out, with all below it reason = "Why this entry is as it is."
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from ipabackup.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LOCAL = Path("/etc/ipabackup/inventory.d")
SHIPPED = Path(__file__).parent / "inventory"
GENERATIONS = frozenset({"v3", "redhat", "debian"})

# What tells a generation; the first that exists decides.
_SIGNS_OF = (("/etc/debian_version", "debian"), ("/var/lib/pki-ca", "v3"), ("/etc/redhat-release", "redhat"))
_KEYS = frozenset({"paths", "kind", "generations", "optional", "exclusive", "exclude", "reason"})
_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")


class PathKind(str, Enum):
    """How a path is treated."""

    FILE = "file"
    DIRECTORY = "directory"
    LOG = "log"
    REQUIRED_DIRECTORY = "required-directory"


@dataclass(frozen=True)
class Rule:
    """One path of a list, not yet resolved.

    ``pattern`` is absolute; it may hold {instance}, {realm}, {domain}, {host} and the signs of glob(7).
    ``generations`` names the families of servers that have it (empty: all); an ``optional`` one is not
    missed. ``exclude`` are patterns of paths below it that stay out.  ``source`` is the list's file name.
    """

    pattern: str
    kind: PathKind
    service: str
    generations: frozenset[str] = frozenset()
    optional: bool = False
    exclusive: bool = False
    exclude: tuple[str, ...] = ()
    reason: str = ""
    source: str = ""


@dataclass(frozen=True)
class InventoryItem:
    """One existing path that belongs to the server.

    ``exclusive``: the folder is IPA's alone, so what a backup does not have may be removed from it.
    ``exclude`` are absolute patterns (glob(7), where ``*`` does not cross a ``/``) of what stays out, with
    all below it.
    """

    path: str
    kind: PathKind
    service: str
    exclusive: bool = False
    exclude: tuple[str, ...] = ()

    def excludes(self, path: str) -> bool:
        """True when ``path`` (absolute) is one of the excluded ones, or lies below one."""
        if not self.exclude:
            return False
        parts = path.split("/")
        leading = ["/".join(parts[:length]) for length in range(2, len(parts) + 1)]
        return any(_glob(pattern).fullmatch(place) for pattern in self.exclude for place in leading)

    def covers(self, path: str) -> bool:
        """True when ``path`` is taken as a part of this folder."""
        within = path == self.path or path.startswith(self.path.rstrip("/") + "/")
        return self.kind is PathKind.DIRECTORY and within and not self.excludes(path)


@dataclass(frozen=True)
class Names:
    """What the placeholders stand for on this server, and its generation (None: what the host looks like)."""

    realm: str
    domain: str
    host: str
    instances: tuple[str, ...]
    generation: str | None = None


class Probe(Protocol):
    """Answers what exists."""

    def expand(self, pattern: str) -> Sequence[str]:
        """The existing paths that a pattern of glob(7) matches, sorted; a path without signs matches
        itself.
        """
        ...


@dataclass(frozen=True)
class Inventory:
    """The paths to take, in order, and the rules that this generation should have met and did not."""

    items: tuple[InventoryItem, ...]
    missing: tuple[Rule, ...]


def load(directories: Sequence[Path] = (SHIPPED, LOCAL)) -> tuple[Rule, ...]:
    """Every rule of the lists in these folders; raises UsageError for a list that cannot be read."""
    lists: dict[str, Path] = {}
    for directory in directories:
        if directory.is_dir():
            lists.update({path.name: path for path in sorted(directory.glob("*.toml"))})
    return tuple(rule for name in sorted(lists) for rule in read_list(lists[name]))


def read_list(path: Path) -> tuple[Rule, ...]:
    """The rules of one list; raises UsageError, which names the file and what is wrong in it."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"the inventory list {path} cannot be read: {error}") from error
    try:
        return tuple(_rules(values, path.name))
    except (ValueError, TypeError) as error:
        raise UsageError(f"the inventory list {path} is wrong: {error}") from error


def resolve(rules: Sequence[Rule], names: Names, probe: Probe, *, logs: bool = False) -> Inventory:
    """What the rules mean on one server.  ``logs`` adds the paths of kind log.

    A path that lies within another taken folder is not listed a second time, unless that folder excludes
    it, or only the inner one is IPA's alone.
    """
    generation = names.generation or next((name for sign, name in _SIGNS_OF if probe.expand(sign)), None)
    found: dict[tuple[str, bool], InventoryItem] = {}
    missing = []
    for rule in rules:
        if rule.kind is PathKind.LOG and not logs:
            continue
        existing = [
            (path, instance) for pattern, instance in _spelled(rule.pattern, names) for path in probe.expand(pattern)
        ]
        for path, instance in existing:
            exclude = tuple(
                spelled
                for pattern in rule.exclude
                for spelled, owner in _spelled(pattern, names)
                if instance is None or owner in (None, instance)
            )
            item = InventoryItem(path, rule.kind, rule.service, rule.exclusive, exclude)
            found.setdefault((path, rule.kind is PathKind.LOG), item)
        if not existing and not rule.optional and (not rule.generations or generation in rule.generations):
            missing.append(rule)
    items = tuple(item for item in found.values() if not _listed_above(item, found))
    return Inventory(items, tuple(missing))


def _listed_above(item: InventoryItem, found: Mapping[tuple[str, bool], InventoryItem]) -> bool:
    parts = item.path.split("/")
    for length in range(2, len(parts)):
        outer = found.get(("/".join(parts[:length]), False))
        if outer is not None and outer.covers(item.path) and (outer.exclusive or not item.exclusive):
            return True
    return False


def _spelled(pattern: str, names: Names) -> Iterator[tuple[str, str | None]]:
    """The pattern with its placeholders filled in, once for every instance when it names one (which is the
    second part).
    """
    values = {"realm": names.realm, "domain": names.domain, "host": names.host}
    # A bracket expression matches one sign literally: a name must not turn into a pattern.
    escaped = {name: re.sub(r"([*?[])", r"[\1]", value) for name, value in values.items()}
    for instance in names.instances if "{instance}" in pattern else (None,):
        known = {**escaped, "instance": instance or ""}
        yield _PLACEHOLDER.sub(lambda placeholder, known=known: known[placeholder[1]], pattern), instance  # type: ignore[misc]


def _rules(values: Mapping[str, Any], source: str) -> Iterator[Rule]:
    unknown = set(values) - {"service", "entry"}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    service = _text(values.get("service", Path(source).stem), "service")
    for number, entry in enumerate(values.get("entry", []), start=1):
        where = f"entry {number}"
        if not isinstance(entry, dict):
            raise ValueError(f"{where} is not a table")
        unknown = set(entry) - _KEYS
        if unknown:
            raise ValueError(f"{where} has unknown words: {', '.join(sorted(unknown))}")
        paths = _texts(entry.get("paths"), f"{where}: paths")
        if not paths:
            raise ValueError(f"{where} names no paths")
        exclude = _texts(entry.get("exclude", []), f"{where}: exclude")
        for pattern in (*paths, *exclude):
            _check_pattern(pattern, where)
        generations = frozenset(_texts(entry.get("generations", []), f"{where}: generations"))
        if generations - GENERATIONS:
            raise ValueError(f"{where}: no such generation: {', '.join(sorted(generations - GENERATIONS))}")
        for path in paths:
            yield Rule(
                pattern=path,
                kind=PathKind(entry.get("kind", "file")),
                service=service,
                generations=generations,
                optional=_flag(entry.get("optional", False), f"{where}: optional"),
                exclusive=_flag(entry.get("exclusive", False), f"{where}: exclusive"),
                exclude=exclude,
                reason=_text(entry.get("reason", ""), f"{where}: reason"),
                source=source,
            )


def _check_pattern(pattern: str, where: str) -> None:
    if not pattern.startswith("/") or pattern.rstrip("/") != pattern or "//" in pattern:
        raise ValueError(f"{where}: not an absolute path: {pattern!r}")
    try:
        _glob(pattern)
    except re.error as error:
        raise ValueError(f"{where}: {pattern!r} is not a pattern: {error}") from error
    if any(part in (".", "..") for part in pattern.split("/")):
        raise ValueError(f"{where}: '.' or '..' in {pattern!r}")
    strange = set(_PLACEHOLDER.findall(pattern)) - {"instance", "realm", "domain", "host"}
    if strange:
        raise ValueError(f"{where}: no such placeholder: {', '.join(sorted(strange))}")


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} is not a text")
    return value


def _texts(value: object, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{what} is not a list of texts")
    return tuple(value)


def _flag(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{what} is neither true nor false")
    return value


@lru_cache(maxsize=1024)
def _glob(pattern: str) -> re.Pattern[str]:
    """A pattern of glob(7) as a regular expression; ``*`` and ``?`` do not match a ``/``."""
    result = ""
    position = 0
    while position < len(pattern):
        sign = pattern[position]
        position += 1
        if sign == "*":
            result += "[^/]*"
        elif sign == "?":
            result += "[^/]"
        elif sign == "[" and (end := pattern.find("]", position + 1)) > 0:
            inside = pattern[position:end].replace("\\", "\\\\").replace("[", "\\[")
            result += "[" + ("^" + inside[1:] if inside[0] in "!^" else inside) + "]"
            position = end + 1
        else:
            result += re.escape(sign)
    return re.compile(result, re.DOTALL)
