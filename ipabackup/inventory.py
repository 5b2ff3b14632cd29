"""What belongs to a server: data files that list paths, and the paths that they mean on one host.

The lists are TOML files in ``inventory/`` beside this module and in ``/etc/ipabackup/inventory.d/``; a file
there with the name of one of ours replaces it, any other adds to them.  ``docs/inventory.md`` describes the
notation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

LOCAL = Path("/etc/ipabackup/inventory.d")
SHIPPED = Path(__file__).parent / "inventory"


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
    ``generations`` names the families of servers that have it (empty: all).  ``exclude`` are patterns of
    paths below it that stay out.
    """

    pattern: str
    kind: PathKind
    service: str
    generations: frozenset[str] = frozenset()
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
        """True when ``path`` (absolute) is one of the excluded ones."""
        raise NotImplementedError


@dataclass(frozen=True)
class Names:
    """What the placeholders stand for on this server, and which generation it is (None: not known)."""

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
    raise NotImplementedError


def resolve(rules: Sequence[Rule], names: Names, probe: Probe, *, logs: bool = False) -> Inventory:
    """What the rules mean on one server.  ``logs`` adds the paths of kind log.

    A path that lies within another taken folder is not listed a second time.
    """
    raise NotImplementedError
