"""``heal``: undo cuts, slow lines and pauses."""

from __future__ import annotations

import argparse

from lab.commands.naming import add_lab_option, the_lab
from lab.engine import Engine
from lab.faults import heal

HELP = "undo 'partition', 'slow' and 'pause'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Some hosts, or all."""
    add_lab_option(parser)
    parser.add_argument("hosts", metavar="HOST", nargs="*", help="(all hosts of the lab)")


def run(engine: Engine, options: argparse.Namespace) -> int:
    """A cut ends when both of its sides are healed."""
    realm = the_lab(engine, options.lab)
    hosts = [realm.host(name) for name in options.hosts] or list(realm.hosts.values())
    heal(hosts)
    print(f"Healed: {', '.join(host.fqdn for host in hosts)}")
    return 0
