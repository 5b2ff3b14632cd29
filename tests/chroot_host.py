"""A host whose root folder is a folder of ours: backups with ordinary paths are restored there, without touching the
machine that the tests run on.  What runs on it is fake, its files are real.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import pickle
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest

from ipabackup.archive.gpg import Keyring
from ipabackup.errors import NotInstalled
from ipabackup.host.accounts import Group, User
from ipabackup.inventory import SHIPPED, load
from ipabackup.restore import RestoreOptions, plan_restore
from ipabackup.server import Places, Server
from ipabackup.steps import Event, run_plan
from ipabackup.store import open_backup
from tests.fakes.accounts import FakeAccounts
from tests.fakes.directory import FakeDirectory, FakeRunning
from tests.fakes.services import FakeServices
from tests.host_of_its_own import make_host

UNITS = (
    "krb5-kdc.service",
    "krb5-admin-server.service",
    "apache2.service",
    "named.service",
    "pki-tomcatd@pki-tomcat.service",
    "ipa-custodia.service",
    "ipa-otpd.socket",
    "sssd.service",
    "certmonger.service",
    "ipa.service",
)
RULES = load((SHIPPED,))
"""Read beforehand: inside another root there is no such file."""
_LATE = ("_strptime", "encodings.idna", "multiprocessing.util")
"""Modules that Python loads only when they are used: inside another root there are no such files."""

_LIMIT = 300.0
"""Seconds that restores in another root may take."""

# sched.h, mount.h
_NEW_MOUNTS, _BIND, _RECURSIVE, _PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000
_libc = ctypes.CDLL(None, use_errno=True)


def _enter(root: Path) -> None:
    """Make `root` the root of this process, with a /proc: links are restored through /proc/self/fd."""
    _check(_libc.unshare(_NEW_MOUNTS))
    _check(_libc.mount(b"none", b"/", None, _RECURSIVE | _PRIVATE, None))
    (root / "proc").mkdir(exist_ok=True)
    _check(_libc.mount(b"/proc", os.fsencode(root / "proc"), None, _BIND | _RECURSIVE, None))
    os.chroot(root)
    os.chdir("/")


def _check(status: int) -> None:
    if status != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _may_mount() -> bool:
    """Whether this process may have mounts of its own; tried in a child, which must not keep them here."""
    child = os.fork()
    if child == 0:
        os._exit(0 if _libc.unshare(_NEW_MOUNTS) == 0 else 1)
    return os.waitpid(child, 0)[1] == 0


needs_chroot = pytest.mark.skipif(
    os.geteuid() != 0 or not _may_mount(), reason="only root with mounts of its own can change its root folder"
)


def inside(root: Path, *restores: tuple[Path, RestoreOptions]) -> Restored:
    """Do the restores, one after another, in a process for which `root` is ``/``; returns what the last one left.

    A process that was begun anew, and not a fork of this one: the test runner has threads, and a fork of it would now
    and then wait for ever on a lock that one of them held.
    """
    argv = [sys.executable, "-c", "from tests.chroot_host import main; main()", str(root)]
    done = subprocess.run(argv, input=pickle.dumps(restores), capture_output=True, check=False, timeout=_LIMIT)
    if done.returncode != 0:
        raise AssertionError(f"inside {root}:\n{done.stderr.decode(errors='replace')}")
    result: Restored = pickle.loads(done.stdout)
    return result


@dataclass(frozen=True)
class Restored:
    """What a restore left: notes and warnings, entries by backend, units that are enabled, accounts, deeds."""

    notes: tuple[str, ...]
    entries: dict[str, list[str]]
    enabled: frozenset[str]
    users: dict[str, User]
    deeds: tuple[str, ...]


class _Running(FakeRunning):
    """As the real one, it does not count tombstones."""

    def count_entries(self, uri: str, suffix: str, created_before: datetime | None = None) -> int:
        held = self._directory.entries.values()
        return sum(
            dn.lower().endswith(suffix) and not dn.lower().startswith("nsuniqueid=") for dns in held for dn in dns
        )


def bare_root(root: Path) -> Path:
    """The root of a host without IPA, whose directory account has other numbers than in any backup."""
    for folder in ("etc", "var/lib", "tmp", "run/lock", "backup"):
        (root / folder).mkdir(parents=True)
    (root / "root").mkdir(mode=0o700)
    accounts = "root:x:0:0::/root:/bin/sh\ndirsrv:x:4321:4321::/:/bin/false\n"
    (root / "etc/passwd").write_text(accounts)
    (root / "etc/group").write_text("root:x:0:\ndirsrv:x:4321:\n")
    return root


def _restore_at(backup: Path, options: RestoreOptions) -> Restored:
    """Restore `backup`; to be called inside the root that it shall be restored in."""
    directory = FakeDirectory({}, version="none that any backup was made with")
    services = FakeServices(set(UNITS), ipa_running=False, configured=False)
    services.ipa_units = set(UNITS) - {"ipa.service"}
    users = (User("root", 0, 0, "root", "/root", "/bin/sh"), User("dirsrv", 4321, 4321, "dirsrv", "/", "/bin/false"))
    accounts = FakeAccounts(users, (Group("root", 0), Group("dirsrv", 4321)))
    machine = replace(
        make_host(Path(tempfile.mkdtemp(), "another")).machine,
        services=services,
        accounts=accounts,
        tools=directory,
        directory=_Running(directory),
        rules=lambda: RULES,
        places=Places(),
    )
    try:
        server: Server | None = Server.discover(machine)
    except NotInstalled:
        server = None
    opened = open_backup(backup, Keyring(), machine.processes, RULES)
    plan = plan_restore(opened, server, options, machine)
    events: list[Event] = []
    run_plan(plan.plan, [events.append], {})
    return Restored(
        tuple(event.message for event in events if event.kind in ("note", "warning")),
        directory.entries,
        frozenset(services.enabled),
        accounts.users,
        tuple(services.deeds),
    )


def main() -> None:
    """What the process inside does: restores from standard input, the last result to standard output."""
    restores = pickle.load(sys.stdin.buffer)
    for module in _LATE:
        importlib.import_module(module)
    _enter(Path(sys.argv[1]))
    results = [_restore_at(backup, options) for backup, options in restores]
    sys.stdout.buffer.write(pickle.dumps(results[-1]))
