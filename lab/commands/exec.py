"""``exec``: run one command on a host."""

from __future__ import annotations

import argparse
import sys

from lab.commands.naming import add_lab_option, the_host, the_lab
from lab.engine import Engine

HELP = "run a command on a host, and end with its status"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The host, then the command with its own options."""
    add_lab_option(parser)
    parser.add_argument("-H", "--host", default="", help="the host (the first server)")
    parser.add_argument("-i", "--stdin", action="store_true", help="hand over the standard input")
    parser.add_argument("--timeout", type=float, default=1800, metavar="SECONDS", help="(%(default)s)")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command and its options")


def run(engine: Engine, options: argparse.Namespace) -> int:
    """Both outputs go where they belong."""
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        print("exec: which command?", file=sys.stderr)
        return 2
    host = the_host(the_lab(engine, options.lab), options.host)
    given = sys.stdin.buffer.read() if options.stdin else None
    result = host.run(command, check=False, input=given, timeout=options.timeout)
    sys.stdout.write(result.stdout)
    sys.stderr.write(result.stderr)
    return result.status
