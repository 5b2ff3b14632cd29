"""The command ``ipa-backup``."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ipabackup.archive.gpg import Keyring, check_encryption, keyring
from ipabackup.backup import BackupOptions, plan_backup
from ipabackup.cli.display import Display
from ipabackup.cli.options import Parser, add_shared, conclude, parsed, password, show_plan
from ipabackup.cli.paths import show_paths
from ipabackup.host.lock import exclusive
from ipabackup.inventory import resolve
from ipabackup.server import Machine, Server
from ipabackup.steps import run_plan

LOG_FILE = "/var/log/ipabackup.log"


def make_parser() -> Parser:
    """The command line of ``ipa-backup``."""
    parser = Parser(
        prog="ipa-backup",
        description="Back up this identity server: files, directory data, accounts. IPA is stopped only while its "
        "files and databases are copied, and runs again however the command ends.",
        epilog="Exit status: see docs/exit-codes.md. Backups are kept in /var/lib/ipa/backup.",
    )
    parser.add_argument("--data", action="store_true", help="only the directory's data; stops the directory alone")
    parser.add_argument("--online", action="store_true", help="with --data: stop nothing at all")
    parser.add_argument("--hot", action="store_true", help="a full backup that stops nothing")
    parser.add_argument("--logs", action="store_true", help="include log files")
    parser.add_argument(
        "--format",
        type=int,
        choices=(1, 2),
        default=2,
        help="1: a backup that FreeIPA's own ipa-restore reads; larger and slower (default: %(default)s)",
    )
    parser.add_argument(
        "--list-paths",
        action="store_true",
        help="print the files and folders that belong to this server, logs included, and back up nothing",
    )
    parser.add_argument("--skip-space-check", action="store_true", help="do not refuse when it seems not to fit")
    parser.add_argument(
        "--disable-role-check",
        action="store_true",
        help="do not refuse when other masters have more roles",
    )
    parser.add_argument("--gpg", action="store_true", help="encrypt the payload (default key: root's own)")
    parser.add_argument(
        "--gpg-keyring",
        metavar="NAME",
        help="encrypt for this key: a key or user id, a GnuPG home directory, or a prefix with .pub and .sec beside it",
    )
    add_shared(parser, LOG_FILE)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv` (default: the process's); returns the exit status."""
    arguments = parsed(make_parser(), argv)
    if arguments.list_paths:
        # Nothing happens, so there is nothing to log.
        arguments.dry_run = True
    return conclude(arguments, "ipa-backup", lambda display: _backup(arguments, display))


def _backup(arguments: Namespace, display: Display) -> int:
    given = password(arguments)
    machine = Machine.system()
    if arguments.list_paths:
        show_paths(resolve(machine.rules(), Server.discover(machine).names(), machine.probe, logs=True), arguments.json)
        return 0
    with exclusive("ipa-backup"), _key(arguments, machine) as ring:
        server = Server.discover(machine)
        for instance in server.instances:
            if given is not None and machine.services.is_active(instance.unit):
                machine.directory.check_password(instance.ldapi_uri, given)
        options = BackupOptions(
            data=arguments.data,
            online=arguments.online,
            hot=arguments.hot,
            logs=arguments.logs,
            keyring=ring,
            format=arguments.format,
            space_check=not arguments.skip_space_check,
            role_check=not arguments.disable_role_check,
        )
        plan = plan_backup(server, options, machine)
        if arguments.dry_run:
            show_plan(plan.plan, arguments.json)
            return 0
        run_plan(plan.plan, display.listeners())
    display.data("backup", path=plan.path)
    display.say(f"Backed up to {plan.path}")
    display.say("The ipa-backup command was successful")
    return 0


@contextmanager
def _key(arguments: Namespace, machine: Machine) -> Iterator[Keyring | None]:
    """The key to encrypt for, proven to work, or None; raises KeyProblem."""
    if not arguments.gpg and arguments.gpg_keyring is None:
        yield None
        return
    with keyring(arguments.gpg_keyring, machine.processes) as ring:
        yield check_encryption(ring, machine.processes)


if __name__ == "__main__":
    sys.exit(main())
