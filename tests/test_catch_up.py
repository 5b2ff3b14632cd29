"""A server catches up only with masters that still have what it missed, and that is found before anything stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ipabackup.archive.gpg import Keyring
from ipabackup.backup import BackupOptions, plan_backup
from ipabackup.directory.agreements import Agreement, Replica, Retention
from ipabackup.directory.vectors import Vector
from ipabackup.errors import CannotCatchUp, IpaBackupError
from ipabackup.restore import RestoreOptions, RestorePlan, plan_restore
from ipabackup.restore.catch_up import Supplier, backup_vectors, copied_live, obstacles
from ipabackup.store import open_backup
from tests.fakes.directory import FakeDirectory, FakeRunning
from tests.host_of_its_own import HOST, OwnHost, make_host
from tests.realm.realms import DOMAIN, change

SECOND = "ipa2.example.test"
UNIT = "dirsrv@EXAMPLE-TEST.service"
DAY = 86400
NOW = 0x6B000000
#: What the backup has: changes of the replicas 4 and 5, the newest 10 days old.
BACKED_UP = Vector("6b02", {4: change(-10 * DAY, 4), 5: change(-10 * DAY, 5)})
MADE = datetime.fromtimestamp(NOW - 10 * DAY + 60, timezone.utc)


def supplier(
    host: str = SECOND,
    newest: Mapping[int, str] | None = None,
    *,
    generation: str = "6b02",
    agreements: Sequence[Agreement] = (Agreement("cn=1", DOMAIN, HOST, True),),
    kept: Retention | None = None,
) -> Supplier:
    """A master that has a newer change of its own (5), and sends to this host."""
    known = newest or {4: change(-10 * DAY, 4), 5: change(-60, 5)}
    vector = Vector(generation, known, {number: change(-30 * DAY, number) for number in known})
    return Supplier(host, (Replica(DOMAIN, 5, vector, tuple(agreements)),), {DOMAIN: kept or Retention()})


def reasons(*suppliers: Supplier, vector: Vector | None = BACKED_UP) -> str:
    return "; ".join(obstacles(DOMAIN, vector, HOST, suppliers, MADE, NOW))


@pytest.mark.row("R9")
def test_a_master_that_keeps_all_changes_can_supply() -> None:
    assert reasons(supplier()) == ""
    assert reasons(supplier(kept=Retention(seconds=11 * DAY))) == ""


@pytest.mark.row("R9")
def test_another_generation_of_any_master_is_an_obstacle() -> None:
    told = reasons(supplier(), supplier("ipa3.example.test", generation="6b99"))
    assert "ipa3.example.test has the generation 6b99" in told
    assert "the backup 6b02" in told


@pytest.mark.row("R9")
def test_a_changelog_that_was_trimmed_past_the_backup_is_an_obstacle_but_only_where_it_is_needed() -> None:
    short = Retention(seconds=7 * DAY)
    told = reasons(supplier(kept=short))
    assert f"keeps changes of {DOMAIN} for 7 days" in told
    assert "(replica 5)" in told
    nothing_new = {4: change(-10 * DAY, 4), 5: change(-10 * DAY, 5)}
    assert reasons(supplier(newest=nothing_new, kept=short)) == ""
    assert reasons(supplier(kept=short), supplier("ipa3.example.test")) == "", "another one can"


@pytest.mark.row("R9")
def test_a_master_that_does_not_tell_how_long_it_keeps_changes_is_taken_to_do_so_for_a_week() -> None:
    silent = replace(supplier(), retention={})
    assert "for 7 days (assumed" in reasons(silent)
    recent = replace(BACKED_UP, newest={4: change(-10 * DAY, 4), 5: change(-6 * DAY, 5)})
    assert reasons(silent, vector=recent) == ""


@pytest.mark.row("R9")
def test_a_replica_younger_than_the_backup_has_to_be_supplied_from_its_first_change() -> None:
    known = {4: change(-10 * DAY, 4), 5: change(-10 * DAY, 5), 6: change(-60, 6)}
    assert reasons(supplier(newest=known, kept=Retention(seconds=31 * DAY))) == ""
    assert "(replica 6)" in reasons(supplier(newest=known, kept=Retention(seconds=29 * DAY)))


@pytest.mark.row("R9")
def test_a_master_that_was_filled_after_the_backup_has_no_changes_from_before() -> None:
    def filled(when: str) -> Supplier:
        agreement = Agreement("cn=2", DOMAIN, SECOND, True, init_ended=when)
        return supplier("ipa3.example.test", agreements=[agreement], generation="6b02")

    before = datetime.fromtimestamp(NOW - 20 * DAY, timezone.utc).strftime("%Y%m%d%H%M%SZ")
    after = datetime.fromtimestamp(NOW - DAY, timezone.utc).strftime("%Y%m%d%H%M%SZ")
    assert reasons(supplier(), filled(before)) == ""
    assert reasons(supplier(), filled("19700101000000Z")) == ""
    assert f"{SECOND} was itself re-initialised with {DOMAIN} after the backup" in reasons(supplier(), filled(after))


@pytest.mark.row("R9")
@pytest.mark.parametrize(
    ("agreements", "told"),
    [
        ([], f"{SECOND} has no agreement to send {DOMAIN} to {HOST}"),
        ([Agreement("cn=1", DOMAIN, "ipa3.example.test", True)], "has no agreement to send"),
        ([Agreement("cn=1", DOMAIN, HOST, False)], "is switched off"),
    ],
)
def test_a_master_that_does_not_send_to_this_host_cannot_supply(agreements: list[Agreement], told: str) -> None:
    assert told in reasons(supplier(agreements=agreements))


@pytest.mark.row("R9")
def test_a_backup_without_a_vector_cannot_catch_up_unless_nobody_replicates_the_suffix() -> None:
    assert "no update vector" in reasons(supplier(), vector=None)
    nobody = Supplier(SECOND, (), {})
    assert reasons(nobody, vector=None) == ""
    assert f"no master that was reached replicates {DOMAIN}" in reasons(nobody)


@pytest.fixture
def host(tmp_path: Path) -> OwnHost:
    """The first of two masters, whose vector is in its exports."""
    host = make_host(tmp_path)
    host.services.ipa_units = {"krb5-kdc.service", "apache2.service"}
    host.services.active = {*host.services.units, UNIT}
    host.path("/etc/ipa/ca.crt").write_bytes(b"the realm's authority")
    host.directory.masters[SECOND] = {"KDC"}
    host.directory.ruv = ["{replicageneration} abcd", f"{{replica 4 ldap://{HOST}:389}} {change(1, 4)} {change(9, 4)}"]
    host.masters.agreements = {HOST: [SECOND], SECOND: [HOST]}
    host.masters.enabled = {HOST, SECOND}
    host.masters.generations = {HOST: "abcd", SECOND: "abcd"}
    host.masters.newest = {SECOND: {4: change(9, 4), 5: change(12, 5)}}
    return host


def backed_up(host: OwnHost, *, data: bool = False) -> Path:
    plan = plan_backup(host.server(), BackupOptions(data=data, target=host.backups), host.machine)
    host.run(plan.plan)
    host.services.deeds.clear()
    assert plan.path is not None
    return plan.path


def planned(host: OwnHost, backup: Path, *, peer_check: bool = True, authoritative: bool = False) -> RestorePlan:
    opened = open_backup(backup, Keyring(), host.processes)
    options = RestoreOptions(authoritative=authoritative, peer_check=peer_check)
    return plan_restore(opened, host.server(), options, host.machine)


@pytest.mark.row("R9")
@pytest.mark.parametrize("data", [True, False])
def test_the_backups_vector_is_read_from_its_exports(host: OwnHost, data: bool) -> None:
    opened = open_backup(backed_up(host, data=data), Keyring(), host.processes)
    assert backup_vectors(opened) == {DOMAIN: Vector("abcd", {4: change(9, 4)}, {4: change(1, 4)})}


@pytest.mark.row("R9")
@pytest.mark.parametrize("data", [True, False])
def test_catching_up_is_refused_while_everything_still_runs(host: OwnHost, data: bool) -> None:
    backup = backed_up(host, data=data)
    planned(host, backup)
    host.masters.generations[SECOND] = "other"
    with pytest.raises(CannotCatchUp, match="generation other"):
        planned(host, backup)
    assert host.services.deeds == []
    assert planned(host, backup, peer_check=False).masters == (SECOND,)
    planned(host, backup, authoritative=True)


@pytest.mark.row("R9")
def test_catching_up_with_nobody_is_refused_and_one_of_several_masters_is_enough(host: OwnHost) -> None:
    third = "ipa3.example.test"
    host.directory.masters[third] = {"KDC"}
    backup = backed_up(host)
    host.masters.down = {third}
    told = planned(host, backup).plan.facts["warnings"]
    assert told == [f"Not asked what it can supply: {third} cannot be reached: no route."]
    host.masters.down = {SECOND, third}
    with pytest.raises(CannotCatchUp, match="no route") as caught:
        planned(host, backup)
    assert "--skip-peer-check" in caught.value.remedy


@pytest.mark.row("R9")
@pytest.mark.parametrize(
    ("library", "online", "expected"), [("mdb", True, True), ("mdb", False, False), ("bdb", True, False)]
)
def test_a_copy_of_a_running_database_goes_further_than_it_says_on_mdb(
    host: OwnHost, library: str, online: bool, expected: bool
) -> None:
    plan = plan_backup(host.server(), BackupOptions(data=True, target=host.backups), host.machine)
    host.run(plan.plan)
    assert plan.path is not None
    record = open_backup(plan.path, Keyring(), host.processes).record
    (instance,) = record.instances
    assert copied_live(replace(record, online=online, instances=(replace(instance, library=library),))) == expected


@pytest.mark.row("R9", "R14")
@pytest.mark.parametrize("found", [5, 3])
def test_what_other_masters_send_at_once_is_no_failed_import(host: OwnHost, found: int) -> None:
    backup = backed_up(host)
    machine = replace(host.machine, directory=_Counting(host.directory, found))
    opened = open_backup(backup, Keyring(), host.processes)
    for authoritative in (False, True):
        plan = plan_restore(opened, host.server(), RestoreOptions(authoritative=authoritative), machine)
        if authoritative:
            with pytest.raises(IpaBackupError, match=f"{found} entries after the restore, the backup has 4"):
                host.run(plan.plan)
        else:
            events = host.run(plan.plan)
            assert any("begun to send" in event.message for event in events)


class _Counting(FakeRunning):
    """A directory that has as many entries as it is told to."""

    def __init__(self, directory: FakeDirectory, found: int) -> None:
        super().__init__(directory)
        self._found = found

    def count_entries(self, uri: str, suffix: str, created_before: datetime | None = None) -> int:
        return self._found


@pytest.mark.row("R9")
def test_a_server_that_is_the_only_master_has_nothing_to_catch_up_with(host: OwnHost) -> None:
    del host.directory.masters[SECOND]
    planned(host, backed_up(host))


@pytest.mark.row("R9")
def test_masters_that_the_backup_does_not_name_are_missed(host: OwnHost) -> None:
    host.directory.masters.clear()
    host.directory.ruv.append(f"{{replica 5 ldap://{SECOND}:389}} {change(1, 5)} {change(2, 5)}")
    with pytest.raises(CannotCatchUp, match="does not tell which other masters"):
        planned(host, backed_up(host))


@pytest.mark.row("R9")
def test_a_bare_host_trusts_the_authority_in_its_backup_to_ask_other_masters(host: OwnHost) -> None:
    opened = open_backup(backed_up(host), Keyring(), host.processes)
    host.path("/etc/ipa/ca.crt").write_bytes(b"another installation's")
    record = replace(opened.record, masters=(HOST, SECOND))
    plan_restore(replace(opened, record=record), None, RestoreOptions(authoritative=False), host.machine)
    assert host.masters.trusted == b"the realm's authority\nanother installation's"
