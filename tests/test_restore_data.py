"""A restore of the directory's data alone, offline and online, on a host of its own."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest

from ipabackup.archive.gpg import Keyring
from ipabackup.backup import BackupOptions, plan_backup
from ipabackup.errors import (
    DirectoryDied,
    DirectoryFailure,
    Incomplete,
    IpaBackupError,
    NotInstalled,
    PeersUnreachable,
    Refused,
    UsageError,
    WrongHost,
)
from ipabackup.restore import RestoreOptions, RestorePlan, plan_restore
from ipabackup.steps import Event, run_plan
from ipabackup.store import open_backup
from tests.host_of_its_own import OwnHost, make_host

UNIT = "dirsrv@EXAMPLE-TEST.service"


@pytest.fixture
def host(tmp_path: Path) -> OwnHost:
    host = make_host(tmp_path)
    host.services.active = {*host.services.units, UNIT}
    return host


@pytest.fixture
def backup(host: OwnHost) -> Path:
    plan = plan_backup(host.server(), BackupOptions(data=True, online=True, target=host.backups), host.machine)
    host.run(plan.plan)
    host.services.deeds.clear()
    host.directory.deeds.clear()
    assert plan.path is not None
    database = host.path("/var/lib/dirsrv/slapd-EXAMPLE-TEST/db/data.mdb")
    database.write_text("what was there before")
    host.directory.entries["userRoot"].append("uid=later,dc=example,dc=test")
    return plan.path


def planned(host: OwnHost, backup: Path, options: RestoreOptions | None = None) -> RestorePlan:
    opened = open_backup(backup, Keyring(), host.processes)
    return plan_restore(opened, host.server(), options or RestoreOptions(), host.machine)


@pytest.mark.row("R2", "T5")
def test_offline_only_the_directory_stops_and_later_entries_are_gone(host: OwnHost, backup: Path) -> None:
    files = host.files()
    host.run(planned(host, backup).plan)
    assert "uid=later,dc=example,dc=test" not in host.directory.entries["userRoot"]
    assert host.services.deeds[:2] == [f"stop {UNIT}", f"start {UNIT}"]
    assert "ipactl stop" not in host.services.deeds
    assert host.files() == files
    assert host.leftovers() == []


@pytest.mark.row("R2", "T6")
def test_online_nothing_but_sssd_is_restarted(host: OwnHost, backup: Path) -> None:
    host.run(planned(host, backup, RestoreOptions(online=True)).plan)
    assert "uid=later,dc=example,dc=test" not in host.directory.entries["userRoot"]
    assert all("sssd" in deed for deed in host.services.deeds)
    assert host.directory.deeds == ["online restore"]


@pytest.fixture
def second_master(host: OwnHost) -> str:
    """A second master that the backup knows."""
    host.directory.masters["ipa2.example.test"] = {"KDC"}
    return "ipa2.example.test"


@pytest.mark.row("R9")
@pytest.mark.usefixtures("second_master")
def test_online_with_other_masters_the_ldif_is_imported_to_begin_a_new_generation(host: OwnHost, backup: Path) -> None:
    host.run(planned(host, backup, RestoreOptions(online=True)).plan)
    assert "online import userRoot" in host.directory.deeds


@pytest.mark.row("R8")
@pytest.mark.parametrize("cut_off", [True, False])
def test_that_sessions_with_masters_that_are_cut_off_take_their_time_is_said(
    second_master: str, host: OwnHost, backup: Path, cut_off: bool
) -> None:
    host.masters.agreements = {"ipa1.example.test": [second_master], second_master: ["ipa1.example.test"]}
    host.masters.down = {second_master} if cut_off else set()
    said: list[Event] = []
    with suppress(PeersUnreachable):
        run_plan(planned(host, backup, RestoreOptions(online=True)).plan, [said.append], {})
    assert any("have to time out" in str(event) for event in said) is cut_off
    assert "online import userRoot" in host.directory.deeds


@pytest.mark.row("R14")
@pytest.mark.parametrize("running", [True, False])
def test_when_the_import_fails_the_old_databases_are_back(host: OwnHost, backup: Path, running: bool) -> None:
    if not running:
        host.services.active.discard(UNIT)
    host.directory.broken = {"unarchive", "load"}
    with pytest.raises(IpaBackupError, match="load"):
        host.run(planned(host, backup).plan)
    database = host.path("/var/lib/dirsrv/slapd-EXAMPLE-TEST/db/data.mdb")
    assert database.read_text() == "what was there before"
    assert (UNIT in host.services.active) == running
    assert host.leftovers() == []


@pytest.mark.row("R14")
def test_old_databases_are_back_before_the_directory_starts_again(host: OwnHost, backup: Path) -> None:
    database = host.path("/var/lib/dirsrv/slapd-EXAMPLE-TEST/db/data.mdb")
    seen: list[str] = []
    start = host.services.start

    def watched(unit: str) -> None:
        seen.append(database.read_text() if database.exists() else "nothing")
        start(unit)

    host.services.start = watched  # type: ignore[method-assign]
    host.directory.broken = {"unarchive", "load"}
    with pytest.raises(IpaBackupError):
        host.run(planned(host, backup).plan)
    assert seen == ["what was there before"]


@pytest.mark.row("R9", "R14")
@pytest.mark.parametrize(("online", "deed"), [(False, "unarchive"), (False, "renew"), (True, "online restore")])
def test_a_binary_copy_that_does_not_serve_gives_way_to_the_export(
    host: OwnHost, backup: Path, online: bool, deed: str
) -> None:
    host.directory.broken = {deed.split(maxsplit=1)[0]} if not online else {deed}
    host.run(planned(host, backup, RestoreOptions(online=online)).plan)
    assert host.directory.deeds[-1] in ("load userRoot", "online import userRoot")
    assert "uid=later,dc=example,dc=test" not in host.directory.entries["userRoot"]
    assert len(host.directory.entries["userRoot"]) == 4
    assert host.leftovers() == []


@pytest.mark.row("R14")
@pytest.mark.parametrize(("masters", "deed"), [(1, "online restore"), (2, "online import userRoot")])
def test_what_a_running_server_dies_of_is_done_while_it_is_stopped(
    host: OwnHost, backup: Path, masters: int, deed: str
) -> None:
    if masters == 2:
        host.directory.masters["ipa2.example.test"] = {"KDC"}
    host.directory.deadly = {deed}
    plan = planned(host, backup, RestoreOptions(online=True)).plan
    with suppress(Incomplete):  # of a second master that is younger than the backup
        host.run(plan)
    assert "uid=later,dc=example,dc=test" not in host.directory.entries["userRoot"]
    assert len(host.directory.entries["userRoot"]) == 4
    assert host.services.deeds[:2] == [f"stop {UNIT}", f"start {UNIT}"]
    assert host.leftovers() == []


@pytest.mark.row("R14")
def test_when_that_fails_as_well_the_server_is_started_all_the_same(host: OwnHost, backup: Path) -> None:
    host.directory.deadly = {"online restore"}
    host.directory.broken = {"unarchive", "load"}
    with pytest.raises(IpaBackupError, match="load"):
        host.run(planned(host, backup, RestoreOptions(online=True)).plan)
    assert host.services.deeds == [f"stop {UNIT}", f"start {UNIT}"]
    assert host.leftovers() == []


@pytest.mark.row("R14")
@pytest.mark.parametrize("asked", [False, True], ids=["before it was asked", "while it was asked"])
def test_a_server_that_ended_after_it_took_its_data_is_started_again(
    host: OwnHost, backup: Path, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    plan = planned(host, backup, RestoreOptions(online=True)).plan
    count = host.machine.directory.count_entries
    to_come = [True] if asked else []

    def counted(uri: str, suffix: str, created_before: datetime | None = None) -> int:
        if to_come:
            to_come.pop()
            host.services.active.discard(UNIT)
        if UNIT not in host.services.active:
            assert asked, "an answer of what does not run would be waited for"
            raise DirectoryDied("It ended.")
        return count(uri, suffix, created_before)

    monkeypatch.setattr(host.machine.directory, "count_entries", counted)
    if not asked:
        host.services.active.discard(UNIT)
    host.run(plan)
    assert [deed for deed in host.services.deeds if UNIT in deed] == [f"start {UNIT}"]


@pytest.mark.row("R14")
@pytest.mark.parametrize("ends", [True, False], ids=["it ends again and again", "it runs and cannot tell"])
def test_a_server_that_does_not_answer_is_started_once_and_not_where_it_runs(
    host: OwnHost, backup: Path, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    def asked(uri: str, suffix: str, created_before: datetime | None = None) -> int:
        if ends:
            host.services.active.discard(UNIT)
        raise DirectoryFailure("It does not answer.")

    plan = planned(host, backup, RestoreOptions(online=True)).plan
    monkeypatch.setattr(host.machine.directory, "count_entries", asked)
    with pytest.raises(DirectoryFailure, match="does not answer"):
        host.run(plan)
    assert [deed for deed in host.services.deeds if UNIT in deed] == ([f"start {UNIT}"] if ends else [])


@pytest.mark.row("R3")
def test_another_host_of_the_realm_may_take_the_data_as_ldif(host: OwnHost, backup: Path) -> None:
    conf = host.path("/etc/ipa/default.conf")
    conf.write_text(conf.read_text().replace("host = ipa1.", "host = ipa9."))
    host.run(planned(host, backup).plan)
    assert host.directory.deeds == ["disable ipa1.example.test", "disable ipa1.example.test", "load userRoot"]


@pytest.mark.row("R3")
@pytest.mark.parametrize(("old", "new"), [("realm = EXAMPLE", "realm = OTHER"), ("dc=example", "dc=other")])
def test_another_realm_may_not(host: OwnHost, backup: Path, old: str, new: str) -> None:
    conf = host.path("/etc/ipa/default.conf")
    conf.write_text(conf.read_text().replace(old, new))
    with pytest.raises(WrongHost, match="realm"):
        planned(host, backup)


@pytest.mark.row("B3", "R4")
def test_another_database_library_takes_the_ldif(host: OwnHost, backup: Path) -> None:
    dse = host.path("/etc/dirsrv/slapd-EXAMPLE-TEST/dse.ldif")
    dse.write_text(dse.read_text().replace("implement: mdb", "implement: bdb"))
    host.run(planned(host, backup).plan)
    assert host.directory.deeds == ["load userRoot"]


@pytest.mark.row("R4")
def test_instances_and_backends_are_chosen_by_name(host: OwnHost, backup: Path) -> None:
    for name in ("EXAMPLE-TEST", "slapd-EXAMPLE-TEST", "example-test"):
        planned(host, backup, RestoreOptions(instance=name, backend="userroot"))
    with pytest.raises(UsageError, match="no instance OTHER") as caught:
        planned(host, backup, RestoreOptions(instance="OTHER"))
    assert "EXAMPLE-TEST" in caught.value.remedy
    with pytest.raises(UsageError, match="no backend ipaca") as caught:
        planned(host, backup, RestoreOptions(backend="ipaca"))
    assert "userRoot" in caught.value.remedy


@pytest.mark.row("R2", "R4")
@pytest.mark.parametrize(
    "options", [RestoreOptions(online=True), RestoreOptions(instance="X"), RestoreOptions(backend="userRoot")]
)
def test_choices_of_data_are_usage_errors_in_a_full_restore(host: OwnHost, options: RestoreOptions) -> None:
    plan = plan_backup(host.server(), BackupOptions(target=host.backups), host.machine)
    host.run(plan.plan)
    assert plan.path is not None
    with pytest.raises(UsageError, match="full backup"):
        planned(host, plan.path, options)
    opened = open_backup(plan.path, Keyring(), host.processes)
    data = plan_restore(opened, host.server(), RestoreOptions(data=True), host.machine)
    assert data.plan.name == "restore-data"


def test_a_directory_that_does_not_run_cannot_take_data_online(host: OwnHost, backup: Path) -> None:
    host.services.active.discard(UNIT)
    with pytest.raises(Refused, match="not running"):
        planned(host, backup, RestoreOptions(online=True))


def test_a_host_without_a_server_cannot_take_data(host: OwnHost, backup: Path) -> None:
    opened = open_backup(backup, Keyring(), host.processes)
    with pytest.raises(NotInstalled):
        plan_restore(opened, None, RestoreOptions(), host.machine)
