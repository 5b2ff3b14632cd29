"""``logs``: a host's journal."""

from __future__ import annotations

import argparse

from lab.commands.naming import add_lab_option, the_host, the_lab
from lab.engine import Engine

HELP = "show a host's journal"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The host, and how much."""
    add_lab_option(parser)
    parser.add_argument("host", nargs="?", default="", help="the host (the first server)")
    parser.add_argument("-n", "--lines", default="200", help="that many lines from its end (%(default)s)")
    parser.add_argument("-u", "--unit", help="of one unit alone")


def run(engine: Engine, options: argparse.Namespace) -> int:
    """Print it."""
    host = the_host(the_lab(engine, options.lab), options.host)
    unit = ["-u", options.unit] if options.unit else []
    print(host.run(["journalctl", "--no-pager", "-n", options.lines, *unit]).stdout, end="")
    return 0
