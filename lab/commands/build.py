"""``build``: make the images."""

from __future__ import annotations

import argparse

from lab.engine import Engine
from lab.golden import ensure_golden
from lab.image import ensure_server_image
from lab.realm import install_realm, member_images
from lab.topology import load

HELP = "make the server image, and golden images, if what goes into them changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Golden images too, if topologies are named."""
    parser.add_argument("topologies", nargs="*", metavar="TOPOLOGY", help="also install these, to be cloned")


def run(engine: Engine, options: argparse.Namespace) -> int:
    """Print the images' names, the server image's last."""
    for name in options.topologies:
        topology = load(name)
        images = member_images(engine, topology, "", print)
        for tag in ensure_golden(engine, topology, images, install_realm, print).images.values():
            print(tag)
    print(ensure_server_image(engine))
    return 0
