"""``pause``: have a host stand still, until ``heal``."""

from __future__ import annotations

import argparse

from lab.commands.naming import add_lab_option, the_lab
from lab.engine import Engine
from lab.faults import pause

HELP = "let all processes of a host stand still, until 'heal'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which host."""
    add_lab_option(parser)
    parser.add_argument("host", metavar="HOST")


def run(engine: Engine, options: argparse.Namespace) -> int:
    """It accepts connections and never answers."""
    host = the_lab(engine, options.lab).host(options.host)
    pause(host)
    print(f"{host.fqdn} stands still.")
    return 0
