"""``ls``: show what is up."""

from __future__ import annotations

import argparse
import json

from lab.engine import Engine

HELP = "list the labs that are up, and their hosts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A table, or JSON."""
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")


def run(engine: Engine, options: argparse.Namespace) -> int:
    """Print a line for each host."""
    hosts = [
        {
            "lab": engine.label_of(container.labels),
            "host": engine.label_of(container.labels, "host"),
            "address": engine.label_of(container.labels, "address"),
            "container": container.name,
            "status": container.status,
        }
        for container in engine.containers()
        if engine.label_of(container.labels, "topology")
    ]
    if options.json:
        print(json.dumps(hosts, indent=2))
    elif not hosts:
        print("No lab is up.")
    else:
        rows = [tuple(hosts[0]), *(tuple(str(value) for value in host.values()) for host in hosts)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())
    return 0
