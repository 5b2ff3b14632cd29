"""Replica update vectors: up to which change a database has what each replica wrote.

The attribute nsds50ruv is 389 DS's: a value ``{replicageneration} GENERATION``, then one a replica,
``{replica ID URL} OLDEST NEWEST``, without the two numbers as long as it knows no change of that replica.  A change
number (CSN) is 20 hexadecimal digits: seconds since 1970 (8), a count (4), the replica that made it (4), a count (4).
Those of one replica compare as text does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_GENERATION = re.compile(r"\{replicageneration\}\s+([0-9a-f]+)", re.IGNORECASE)
_ELEMENT = re.compile(r"\{replica (\d+)(?:\s[^}]*)?\}((?:\s+[0-9a-f]{20}){0,2})", re.IGNORECASE)


@dataclass(frozen=True)
class Vector:
    """The generation of a database, and for each replica's number its `oldest` and `newest` change here ("": none)."""

    generation: str
    newest: Mapping[int, str] = field(default_factory=dict)
    oldest: Mapping[int, str] = field(default_factory=dict)


def parse_vector(values: Iterable[str]) -> Vector:
    """The vector that these values of nsds50ruv are; what is neither generation nor replica is passed over.

    Of a replica's first changes the server may have noted but one, the oldest or the newest, and it may have an element
    without changes beside the one with them.
    """
    generation = ""
    newest: dict[int, str] = {}
    oldest: dict[int, str] = {}
    for value in values:
        if found := _GENERATION.match(value):
            generation = found[1].lower()
        elif found := _ELEMENT.match(value):
            number, changes = int(found[1]), found[2].lower().split()
            newest[number] = max([newest.get(number, ""), *changes])
            oldest[number] = min([*filter(None, [oldest.get(number)]), *changes], default="")
    return Vector(generation, newest, oldest)


def seconds_of(change: str) -> int:
    """When the change with this number was made: seconds since 1970; 0 for "" (none)."""
    return int(change[:8], 16) if change else 0
