"""``boot``: switch a host on again."""

from __future__ import annotations

import argparse

from lab.commands.naming import add_lab_option, the_lab
from lab.engine import Engine

HELP = "switch a host on that 'kill' switched off"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which host."""
    add_lab_option(parser)
    parser.add_argument("host", metavar="HOST")


def run(engine: Engine, options: argparse.Namespace) -> int:
    """Wait until it has booted."""
    host = the_lab(engine, options.lab).host(options.host)
    host.boot()
    print(f"{host.fqdn} has booted.")
    return 0
