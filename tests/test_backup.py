"""A full backup, from plan to published folder, on a host of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ipabackup.archive.layout import file_name
from ipabackup.archive.reader import open_payload, read_header
from ipabackup.archive.writer import PayloadWriter
from ipabackup.backup import BackupOptions, BackupPlan, plan_backup
from ipabackup.errors import DirectoryDied, IpaBackupError, NoSpace, NotInstalled, Refused, UsageError
from ipabackup.host.files import Space
from ipabackup.record import ServerRecord
from ipabackup.server import Server
from tests.host_of_its_own import HOST, OwnHost, make_host

STEPS = (
    "prepare",
    "stop-ipa",
    "copy-data",
    "archive-files",
    "start-ipa",
    "archive-data",
    "export-ldif",
    "seal",
    "publish",
)


@pytest.fixture
def host(tmp_path: Path) -> OwnHost:
    return make_host(tmp_path)


def planned(host: OwnHost, *, logs: bool = False) -> BackupPlan:
    return plan_backup(host.server(), BackupOptions(logs=logs, target=host.backups), host.machine)


def taken(host: OwnHost, *, logs: bool = False) -> Path:
    plan = planned(host, logs=logs)
    host.run(plan.plan)
    assert plan.path is not None
    return plan.path


@pytest.mark.row("B1")
def test_ipa_stops_only_while_files_and_databases_are_copied(host: OwnHost) -> None:
    plan = planned(host)
    assert tuple(step.name for step in plan.plan.steps) == STEPS
    host.run(plan.plan)
    assert host.services.deeds == ["ipactl stop", "ipactl start"]
    assert host.services.running


@pytest.mark.row("B1")
def test_a_server_that_dies_of_an_online_backup_is_started_again(host: OwnHost) -> None:
    unit = "dirsrv@EXAMPLE-TEST.service"
    host.services.active = {*host.services.units, unit}
    host.directory.deadly = {"online backup"}
    options = BackupOptions(data=True, online=True, target=host.backups)
    with pytest.raises(DirectoryDied, match="was started again"):
        host.run(plan_backup(host.server(), options, host.machine).plan)
    assert host.services.deeds == [f"start {unit}"]
    assert host.leftovers() == []


@pytest.mark.row("B1")
def test_sssd_is_told_that_the_directory_is_back(host: OwnHost) -> None:
    answer = host.processes._handler
    host.processes._handler = lambda argv: "4711\n" if argv[:2] == ("systemctl", "show") else answer(argv)
    taken(host)
    assert ("kill", "-USR2", "4711") in host.processes.ran


@pytest.mark.row("B1")
def test_a_stopped_server_is_not_started(host: OwnHost) -> None:
    host.services.running = False
    taken(host)
    assert host.services.deeds == []
    assert not host.services.running


@pytest.mark.row("B1")
@pytest.mark.parametrize("step", STEPS)
def test_when_a_step_fails_ipa_runs_and_no_backup_is_seen(host: OwnHost, step: str) -> None:
    with pytest.raises(IpaBackupError, match=step):
        host.run(planned(host).plan, IPABACKUP_FAIL_STEP=step)
    assert host.services.running
    assert host.visible_backups() == []
    assert host.leftovers() == []


@pytest.mark.row("B1")
@pytest.mark.parametrize("deed", ["archive", "export"])
def test_when_a_directory_tool_fails_ipa_runs_and_no_backup_is_seen(host: OwnHost, deed: str) -> None:
    host.directory.broken = {deed}
    with pytest.raises(IpaBackupError, match=f"{deed} .* failed"):
        host.run(planned(host).plan)
    assert host.services.running
    assert host.visible_backups() == []
    assert host.leftovers() == []


@pytest.mark.row("B3", "B5")
def test_files_binary_and_ldif_are_in_the_payload(host: OwnHost) -> None:
    reader = open_payload(taken(host))
    names = [member.name for member, _ in reader.members()]
    assert names[0] == "record/server.json"
    assert names[-1] == "record/entries.json"
    assert f"files{host.root}/etc/krb5.keytab" in names
    assert f"files{host.root}/etc/ipa/default.conf" in names
    assert "data/EXAMPLE-TEST/binary/data.mdb" in names
    assert "data/EXAMPLE-TEST/ldif/userRoot.ldif" in names
    counts = json.loads(reader.read(["record/entries.json"])["record/entries.json"])
    assert counts == {"EXAMPLE-TEST": {"userRoot": 4}}


@pytest.mark.row("B5")
def test_missing_paths_are_noted_and_do_no_harm(host: OwnHost) -> None:
    events = host.run(planned(host).plan)
    assert any(event.kind == "note" and "etc/never-there" in event.message for event in events)


@pytest.mark.row("B6")
@pytest.mark.parametrize("logs", [False, True])
def test_logs_are_taken_when_asked_for(host: OwnHost, logs: bool) -> None:
    names = [member.name for member, _ in open_payload(taken(host, logs=logs)).members()]
    assert (f"files{host.root}/var/log/ipa.log" in names) == logs


@pytest.mark.row("B7", "B8")
def test_the_header_says_what_the_backup_is(host: OwnHost) -> None:
    path = taken(host)
    header = read_header(path)
    assert (header.host, header.realm, header.ipa_version, header.version) == (HOST, "EXAMPLE.TEST", "4.12.0", 2)
    assert header.services == ("HTTP", "KDC")
    assert [str(instance) for instance in header.instances] == ["EXAMPLE-TEST:userRoot"]
    assert path.name == f"ipa-full-{header.time:%Y-%m-%d-%H-%M-%S}"
    assert path.stat().st_mode & 0o777 == 0o700
    assert {entry.name for entry in path.iterdir()} == {"header", "ipa-full.tar"}


@pytest.mark.row("B7")
def test_two_backups_of_one_second_stand_side_by_side(host: OwnHost) -> None:
    first, second = planned(host), planned(host)
    second.run.moment = first.run.moment
    host.run(first.plan)
    host.run(second.plan)
    assert first.path is not None
    assert second.path is not None
    assert second.path.name == f"{first.path.name}-1"


@pytest.mark.row("R10")
def test_the_record_knows_local_accounts_and_enabled_units_of_ipa(host: OwnHost) -> None:
    content = open_payload(taken(host)).read(["record/server.json"])["record/server.json"]
    record = ServerRecord.parse(content)
    assert [user.name for user in record.users] == list(host.accounts.users)
    assert record.units == ("ipa.service", "sssd.service")
    assert ServerRecord.parse(record.render()) == record


def test_what_a_killed_backup_left_is_removed_by_the_next(host: OwnHost) -> None:
    (host.backups / ".ipa-full-2026-01-01-00-00-00.partial").mkdir(parents=True)
    (host.path("/var/lib/dirsrv/slapd-EXAMPLE-TEST/bak") / ".ipabackup-old").mkdir()
    taken(host)
    assert host.leftovers() == []


@pytest.mark.row("B11")
def test_a_server_that_lacks_a_role_of_its_realm_is_refused(host: OwnHost) -> None:
    host.services.active.add("dirsrv@EXAMPLE-TEST.service")
    host.directory.masters["ipa2.example.test"] = {"KDC", "HTTP", "CA", "DNS"}
    with pytest.raises(Refused, match=r"CA runs on ipa2\.example\.test; DNS runs on ipa2"):
        planned(host)
    plan_backup(host.server(), BackupOptions(target=host.backups, role_check=False), host.machine)
    host.directory.masters[HOST] |= {"CA", "DNS", "KRA"}
    planned(host)


@pytest.mark.row("B10")
def test_a_backup_that_will_not_fit_is_refused_with_the_figures(host: OwnHost) -> None:
    options = BackupOptions(target=host.backups)
    full = replace(host.machine, room=lambda path: Space("/small", 1, 100_000, 100))
    with pytest.raises(NoSpace, match=r"/small needs \d\.\d MB .*copy of slapd-EXAMPLE-TEST.* and has 0\.1 MB"):
        plan_backup(host.server(), options, full)
    assert host.services.deeds == []
    plan_backup(host.server(), replace(options, space_check=False), full)


@pytest.mark.row("B10")
def test_demands_on_different_file_systems_are_not_added_up(host: OwnHost) -> None:
    def room(path: Path) -> Space:
        backups = path.is_relative_to(host.backups)
        return Space("/backups" if backups else "/", int(backups), 10**9, 10**6)

    machine = replace(host.machine, room=room)
    facts = plan_backup(host.server(), BackupOptions(target=host.backups), machine).plan.facts["space"]
    assert {fact["mount"]: fact["for"] for fact in facts} == {
        "/": ["copy of slapd-EXAMPLE-TEST"],
        "/backups": ["the backup"],
    }


@pytest.mark.row("B2")
@pytest.mark.parametrize(
    ("options", "deeds"),
    [
        (BackupOptions(data=True), ["stop dirsrv@EXAMPLE-TEST.service", "start dirsrv@EXAMPLE-TEST.service"]),
        (BackupOptions(data=True, online=True), []),
        (BackupOptions(hot=True), []),
    ],
    ids=["data", "online", "hot"],
)
def test_no_more_is_stopped_than_the_kind_of_backup_needs(
    host: OwnHost, options: BackupOptions, deeds: list[str]
) -> None:
    host.services.active.add("dirsrv@EXAMPLE-TEST.service")
    plan = plan_backup(host.server(), replace(options, target=host.backups), host.machine)
    host.run(plan.plan)
    assert host.services.deeds == deeds
    assert plan.path is not None
    header = read_header(plan.path)
    assert header.type.value == ("DATA" if options.data else "FULL")
    names = [member.name for member, _ in open_payload(plan.path).members()]
    assert any(name.startswith("files/") for name in names) == (not options.data)
    assert "data/EXAMPLE-TEST/ldif/userRoot.ldif" in names


@pytest.mark.row("B2", "F1")
def test_a_hot_backup_has_a_configuration_that_was_just_being_written(
    host: OwnHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder is read while the server has named the old file away and not yet brought the new one."""
    host.services.active.add("dirsrv@EXAMPLE-TEST.service")
    plan = plan_backup(host.server(), BackupOptions(hot=True, target=host.backups), host.machine)
    configuration = host.path("/etc/dirsrv/slapd-EXAMPLE-TEST/dse.ldif")
    content = configuration.read_text()
    add_tree = PayloadWriter.add_tree

    def add_without(
        payload: PayloadWriter, path: Path, name: str, *, exclude: Callable[[str], bool] | None = None
    ) -> None:
        old = configuration.rename(f"{configuration}.bak")
        try:
            add_tree(payload, path, name, exclude=exclude)
        finally:
            old.rename(configuration)

    monkeypatch.setattr(PayloadWriter, "add_tree", add_without)
    host.run(plan.plan)
    assert plan.path is not None
    found = {member.name: source.read() for member, source in open_payload(plan.path).members() if source is not None}
    assert found[file_name(str(configuration))].decode() == content


@pytest.mark.row("B2")
@pytest.mark.parametrize(
    "options",
    [BackupOptions(online=True), BackupOptions(data=True, logs=True), BackupOptions(data=True, hot=True)],
)
def test_options_that_exclude_each_other_are_usage_errors(host: OwnHost, options: BackupOptions) -> None:
    with pytest.raises(UsageError):
        plan_backup(host.server(), options, host.machine)


@pytest.mark.row("B2")
@pytest.mark.parametrize("options", [BackupOptions(data=True, online=True), BackupOptions(hot=True)])
def test_a_stopped_directory_cannot_be_copied_while_it_runs(host: OwnHost, options: BackupOptions) -> None:
    with pytest.raises(Refused, match="not running"):
        plan_backup(host.server(), options, host.machine)


@pytest.mark.row("B1")
def test_planning_changes_nothing(host: OwnHost) -> None:
    before = sorted(str(path) for path in host.root.rglob("*"))
    planned(host)
    assert sorted(str(path) for path in host.root.rglob("*")) == before
    assert host.services.deeds == []
    assert host.directory.deeds == []


@pytest.mark.parametrize("missing", ["etc/ipa/default.conf", "etc/dirsrv/slapd-EXAMPLE-TEST/dse.ldif"])
def test_a_host_without_a_server_is_refused(host: OwnHost, missing: str) -> None:
    host.path(missing).unlink()
    with pytest.raises(NotInstalled):
        host.server()


def test_a_server_is_known_by_its_configuration(host: OwnHost) -> None:
    server = host.server()
    assert server == replace(server, host=HOST, realm="EXAMPLE.TEST", ipa_version="4.12.0")
    assert isinstance(server, Server)
