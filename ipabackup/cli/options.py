"""What both commands share on the command line, and how they end."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, NoReturn

import ipabackup
from ipabackup.cli.display import Display
from ipabackup.cli.outlet import put
from ipabackup.errors import IpaBackupError, UsageError
from ipabackup.server import require_root
from ipabackup.steps import Plan, interruptible


class Parser(argparse.ArgumentParser):
    """An argument parser that says where help is to be found when words do not fit."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and `message`; exit status 2."""
        self.print_usage(sys.stderr)
        self.exit(UsageError.exit_status, f"{self.prog}: {message}\nSee '{self.prog} --help'.\n")


def add_shared(parser: argparse.ArgumentParser, log_file: str) -> None:
    """Add the options that both commands have."""
    parser.add_argument("--version", action="version", version=f"%(prog)s {ipabackup.__version__}")
    parser.add_argument(
        "-p",
        "--password",
        metavar="PASSWORD",
        help="Directory Manager password (as root none is "
        "needed, and on the command line every user of the host can read it: prefer --password-file)",
    )
    parser.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="read the Directory Manager password from the first line of FILE; '-' asks for it",
    )
    parser.add_argument("-v", "--verbose", "-d", "--debug", action="store_true", help="say more while working")
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    parser.add_argument("--json", action="store_true", help="print events as JSON, one a line")
    parser.add_argument(
        "--log-file", type=Path, default=Path(log_file), metavar="FILE", help="log to FILE (default: %(default)s)"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and change nothing")


def seconds(text: str) -> float:
    """A duration of 0 s or more; raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"not a number of seconds: {text}")
    return value


def password(arguments: argparse.Namespace) -> str | None:
    """The Directory Manager password that was given, or None; raises UsageError."""
    if arguments.password is not None and arguments.password_file is not None:
        raise UsageError("-p and --password-file exclude each other.")
    if arguments.password_file is None:
        given = arguments.password
        hide_argument(given)
        return None if given is None else str(given)
    if str(arguments.password_file) == "-":
        try:
            return getpass.getpass("Directory Manager password: ")
        except EOFError:
            raise UsageError("Nobody answers, so there is no Directory Manager password.") from None
    try:
        lines = arguments.password_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The password file cannot be read: {error}.") from error
    if not lines or not lines[0]:
        raise UsageError(f"The first line of {arguments.password_file} is empty.")
    return str(lines[0])


def hide_argument(secret: str | None) -> None:
    """Overwrite `secret` in this process's argv, as other users see it in /proc, as far as the kernel allows."""
    if not secret:
        return
    _overwrite_argv(secret.encode())


def _overwrite_argv(secret: bytes) -> None:
    # The kernel shows the memory between arg_start and arg_end (proc(5)), and the process may write there.
    try:
        stat = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        start, end = int(stat[45]), int(stat[46])
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            memory.seek(start)
            shown = memory.read(end - start)
            at = shown.find(secret)
            while at >= 0:
                memory.seek(start + at)
                memory.write(b"*" * len(secret))
                at = shown.find(secret, at + len(secret))
    except (OSError, ValueError, IndexError):
        put("warning: the password stays visible on the command line", sys.stderr)


def conclude(arguments: argparse.Namespace, prog: str, deed: Callable[[Display], int]) -> int:
    """Run `deed` as root with a display made from `arguments`; print its failure, if any, for people and for the log.

    Returns the exit status.
    """
    display = None
    try:
        with interruptible():
            require_root()
            display = Display(
                None if arguments.dry_run else arguments.log_file,
                quiet=arguments.quiet,
                verbose=arguments.verbose,
                as_json=arguments.json,
            )
            return deed(display)
    except IpaBackupError as error:
        if display is not None:
            display.failure(error)
        put(f"{prog}: {error.message}", sys.stderr)
        for line in (error.state, error.remedy):
            if line:
                put(f"  {line}", sys.stderr)
        return error.exit_status
    finally:
        if display is not None:
            display.close()


def show_plan(plan: Plan, as_json: bool) -> None:
    """Print `plan` for ``--dry-run``."""
    if as_json:
        put(json.dumps(plan.describe(), default=str), sys.stdout)
        return
    put(plan.summary, sys.stdout)
    for number, step in enumerate(plan.steps, start=1):
        put(f"  {number}. {step.name}: {step.title}", sys.stdout)
    for name, value in plan.facts.items():
        shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        put(f"{name.replace('_', ' ')}: {shown}", sys.stdout)


def parsed(parser: Parser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments, checked for what both commands forbid."""
    arguments = parser.parse_args(argv)
    if arguments.quiet and arguments.verbose:
        parser.error("-q and -v exclude each other")
    return arguments
