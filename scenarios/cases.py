"""The documented cases as data: which scenario shows each, and which mutants of ``ipa-restore`` differ in it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from lab.host import Host
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


@dataclass(frozen=True)
class Case:
    """A documented case: the scenario that shows it, and the mutants that differ from the product in it.

    Where it takes long until something can be restored, `stages` are the scenario's two halves: what is done until
    then, and the rest, which gets what the first one returned; all mutants begin with one snapshot of what is between
    them.
    """

    row: str
    scenario: Callable[..., None]
    mutants: tuple[str, ...]
    arguments: Mapping[str, str] = field(default_factory=dict)
    stages: tuple[Callable[[Host], Any], Callable[[Host, Any], None]] | None = None

    @property
    def marks(self) -> list[pytest.Mark]:
        """The marks of its scenario."""
        return list(getattr(self.scenario, "pytestmark", []))

    def bound(self, request: pytest.FixtureRequest) -> Callable[[], None]:
        """Its scenario for another test: with the fixtures that it asks for, which are made now, as they are there."""
        wanted = inspect.signature(self.scenario).parameters
        others = {name: request.getfixturevalue(name) for name in wanted if name not in self.arguments}
        return partial(self.scenario, **self.arguments, **others)


_FULL = ("everything", "files", "data", "services")
_DATA = ("everything", "data", "services")

CASES = (
    Case("T1", test_full_restore.test_a_full_backup_brings_an_uninstalled_server_back, _FULL),
    Case(
        "T2",
        test_removed_users.test_files_belong_to_the_right_names_although_a_stranger_took_a_freed_number,
        (*_FULL, "accounts"),
    ),
    Case(
        "T3",
        test_selinux.test_booleans_and_labels_come_back_where_selinux_is_on,
        (*_FULL, "booleans"),
        stages=(test_selinux.lose, test_selinux.come_back),
    ),
    Case("T4", test_upgraded.test_a_heavily_upgraded_server_comes_back_with_its_second_instance, _FULL),
    Case("T5", test_data.test_a_user_added_after_a_data_backup_is_gone_after_its_restore, _DATA),
    Case("T6", test_data.test_data_goes_back_while_the_directory_server_runs, ("everything", "data")),
    Case(
        "T7",
        test_encrypted.test_an_encrypted_backup_restores_with_its_key_and_with_nothing_else,
        _FULL,
        arguments={"form": "home"},
    ),
    Case("T8", test_replicas.test_a_restored_server_gets_a_replica_and_a_client, _FULL),
    Case(
        "T9",
        test_reinstalled.test_a_full_backup_replaces_a_reinstalled_server,
        _FULL,
        stages=(test_reinstalled.become_another, test_reinstalled.come_back),
    ),
    Case("T10", test_data_loss.test_lost_data_comes_back_to_all_masters_of_a_line, _DATA),
    Case("T11", test_known_good_state.test_a_mass_deletion_is_undone_on_all_masters_for_good, _DATA),
    Case("T12", test_newer_agreement.test_a_replica_younger_than_the_backup_is_named_and_can_be_made_again, _DATA),
    Case(
        "T13",
        test_data_on_reinstalled.test_data_alone_brings_users_back_to_a_reinstalled_server,
        _DATA,
        stages=(test_data_on_reinstalled.become_another, test_data_on_reinstalled.come_back),
    ),
    Case("T14", test_hardware_failure.test_a_new_host_of_a_dead_ones_name_catches_up_from_its_peer, _FULL),
    Case("T16", test_failed_upgrade.test_a_failed_upgrade_is_undone_and_what_it_added_is_named, _FULL),
)
