"""Mutants of ``ipa-restore``: each restores everything but one thing, and every case has to notice its absence.

``python -m scenarios.mutants`` prints ``docs/mutants.md``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import docker.errors

from lab.execute import CommandResult
from lab.host import Host
from lab.product import LAUNCHERS, TARGET, install_product
from scenarios import (
    test_data,
    test_data_loss,
    test_data_on_reinstalled,
    test_encrypted,
    test_failed_upgrade,
    test_full_restore,
    test_hardware_failure,
    test_known_good_state,
    test_newer_agreement,
    test_reinstalled,
    test_removed_users,
    test_replicas,
    test_selinux,
    test_upgraded,
)

PROGRAM = Path(__file__).parent / "inside" / "mutant.py"
LOG = "/var/log/ipa-restore-mutant.log"
_FOLDER = "/opt/ipabackup-mutant"

_LAUNCHER = """#!/usr/bin/python3 -I
import sys

sys.path[:0] = ["/{target}", "{folder}"]
from mutant import main

sys.exit(main("{left_out}"))
"""

#: What a mutant leaves out, and what that means.
MUTANTS = {
    "everything": "does nothing, and says that all went well",
    "files": "puts back no file of the server; its databases are unpacked and restored",
    "accounts": "creates no missing account",
    "data": "leaves the databases as they are",
    "booleans": "sets no SELinux boolean",
    "services": "starts and enables nothing",
}


@dataclass(frozen=True)
class Case:
    """A documented case: the scenario that shows it, and the mutants that differ from the product in it.

    `mutants` run whenever scenarios do, those in `long` only where they are asked for.
    """

    row: str
    scenario: Callable[..., None]
    mutants: tuple[str, ...]
    arguments: Mapping[str, str] = field(default_factory=dict)
    long: tuple[str, ...] = ()


_FULL = ("everything", "files", "data", "services")
_DATA = ("everything", "data", "services")


def _case(
    row: str, scenario: Callable[..., None], differing: tuple[str, ...], always: tuple[str, ...], **arguments: str
) -> Case:
    """A case with its `differing` mutants, of which those in `always` run whenever scenarios do."""
    return Case(row, scenario, always, arguments, tuple(name for name in differing if name not in always))


CASES = (
    _case("T1", test_full_restore.test_a_full_backup_brings_an_uninstalled_server_back, _FULL, always=_FULL),
    _case(
        "T2",
        test_removed_users.test_files_belong_to_the_right_names_although_a_stranger_took_a_freed_number,
        (*_FULL, "accounts"),
        always=("accounts",),
    ),
    _case(
        "T3",
        test_selinux.test_booleans_and_labels_come_back_where_selinux_is_on,
        (*_FULL, "booleans"),
        always=("booleans",),
    ),
    _case(
        "T4",
        test_upgraded.test_a_heavily_upgraded_server_comes_back_with_its_second_instance,
        _FULL,
        always=("everything", "data"),
    ),
    _case("T5", test_data.test_a_user_added_after_a_data_backup_is_gone_after_its_restore, _DATA, always=_DATA),
    _case(
        "T6",
        test_data.test_data_goes_back_while_the_directory_server_runs,
        ("everything", "data"),
        always=("everything", "data"),
    ),
    _case(
        "T7",
        test_encrypted.test_an_encrypted_backup_restores_with_its_key_and_with_nothing_else,
        _FULL,
        always=("everything",),
        form="home",
    ),
    _case("T8", test_replicas.test_a_restored_server_gets_a_replica_and_a_client, _FULL, always=("everything",)),
    _case("T9", test_reinstalled.test_a_full_backup_replaces_a_reinstalled_server, _FULL, always=("files",)),
    _case("T10", test_data_loss.test_lost_data_comes_back_to_all_masters_of_a_line, _DATA, always=("everything",)),
    _case(
        "T11",
        test_known_good_state.test_a_mass_deletion_is_undone_on_all_masters_for_good,
        _DATA,
        always=("everything",),
    ),
    _case(
        "T12",
        test_newer_agreement.test_a_replica_younger_than_the_backup_is_named_and_can_be_made_again,
        _DATA,
        always=("everything",),
    ),
    _case(
        "T13",
        test_data_on_reinstalled.test_data_alone_brings_users_back_to_a_reinstalled_server,
        _DATA,
        always=("everything",),
    ),
    _case(
        "T14",
        test_hardware_failure.test_a_new_host_of_a_dead_ones_name_catches_up_from_its_peer,
        _FULL,
        always=("everything",),
    ),
    _case(
        "T16", test_failed_upgrade.test_a_failed_upgrade_is_undone_and_what_it_added_is_named, _FULL, always=("files",)
    ),
)


@dataclass
class MutantProduct:
    """The product with a mutant in the place of ``ipa-restore``, and the hosts that it was put into."""

    left_out: str
    hosts: list[Host] = field(default_factory=list)

    def __call__(self, host: Host) -> None:
        """Put it into a host."""
        install_product(host)
        host.run(["mkdir", "-p", _FOLDER])
        host.write_file(f"{_FOLDER}/mutant.py", PROGRAM.read_text(encoding="utf-8"))
        launcher = _LAUNCHER.format(target=TARGET, folder=_FOLDER, left_out=self.left_out)
        host.write_file(f"/{LAUNCHERS}/ipa-restore", launcher, mode=0o755)
        self.hosts.append(host)

    def runs(self) -> list[str]:
        """What the mutant was asked to do, on all hosts that are still there."""
        return [line for host in self.hosts if _is_there(host) for line in _log_of(host).lines]


def _is_there(host: Host) -> bool:
    try:
        host.container.reload()
    except docker.errors.NotFound:
        return False
    return True


def _log_of(host: Host) -> CommandResult:
    return host.run(["sh", "-c", f"cat {LOG} 2>&-"], check=False)


def page() -> str:
    """``docs/mutants.md``."""
    return "\n".join(_page())


_INTRODUCTION = """\
# Mutants

Written by `python -m scenarios.mutants`; do not edit.

A test that cannot fail proves nothing. So each documented case is also run with a *mutant* of `ipa-restore` in its
place: one that leaves one thing out, goes on whatever fails, and ends with status 0. `scenarios/test_mutants.py` sees
that a check of the case itself notices. *Always*: in each run of all scenarios; *on request*: with `--all-mutants`,
which takes an hour (without files, data or services each check waits for a minute).
"""

_CLOSING = """
An empty field: in this case the mutant does what the product does (accounts are missing in T2 only, booleans are off in
T3 only, a restore of data touches no files, and an online one no services). T15 restores nothing.
"""


def _page() -> Iterator[str]:
    yield _INTRODUCTION
    yield "| mutant | what it does |\n|---|---|"
    yield from (f"| {name} | {meaning} |" for name, meaning in MUTANTS.items())
    yield f"\n| case | scenario | {' | '.join(MUTANTS)} |\n|---|---|{'---|' * len(MUTANTS)}"
    for case in CASES:
        module = inspect.getmodule(case.scenario)
        assert module is not None
        name = module.__name__.rpartition(".")[2]
        yield f"| {case.row} | `{name}.py` | {' | '.join(_fate(case, mutant) for mutant in MUTANTS)} |"
    yield _CLOSING


def _fate(case: Case, mutant: str) -> str:
    if mutant in case.mutants:
        return "always"
    return "on request" if mutant in case.long else ""


if __name__ == "__main__":
    print(page(), end="")
