"""The inventory as ``ipa-backup --list-paths`` shows it."""

from __future__ import annotations

import json
import sys

from ipabackup.cli.outlet import put
from ipabackup.inventory import Inventory, InventoryItem


def show_paths(inventory: Inventory, as_json: bool) -> None:
    """Print every path that belongs to this server, a line each, or all as one JSON object.

    The object has ``paths`` (each with ``path``, ``kind``, ``service``, ``exclusive`` and ``exclude``) and ``missing``,
    what other servers of this kind have.
    """
    if as_json:
        paths = [_described(item) for item in inventory.items]
        missing = [rule.pattern for rule in inventory.missing]
        put(json.dumps({"kind": "paths", "paths": paths, "missing": missing}), sys.stdout)
        return
    for item in inventory.items:
        notes = [item.kind.value, item.service]
        if item.exclusive:
            notes.append("exclusive")
        if item.exclude:
            notes.append(f"without {', '.join(item.exclude)}")
        put(f"{item.path}  ({'; '.join(notes)})", sys.stdout)
    for rule in inventory.missing:
        put(f"{rule.pattern}  (not on this server; {rule.service})", sys.stdout)


def _described(item: InventoryItem) -> dict[str, object]:
    return {
        "path": item.path,
        "kind": item.kind.value,
        "service": item.service,
        "exclusive": item.exclusive,
        "exclude": list(item.exclude),
    }
