"""``down``: take a lab down."""

from __future__ import annotations

import argparse

from lab.commands.naming import the_lab
from lab.engine import Engine

HELP = "take a lab down: its hosts, their data and its network are removed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which lab."""
    parser.add_argument("lab", nargs="?", default="", help="the lab (the only one, unless several are up)")


def run(engine: Engine, options: argparse.Namespace) -> int:
    """Images stay, so that the next one comes up quickly."""
    realm = the_lab(engine, options.lab)
    realm.down()
    print(f"Lab '{realm.name}' is down.")
    return 0
