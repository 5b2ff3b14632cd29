"""The inventory as ``ipa-backup --list-paths`` shows it."""

from __future__ import annotations

import json

from ipabackup.inventory import Inventory, InventoryItem


def show_paths(inventory: Inventory, as_json: bool) -> None:
    """Print every path that belongs to this server, a line each, or all as one JSON object.

    The object has ``paths`` (each with ``path``, ``kind``, ``service``, ``exclusive`` and ``exclude``) and ``missing``,
    what other servers of this kind have.
    """
    if as_json:
        paths = [_described(item) for item in inventory.items]
        print(json.dumps({"kind": "paths", "paths": paths, "missing": [rule.pattern for rule in inventory.missing]}))
        return
    for item in inventory.items:
        notes = [item.kind.value, item.service]
        if item.exclusive:
            notes.append("exclusive")
        if item.exclude:
            notes.append(f"without {', '.join(item.exclude)}")
        print(f"{item.path}  ({'; '.join(notes)})")
    for rule in inventory.missing:
        print(f"{rule.pattern}  (not on this server; {rule.service})")


def _described(item: InventoryItem) -> dict[str, object]:
    return {
        "path": item.path,
        "kind": item.kind.value,
        "service": item.service,
        "exclusive": item.exclusive,
        "exclude": list(item.exclude),
    }
