"""The command ``ipa-restore``."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from ipabackup.archive.gpg import Keyring, keyring
from ipabackup.cli import realm
from ipabackup.cli.display import Display
from ipabackup.cli.options import Parser, add_shared, conclude, parsed, password, seconds, show_plan
from ipabackup.cli.outlet import put
from ipabackup.errors import Declined, NotInstalled, UsageError
from ipabackup.host.lock import exclusive
from ipabackup.realm.check import PATIENCE
from ipabackup.restore import RestoreOptions, RestorePlan, plan_restore
from ipabackup.restore.refill import plan_refill
from ipabackup.server import BACKUP_DIR, Machine, Server
from ipabackup.steps import run_plan
from ipabackup.store import extract_backup, open_backup

LOG_FILE = "/var/log/iparestore.log"


def make_parser() -> Parser:
    """The command line of ``ipa-restore``."""
    parser = Parser(
        prog="ipa-restore",
        description="Bring an identity server back from a backup. The backup is checked as a whole before anything is "
        "stopped.",
        epilog="Exit status: see docs/exit-codes.md.",
    )
    parser.add_argument(
        "backup", metavar="BACKUP", nargs="?", help=f"a backup's folder, or its name below {BACKUP_DIR}"
    )
    parser.add_argument(
        "--extract",
        nargs="?",
        type=Path,
        const=Path(),
        metavar="DIR",
        help="unpack the backup, LDIF files included, into the new folder DIR (default: the backup's "
        "name, here) and restore nothing",
    )
    parser.add_argument("--data", action="store_true", help="restore only the directory's data of a full backup")
    parser.add_argument("--online", action="store_true", help="restore data while the directory server runs")
    parser.add_argument("--instance", metavar="NAME", help="restore only this directory instance (default: all)")
    parser.add_argument("--backend", metavar="NAME", help="restore only this backend (default: all)")
    parser.add_argument(
        "--replication",
        choices=("authoritative", "catch-up"),
        default="authoritative",
        help="authoritative: the backup is right, other masters have to be re-initialised from this one; catch-up: "
        "this host died, and the other masters bring it what it missed (default: %(default)s)",
    )
    parser.add_argument(
        "--reinitialize-peers",
        action="store_true",
        help="afterwards send the restored data to all other masters (needs -p, --password-file or a Kerberos ticket); "
        "without BACKUP: send them what this master has, and restore nothing",
    )
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="HOST",
        help="with --reinitialize-peers and without BACKUP: only this master; may be given several times",
    )
    parser.add_argument(
        "--skip-peer-check",
        action="store_true",
        help="catch up without asking the other masters whether they still have what this one missed",
    )
    parser.add_argument(
        "--check-realm",
        action="store_true",
        help="restore nothing: ask all masters of the realm, and say whether they agree and replicate with each other "
        "(needs -p, --password-file or a Kerberos ticket)",
    )
    parser.add_argument(
        "--wait",
        type=seconds,
        default=PATIENCE,
        metavar="SECONDS",
        help="how long masters that are merely behind have to catch up; 0 looks once (default: %(default)g)",
    )
    parser.add_argument("--no-logs", action="store_true", help="do not restore log files")
    parser.add_argument("-U", "--unattended", action="store_true", help="never ask")
    parser.add_argument(
        "--gpg-keyring",
        metavar="NAME",
        help="where the secret key is: a key or user id, a GnuPG home directory, or a prefix with .pub and .sec files",
    )
    add_shared(parser, LOG_FILE)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv` (default: the process's); returns the exit status."""
    parser = make_parser()
    arguments = parsed(parser, argv)
    if arguments.check_realm:
        if arguments.backup is not None or arguments.extract is not None:
            parser.error("--check-realm takes no BACKUP")
        return conclude(arguments, "ipa-restore", lambda display: realm.check(arguments, display))
    if arguments.backup is None and arguments.extract not in (None, Path()):
        # 'ipa-restore --extract BACKUP': the word after the option was meant as the backup.
        arguments.backup, arguments.extract = str(arguments.extract), Path()
    if arguments.backup is None and arguments.reinitialize_peers:
        about_backup = (arguments.extract is not None, arguments.data, arguments.online, arguments.instance)
        if any((*about_backup, arguments.backend, arguments.replication != "authoritative")):
            parser.error("without BACKUP --reinitialize-peers goes with no option that is about one")
        return conclude(arguments, "ipa-restore", lambda display: _refill(arguments, display))
    if arguments.backup is None:
        parser.error("the following arguments are required: BACKUP")
    if arguments.peer:
        parser.error("--peer is for --reinitialize-peers without BACKUP")
    return conclude(arguments, "ipa-restore", lambda display: _restore(arguments, display))


def _restore(arguments: Namespace, display: Display) -> int:
    given = password(arguments)
    path = find_backup(arguments.backup)
    machine = Machine.system()
    with keyring(arguments.gpg_keyring, machine.processes) as ring:
        if arguments.extract is not None:
            return _extract(arguments, path, ring, machine, display)
        with exclusive("ipa-restore"):
            display.say(f"Checking {path}")
            opened = open_backup(path, ring, machine.processes)
            options = RestoreOptions(
                authoritative=arguments.replication == "authoritative",
                reinitialize=arguments.reinitialize_peers,
                data=arguments.data,
                online=arguments.online,
                instance=arguments.instance,
                backend=arguments.backend,
                logs=not arguments.no_logs,
                password=given,
                peer_check=not arguments.skip_peer_check,
            )
            plan = plan_restore(opened, _present_server(machine), options, machine)
            if arguments.dry_run:
                show_plan(plan.plan, arguments.json)
                return 0
            _confirm(plan, arguments, display)
            run_plan(plan.plan, display.listeners())
    display.say("The ipa-restore command was successful")
    return 0


def _refill(arguments: Namespace, display: Display) -> int:
    given = password(arguments)
    machine = Machine.system()
    with exclusive("ipa-restore"):
        plan = plan_refill(Server.discover(machine), arguments.peer, given, machine)
        if arguments.dry_run:
            show_plan(plan.plan, arguments.json)
            return 0
        _confirm(plan, arguments, display, "Re-initialise them")
        run_plan(plan.plan, display.listeners())
    display.say("The ipa-restore command was successful")
    return 0


def _extract(arguments: Namespace, path: Path, ring: Keyring, machine: Machine, display: Display) -> int:
    if arguments.dry_run:
        raise UsageError("--extract and --dry-run exclude each other.")
    # '--extract' without a folder is Path(), which is this very folder: the backup's name goes below it.
    target = arguments.extract if arguments.extract != Path() else Path.cwd() / path.name
    count = extract_backup(path, target, ring, machine.processes)
    display.data("extracted", path=str(target), members=count)
    display.say(f"Extracted {count} members to {target}")
    return 0


def _present_server(machine: Machine) -> Server | None:
    try:
        return Server.discover(machine)
    except NotInstalled:
        return None


def find_backup(name: str) -> Path:
    """The backup's folder: `name` itself, or, when it has no ``/``, the one of that name where backups are kept."""
    path = Path(name)
    if "/" not in name and not path.exists():
        return BACKUP_DIR / name
    return path


def _confirm(plan: RestorePlan, arguments: Namespace, display: Display, question: str = "Restore") -> None:
    if plan.version_differs:
        display.say(f"warning: {plan.version_differs}")
    if arguments.unattended:
        return
    put("This will be overwritten:", sys.stderr)
    for thing in plan.overwrites:
        put(f"  - {thing}", sys.stderr)
    if plan.masters and arguments.replication == "authoritative":
        others = ", ".join(plan.masters)
        put(f"These masters stop replicating and have to be re-initialised from this one: {others}", sys.stderr)
    if not sys.stdin.isatty():
        raise Declined("There is no terminal to confirm on.", remedy="Give -U to go on without being asked.")
    put(f"{question}? [no]: ", sys.stderr, end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Declined("Nothing was changed: not confirmed.")


if __name__ == "__main__":
    sys.exit(main())
