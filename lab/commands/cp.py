"""``cp``: copy files to or from a host."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lab.commands.naming import add_lab_option, split_location, the_lab
from lab.engine import Engine

HELP = "copy a file or a tree: cp FILE HOST:FOLDER, or cp HOST:FILE FOLDER"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """From where to where."""
    add_lab_option(parser)
    parser.add_argument("source", help="a path, or HOST:PATH")
    parser.add_argument("target", help="a folder, or HOST:FOLDER")


def run(engine: Engine, options: argparse.Namespace) -> int:
    """One of the two is on a host."""
    source, target = split_location(options.source), split_location(options.target)
    if (source is None) == (target is None):
        print("cp: one of the two is HOST:PATH, the other a path on this machine", file=sys.stderr)
        return 2
    realm = the_lab(engine, options.lab)
    if target is not None:
        realm.host(target[0]).put(Path(options.source), str(target[1]))
    elif source is not None:
        realm.host(source[0]).get(str(source[1]), Path(options.target))
    return 0
