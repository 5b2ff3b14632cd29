"""``kill``: switch a host off like a power cut does, or end one of its services."""

from __future__ import annotations

import argparse

from lab.commands.naming import add_lab_option, the_lab
from lab.engine import Engine
from lab.faults import kill, kill_service

HELP = "switch a host off like a power cut does ('boot' brings it back), or end one of its services"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which host, and whether only a service."""
    add_lab_option(parser)
    parser.add_argument("host", metavar="HOST")
    parser.add_argument("-u", "--unit", default="", help="only the processes of this service")


def run(engine: Engine, options: argparse.Namespace) -> int:
    """Nothing is told beforehand, neither to the host nor to the service."""
    host = the_lab(engine, options.lab).host(options.host)
    if options.unit:
        kill_service(host, options.unit)
        print(f"{options.unit} on {host.fqdn} is dead.")
    else:
        kill(host)
        print(f"{host.fqdn} is off.")
    return 0
