"""``slow``: limit what a host sends, until ``heal``."""

from __future__ import annotations

import argparse

from lab.commands.naming import add_lab_option, the_lab
from lab.engine import Engine
from lab.faults import slow_down

HELP = "limit what a host sends, until 'heal'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which host, and how slow."""
    add_lab_option(parser)
    parser.add_argument("host", metavar="HOST")
    parser.add_argument("--kbit", type=int, default=256, help="kilobits a second (%(default)s)")
    parser.add_argument("--delay", type=int, default=0, metavar="MS", help="for each packet; needs a kernel with netem")


def run(engine: Engine, options: argparse.Namespace) -> int:
    """What it receives is as fast as before."""
    host = the_lab(engine, options.lab).host(options.host)
    slow_down(host, kbit=options.kbit, delay=options.delay)
    print(f"{host.fqdn} sends {options.kbit} kbit/s at most.")
    return 0
