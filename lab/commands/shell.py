"""``shell``: a terminal on a host."""

from __future__ import annotations

import argparse
import os
import shutil

from lab.commands.naming import add_lab_option, the_host, the_lab
from lab.engine import Engine
from lab.errors import LabError

HELP = "open a shell on a host"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The host."""
    add_lab_option(parser)
    parser.add_argument("host", nargs="?", default="", help="the host (the first server)")


def run(engine: Engine, options: argparse.Namespace) -> int:
    """Become the engine's own client, which knows about terminals."""
    client = shutil.which("docker") or shutil.which("podman")
    if client is None:
        raise LabError("A shell needs the docker or the podman command; 'exec' does without.")
    host = the_host(the_lab(engine, options.lab), options.host)
    if host.is_guest:
        raise LabError(
            f"{host.fqdn} is a guest with a kernel of its own and has no terminal here; 'exec' runs commands on it."
        )
    os.execv(client, [client, "exec", "-it", str(host.container.name), "/bin/bash", "-l"])  # noqa: S606
