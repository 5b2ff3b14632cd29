"""``build``: make the images."""

from __future__ import annotations

import argparse

from lab.engine import Engine
from lab.image import ensure_server_image

HELP = "make the server image, if what goes into it changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""
    del parser


def run(engine: Engine, options: argparse.Namespace) -> int:
    """Print the image's name last."""
    del options
    print(ensure_server_image(engine))
    return 0
