"""``up``: bring a lab up."""

from __future__ import annotations

import argparse

from lab.commands.naming import DEFAULT_LAB
from lab.engine import Engine
from lab.product import install_product
from lab.realm import Realm
from lab.topology import load

HELP = "bring a lab up: hosts with a realm installed on them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which topology, from which image, how far."""
    parser.add_argument("-l", "--lab", metavar="NAME", default=DEFAULT_LAB, help="its name (%(default)s)")
    parser.add_argument("topology", nargs="?", default="single", help="a shipped one (%(default)s)")
    parser.add_argument("-f", "--lab-file", metavar="FILE", help="a topology of your own, in TOML")
    parser.add_argument("--image", default="", help="make every host from this image")
    parser.add_argument("--bare", action="store_true", help="boot the hosts, install nothing on them")
    parser.add_argument("--no-product", action="store_true", help="leave ipa-backup and ipa-restore out")


def run(engine: Engine, options: argparse.Namespace) -> int:
    """Leave the lab up; ``down`` ends it."""
    topology = load(options.lab_file or options.topology)
    realm = Realm.up(engine, topology, name=options.lab, installed=not options.bare, image=options.image, say=print)
    if not options.no_product:
        for host in realm.hosts.values():
            if host.member.is_master:
                install_product(host, say=print)
    for host in realm.hosts.values():
        print(f"{host.fqdn:<32} {host.address:<16} {host.member.role}")
    print(f"Lab '{realm.name}' is up after {realm.seconds:.1f} s: python -m lab shell --lab {realm.name}")
    return 0
