"""What all masters say, as a table for people and as data for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ipabackup.directory.agreements import Replica
from ipabackup.directory.vectors import seconds_of
from ipabackup.realm.state import RealmState
from ipabackup.realm.verdict import due_levels, lag

_HEADINGS = ("MASTER", "SUFFIX", "GENERATION", "REPLICA", "ENTRIES", "LEVEL", "AGREEMENTS", "CONFLICTS")


def table(state: RealmState) -> list[str]:
    """The lines of a table: a row for each suffix of each master, below a line of headings."""
    rows = [_HEADINGS]
    for suffix in state.suffixes():
        replicas = state.with_suffix(suffix)
        for host, replica in sorted(replicas.items()):
            content = state.masters[host].contents.get(suffix)
            rows.append(
                (
                    host,
                    suffix,
                    replica.vector.generation or "none",
                    str(replica.number),
                    "?" if content is None or content.entries is None else str(content.entries),
                    _level(replica, replicas),
                    _agreements(replica),
                    "?" if content is None else str(len(content.conflicts)),
                )
            )
    rows += [(host, "", "", "", "", "not reached", "", "") for host in sorted(state.unreachable)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _level(replica: Replica, replicas: Mapping[str, Replica]) -> str:
    """``current``, or how far behind which replicas (of its own generation) it is."""
    comrades = {host: one for host, one in replicas.items() if one.vector.generation == replica.vector.generation}
    due = due_levels(comrades)
    missing = lag(replica, due)
    if not missing:
        return "current"
    told = ", ".join(
        f"{number} by {seconds_of(due[number]) - seconds_of(have)} s" if have else f"{number} wholly"
        for number, have in sorted(missing.items())
    )
    return f"behind {told}"


def _agreements(replica: Replica) -> str:
    on = [one for one in replica.agreements if one.enabled]
    failing = sum(one.failing for one in on)
    parts = [(len(on) - failing, "on"), (failing, "failing"), (len(replica.agreements) - len(on), "off")]
    return ", ".join(f"{count} {word}" for count, word in parts if count) or "none"


def described(state: RealmState) -> list[dict[str, Any]]:
    """The same and more as plain data, an item a master."""
    items: list[dict[str, Any]] = []
    for host, one in sorted(state.masters.items()):
        suffixes = []
        for suffix, replica in one.replicas.items():
            content = one.contents.get(suffix)
            suffixes.append(
                {
                    "suffix": replica.suffix,
                    "replica": replica.number,
                    "generation": replica.vector.generation,
                    "stored_generation": content.generation if content else None,
                    "newest": {str(number): change for number, change in sorted(replica.vector.newest.items())},
                    "due": replica.due(),
                    "entries": content.entries if content else None,
                    "conflicts": list(content.conflicts) if content else None,
                    "agreements": [
                        {
                            "consumer": agreement.consumer,
                            "enabled": agreement.enabled,
                            "last_update": agreement.updated,
                            "last_init": agreement.initialised,
                            "last_init_end": agreement.init_ended,
                        }
                        for agreement in replica.agreements
                    ],
                }
            )
        items.append({"host": host, "reached": True, "suffixes": suffixes})
    items += [{"host": host, "reached": False, "reason": why} for host, why in sorted(state.unreachable.items())]
    return items
