"""``prune``: remove all that the lab made."""

from __future__ import annotations

import argparse

from lab.engine import Engine, Removed

HELP = "remove all labs and all images that the lab made, and nothing else"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How much."""
    parser.add_argument("--keep-images", action="store_true", help="only the labs, not the images")
    parser.add_argument("--dead", action="store_true", help="only labs whose test run is gone")


def run(engine: Engine, options: argparse.Namespace) -> int:
    """Print a line for each thing that went."""
    if options.dead:
        removed: Removed = engine.remove_of_dead_owners()
    else:
        removed = engine.prune(images=not options.keep_images)
    for kind in ("containers", "networks", "images"):
        for name in getattr(removed, kind):
            print(f"removed {kind.removesuffix('s')} {name}")
    if not removed:
        print("There was nothing to remove.")
    return 0
