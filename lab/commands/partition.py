"""``partition``: cut the line between hosts, in both directions, until ``heal``."""

from __future__ import annotations

import argparse

from lab.commands.naming import add_lab_option, the_lab
from lab.engine import Engine
from lab.faults import cut

HELP = "let no packet pass between a host and others, until 'heal'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One side, and the other."""
    add_lab_option(parser)
    parser.add_argument("host", metavar="HOST", help="one side")
    parser.add_argument("others", metavar="OTHER", nargs="*", help="the other side (all other hosts)")


def run(engine: Engine, options: argparse.Namespace) -> int:
    """Name each pair that is cut."""
    realm = the_lab(engine, options.lab)
    one = realm.host(options.host)
    others = [realm.host(name) for name in options.others] or list(realm.hosts.values())
    for other in others:
        if other.name != one.name:
            cut(one, other)
            print(f"{one.fqdn} and {other.fqdn} do not reach each other any more.")
    return 0
