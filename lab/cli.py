"""``python -m lab``: identity servers in containers, for scenarios and for trying things out.

  python -m lab up                a server of the realm EXAMPLE.TEST, with ipa-backup and ipa-restore on it
  python -m lab shell             a shell on it
  python -m lab exec ipactl status
  python -m lab down

A lab is a realm on a network of its own; any number of them can be up side by side.  All that they consist
of is labelled, and 'prune' removes what is labelled and nothing else.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from types import ModuleType

from lab.commands import boot, build, cp, down, exec, heal, kill, logs, ls, partition, pause, prune, shell, slow, up
from lab.engine import connect
from lab.errors import LabError
from lab.termination import unwind_when_terminated

VERBS: dict[str, ModuleType] = {
    "build": build,
    "up": up,
    "ls": ls,
    "exec": exec,
    "shell": shell,
    "logs": logs,
    "cp": cp,
    "partition": partition,
    "slow": slow,
    "pause": pause,
    "heal": heal,
    "kill": kill,
    "boot": boot,
    "down": down,
    "prune": prune,
}


def parser() -> argparse.ArgumentParser:
    """Make the parser of the whole command."""
    whole = argparse.ArgumentParser(
        prog="python -m lab", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, module in VERBS.items():
        verb = verbs.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(verb)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status (2: usage; others: see :mod:`lab.errors`)."""
    options = parser().parse_args(arguments)
    unwind_when_terminated()
    try:
        return int(VERBS[options.verb].run(connect(), options))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("lab: interrupted; what was half up is removed.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 141
