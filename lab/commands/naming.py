"""Words on the command line that name a lab, or a host in one, or a path on it."""

from __future__ import annotations

import argparse
from pathlib import PurePosixPath

from lab.engine import Engine
from lab.errors import NoSuchLab
from lab.host import Host
from lab.realm import Realm

DEFAULT_LAB = "lab"


def add_lab_option(parser: argparse.ArgumentParser) -> None:
    """Let the user choose the lab."""
    parser.add_argument("-l", "--lab", metavar="NAME", default="", help="the lab (the only one, unless several are up)")


def the_lab(engine: Engine, name: str) -> Realm:
    """Find the lab of that name, or the only one."""
    if name:
        return Realm.attach(engine, name)
    labelled = (container.labels for container in engine.containers())
    labs = sorted({engine.label_of(labels) for labels in labelled if engine.label_of(labels, "topology")})
    if not labs:
        raise NoSuchLab("No lab is up: 'python -m lab up' brings one up.")
    if len(labs) > 1:
        raise NoSuchLab(f"Several labs are up ({', '.join(labs)}): choose one with --lab.")
    return Realm.attach(engine, labs[0])


def the_host(realm: Realm, name: str) -> Host:
    """Find a host of the lab; the first server when no name is given."""
    return realm.host(name) if name else realm.master


def split_location(word: str) -> tuple[str, PurePosixPath] | None:
    """Take ``HOST:PATH`` apart; None for a path on this machine."""
    host, colon, path = word.partition(":")
    return (host, PurePosixPath(path)) if colon and path and "/" not in host else None
