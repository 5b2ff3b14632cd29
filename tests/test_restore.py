"""A full restore: what it refuses beforehand, and what it brings back, on a host of its own."""

from __future__ import annotations

import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from ipabackup.archive.gpg import Keyring
from ipabackup.backup import BackupOptions, plan_backup
from ipabackup.directory.agreements import Agreement
from ipabackup.errors import (
    DamagedBackup,
    Incomplete,
    IpaBackupError,
    MissingService,
    NotABackup,
    NotInstalled,
    PeersUnreachable,
    Refused,
    UnsupportedFormat,
    UsageError,
    WrongHost,
    WrongPassword,
)
from ipabackup.record import ServerRecord
from ipabackup.restore import RestoreOptions, RestorePlan, plan_restore, reinitialize
from ipabackup.restore.peers import Peers, younger_than
from ipabackup.server import Server, system_hostnames
from ipabackup.store import extract_backup, open_backup
from tests.host_of_its_own import ME, OwnHost, make_host
from tests.realm.realms import change


@pytest.fixture
def host(tmp_path: Path) -> OwnHost:
    host = make_host(tmp_path)
    host.services.ipa_units = {"krb5-kdc.service", "apache2.service"}
    host.services.active = set(host.services.units)
    return host


@pytest.fixture
def backup(host: OwnHost) -> Path:
    plan = plan_backup(host.server(), BackupOptions(logs=True, target=host.backups), host.machine)
    host.run(plan.plan)
    host.services.deeds.clear()
    host.directory.deeds.clear()
    assert plan.path is not None
    return plan.path


def planned(host: OwnHost, backup: Path, options: RestoreOptions | None = None) -> RestorePlan:
    server: Server | None
    try:
        server = host.server()
    except NotInstalled:
        server = None
    return plan_restore(
        open_backup(backup, Keyring(), host.processes), server, options or RestoreOptions(), host.machine
    )


def restored(host: OwnHost, backup: Path, options: RestoreOptions | None = None) -> list[str]:
    events = host.run(planned(host, backup, options).plan)
    return [event.message for event in events if event.kind in ("note", "result", "warning")]


def uninstalled(host: OwnHost) -> None:
    for folder in ("etc/ipa", "etc/dirsrv", "var/lib/dirsrv", "etc/krb5.keytab", "var/log/ipa.log"):
        path = host.path(folder)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    host.services.configured = host.services.running = False
    host.services.enabled.clear()
    host.directory.entries = {"userRoot": []}


@pytest.mark.row("R1")
def test_an_uninstalled_server_comes_back_with_files_data_and_units(host: OwnHost, backup: Path) -> None:
    files, entries = host.files(), host.directory.entries
    uninstalled(host)
    restored(host, backup)
    assert host.files() == files
    assert host.directory.entries == entries
    assert {"ipa.service", "sssd.service"} & host.services.units <= host.services.enabled
    assert host.services.running
    assert host.leftovers() == []


@pytest.mark.row("R1", "R16")
def test_on_a_running_server_later_changes_are_gone(host: OwnHost, backup: Path) -> None:
    files, entries = host.files(), dict(host.directory.entries)
    host.path("/etc/ipa/later.conf").write_text("added by a later installation")
    host.path("/etc/ipa/default.conf").write_text(host.path("/etc/ipa/default.conf").read_text() + "# changed\n")
    host.path("/etc/admins-own.conf").write_text("not IPA's folder")
    host.directory.entries["userRoot"] = ["dc=example,dc=test"]
    notes = restored(host, backup)
    assert host.path("/etc/admins-own.conf").exists()
    host.path("/etc/admins-own.conf").unlink()
    assert host.files() == files
    assert host.directory.entries == entries
    assert any("later.conf, which the backup does not have" in note for note in notes)


@pytest.mark.row("R1")
def test_services_stop_before_files_change_and_sssd_starts_with_an_empty_cache(host: OwnHost, backup: Path) -> None:
    cache = host.machine.places.sssd / "db" / "cache_example.test.ldb"
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"old numbers")
    restored(host, backup)
    assert not cache.exists()
    deeds = host.services.deeds
    assert deeds[0] == "ipactl stop"
    assert deeds.index("stop certmonger.service") < deeds.index("ipactl start")
    assert deeds.index("ipactl start") < deeds.index("start sssd.service")


@pytest.mark.row("R3")
def test_another_hosts_backup_is_refused(host: OwnHost, backup: Path) -> None:
    conf = host.path("/etc/ipa/default.conf")
    conf.write_text(conf.read_text().replace("host = ipa1.", "host = ipa9."))
    with pytest.raises(WrongHost, match=r"ipa1\.example\.test.*ipa9\.example\.test"):
        planned(host, backup)
    assert host.services.deeds == []


@pytest.mark.row("R13")
@pytest.mark.parametrize(
    ("old", "new"), [("host = ipa1.", "host = ipa9."), ("type = FULL", "type = DATA"), ("time = 2", "time = 1")]
)
def test_a_header_that_belongs_to_another_backup_is_refused(host: OwnHost, backup: Path, old: str, new: str) -> None:
    header = backup / "header"
    header.write_text(header.read_text().replace(old, new))
    with pytest.raises(DamagedBackup, match="another backup"):
        planned(host, backup)


@pytest.mark.row("R12")
def test_a_service_that_the_host_lacks_is_refused_with_its_package(host: OwnHost, backup: Path) -> None:
    host.services.units.discard("apache2.service")
    with pytest.raises(MissingService, match="HTTP") as caught:
        planned(host, backup)
    assert "apache2" in caught.value.remedy
    assert host.services.deeds == []


@pytest.mark.row("R12")
def test_a_host_without_a_directory_server_is_refused(host: OwnHost, backup: Path) -> None:
    host.processes._handler = lambda argv: None if argv[0] == "ns-slapd" else ""
    with pytest.raises(MissingService, match="389 Directory Server"):
        planned(host, backup)


@pytest.mark.row("R13")
def test_a_wrong_password_is_refused(host: OwnHost, backup: Path) -> None:
    host.services.active.add("dirsrv@EXAMPLE-TEST.service")
    with pytest.raises(WrongPassword):
        planned(host, backup, RestoreOptions(password="guess"))
    planned(host, backup, RestoreOptions(password="Secret123"))
    assert host.services.deeds == []


@pytest.mark.row("R13")
@pytest.mark.parametrize("at", [0, 0.3, 0.6, 0.95])
def test_a_payload_with_one_changed_byte_is_refused(host: OwnHost, backup: Path, at: float) -> None:
    payload = backup / "ipa-full.tar"
    content = bytearray(payload.read_bytes())
    content[int(at * len(content))] ^= 0x10
    payload.write_bytes(content)
    with pytest.raises(DamagedBackup):
        planned(host, backup)


@pytest.mark.row("R13")
def test_a_truncated_payload_is_refused(host: OwnHost, backup: Path) -> None:
    payload = backup / "ipa-full.tar"
    payload.write_bytes(payload.read_bytes()[:-1])
    with pytest.raises(DamagedBackup, match="truncated"):
        planned(host, backup)


@pytest.mark.row("R13")
def test_a_missing_payload_an_unknown_format_and_another_folder_each_have_their_message(
    host: OwnHost, backup: Path
) -> None:
    (backup / "ipa-full.tar").rename(backup / "elsewhere")
    with pytest.raises(DamagedBackup, match=r"ipa-full\.tar is missing"):
        open_backup(backup, Keyring(), host.processes)
    header = (backup / "header").read_text()
    (backup / "header").write_text(header.replace("version = 2", "version = 7"))
    with pytest.raises(UnsupportedFormat, match="7"):
        open_backup(backup, Keyring(), host.processes)
    with pytest.raises(NotABackup, match="no header"):
        open_backup(host.root, Keyring(), host.processes)
    with pytest.raises(NotABackup, match="does not exist"):
        open_backup(host.root / "nowhere", Keyring(), host.processes)


@pytest.mark.row("R10")
def test_missing_accounts_are_created_with_their_number_when_it_is_free(host: OwnHost, backup: Path) -> None:
    removed = host.accounts.users.pop(ME)
    restored(host, backup)
    assert host.accounts.users[ME].uid == removed.uid


@pytest.mark.row("R14")
def test_a_failed_import_fails_the_command(host: OwnHost, backup: Path) -> None:
    host.directory.broken = {"unarchive", "load"}
    with pytest.raises(IpaBackupError, match=r"load .* failed"):
        restored(host, backup)
    assert host.leftovers() == []


@pytest.mark.row("R9", "R14")
@pytest.mark.parametrize("deed", ["unarchive", "renew"])
def test_a_binary_copy_that_does_not_serve_gives_way_to_the_export(host: OwnHost, backup: Path, deed: str) -> None:
    entries = {name: list(held) for name, held in host.directory.entries.items()}
    host.directory.broken = {deed}
    events = restored(host, backup)
    assert host.directory.deeds[-1] == "load userRoot"
    assert host.directory.entries == entries
    assert any("does not serve" in message for message in events)
    assert host.leftovers() == []


@pytest.mark.row("R14")
def test_entries_that_are_not_all_there_fail_the_command(
    host: OwnHost, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host.machine.directory, "count_entries", lambda *_: 3)
    with pytest.raises(IpaBackupError, match="3 entries after the restore, the backup has 4"):
        restored(host, backup)


@pytest.mark.row("R14")
def test_a_service_that_does_not_start_fails_the_command(host: OwnHost, backup: Path) -> None:
    host.services.broken = {"ipa"}
    with pytest.raises(IpaBackupError, match="did not start"):
        restored(host, backup)


@pytest.mark.row("R14")
def test_a_warning_on_the_way_makes_the_result_incomplete(host: OwnHost, backup: Path) -> None:
    def broken_stop() -> None:
        raise IpaBackupError("ipactl is confused")

    host.services.ipa_stop = broken_stop  # type: ignore[method-assign]
    with pytest.raises(Incomplete, match="ipactl is confused"):
        restored(host, backup)
    assert host.services.running


@pytest.mark.row("R6")
@pytest.mark.parametrize("logs", [True, False])
def test_logs_come_back_unless_told_otherwise(host: OwnHost, backup: Path, logs: bool) -> None:
    uninstalled(host)
    restored(host, backup, RestoreOptions(logs=logs))
    assert host.path("/var/log/ipa.log").exists() == logs


@pytest.mark.row("R5")
def test_extraction_unpacks_everything_and_restores_nothing(host: OwnHost, backup: Path, tmp_path: Path) -> None:
    before = host.files()
    target = tmp_path / "extracted"
    extract_backup(backup, target, Keyring(), host.processes)
    assert (target / "data/EXAMPLE-TEST/ldif/userRoot.ldif").read_text().count("\ndn: ") == 4
    assert (target / f"files{host.root}/etc/krb5.keytab").read_bytes() == b"\x05\x02keys"
    assert (target / "header").exists()
    assert host.files() == before
    assert host.services.deeds == []
    with pytest.raises(Refused, match="not an empty folder"):
        extract_backup(backup, target, Keyring(), host.processes)


@pytest.mark.row("R7")
def test_the_plan_says_what_is_overwritten_and_that_versions_differ(host: OwnHost, backup: Path) -> None:
    plan = planned(host, backup)
    assert any("all data of dc=example,dc=test" in line for line in plan.overwrites)
    assert plan.version_differs == ""
    host.processes._handler = lambda argv: "VERSION: 4.13.1, API_VERSION: 2.257"
    assert "4.12.0" in planned(host, backup).version_differs


@pytest.mark.row("R16")
def test_services_that_came_after_the_backup_are_named(host: OwnHost, backup: Path) -> None:
    host.services.enabled |= {"ipa-new-thing.timer", "unrelated.service"}
    notes = restored(host, backup)
    assert any("ipa-new-thing.timer is started at boot" in note for note in notes)
    assert not any("unrelated" in note for note in notes)


@pytest.mark.row("R9")
def test_data_goes_back_as_ldif_when_the_directory_server_has_another_version(host: OwnHost, backup: Path) -> None:
    host.directory.version = "3.2.0"
    entries = {name: sorted(dns) for name, dns in host.directory.entries.items()}
    host.directory.entries = {"userRoot": []}
    restored(host, backup)
    assert host.directory.deeds == ["load userRoot"]
    assert {name: sorted(dns) for name, dns in host.directory.entries.items()} == entries


@pytest.mark.row("R11")
def test_selinux_booleans_are_switched_on_and_their_absence_is_said(host: OwnHost, backup: Path) -> None:
    assert any("SELinux is off" in note for note in restored(host, backup))
    host.selinux.values = {"httpd_can_network_connect": False, "httpd_manage_ipa": False, "unrelated": False}
    restored(host, backup)
    assert host.selinux.values == {
        "httpd_can_network_connect": True,
        "httpd_manage_ipa": True,
        "unrelated": False,
    }


@pytest.mark.row("R9")
def test_an_authoritative_restore_begins_a_new_generation_and_catching_up_does_not(host: OwnHost, backup: Path) -> None:
    restored(host, backup)
    assert host.directory.deeds == ["unarchive EXAMPLE-TEST", "renew EXAMPLE-TEST"]
    host.directory.deeds.clear()
    restored(host, backup, RestoreOptions(authoritative=False))
    assert host.directory.deeds == ["unarchive EXAMPLE-TEST"]


@pytest.fixture
def second_master(host: OwnHost) -> str:
    """A second master that the backup knows."""
    host.services.active.add("dirsrv@EXAMPLE-TEST.service")
    host.directory.masters["ipa2.example.test"] = {"KDC", "HTTP"}
    return "ipa2.example.test"


@pytest.fixture
def third_master(host: OwnHost) -> str:
    """A third master that the backup knows."""
    host.directory.masters["ipa3.example.test"] = {"KDC"}
    return "ipa3.example.test"


@pytest.mark.row("R8")
def test_agreements_on_other_masters_are_off_before_data_is_touched(
    second_master: str, host: OwnHost, backup: Path
) -> None:
    uninstalled(host)
    host.directory.masters.clear()
    notes = restored(host, backup)
    assert host.directory.deeds[:2] == [f"disable {second_master}", "unarchive EXAMPLE-TEST"]
    assert any(f"{second_master}: ipa-replica-manage re-initialize --from=ipa1.example.test" in note for note in notes)


@pytest.mark.row("R15")
def test_the_commands_to_type_go_outward_and_name_the_neighbour_that_was_filled_before(host: OwnHost) -> None:
    def sends(*consumers: str, suffix: str = "dc=example, dc=test") -> list[Agreement]:
        return [Agreement(f"cn={consumer}", suffix, consumer, True) for consumer in consumers]

    peers = Peers("ipa1", ("ipa2", "ipa3", "ipa4", "ipa5"), None, host.machine)
    peers.learn("ipa3", sends("ipa2", "ipa4"))
    peers.learn("ipa2", sends("ipa1", "ipa3", "ipa4"))
    peers.learn("ipa1", sends("ipa2"))
    peers.learn("ipa1", sends("ipa2", suffix="o=ipaca"))
    assert peers.commands() == [
        ("ipa2", "ipa-replica-manage re-initialize --from=ipa1"),
        ("ipa2", "ipa-csreplica-manage re-initialize --from=ipa1"),
        ("ipa3", "ipa-replica-manage re-initialize --from=ipa2"),
        ("ipa4", "ipa-replica-manage re-initialize --from=ipa2"),
        ("ipa5", "ipa-replica-manage re-initialize --from=ipa1"),
    ]


@pytest.mark.row("R8")
def test_masters_out_of_reach_are_named_and_the_status_says_so(second_master: str, host: OwnHost, backup: Path) -> None:
    host.masters.down = {second_master}
    with pytest.raises(PeersUnreachable, match=f"{second_master} cannot be reached") as caught:
        restored(host, backup)
    assert caught.value.exit_status == 8
    assert host.services.running
    assert "unarchive EXAMPLE-TEST" in host.directory.deeds, "the restore itself is done"


@pytest.mark.row("R8")
def test_catching_up_leaves_the_other_masters_alone(second_master: str, host: OwnHost, backup: Path) -> None:
    host.masters.down = {second_master}
    restored(host, backup, RestoreOptions(authoritative=False, peer_check=False))
    assert not any(deed.startswith("disable") for deed in host.directory.deeds)


@pytest.mark.row("R7")
def test_the_plan_names_the_masters_that_are_affected(second_master: str, host: OwnHost, backup: Path) -> None:
    assert planned(host, backup).masters == (second_master,)


@pytest.mark.row("R15")
def test_peers_are_filled_hop_by_hop_and_switched_on_afterwards(
    second_master: str, third_master: str, host: OwnHost, backup: Path
) -> None:
    first, third = "ipa1.example.test", third_master
    host.masters.agreements = {first: [second_master], second_master: [first, third], third: [second_master]}
    notes = restored(host, backup, RestoreOptions(reinitialize=True))
    deeds = [deed for deed in host.directory.deeds if deed.startswith(("refresh", "enable", "own change"))]
    assert deeds == [
        f"own change {first}",
        f"refresh {second_master} from {first}",
        f"own change {second_master}",
        f"refresh {third} from {second_master}",
        f"own change {third}",
        f"enable {first}",
        f"enable {second_master}",
        f"enable {third}",
    ]
    rows = [note.split() for note in notes if note.endswith("  0") and "dc=example,dc=test" in note]
    assert [(row[0], row[2], row[4]) for row in rows] == [(name, "new", "4") for name in (first, second_master, third)]
    assert host.masters.flows == [(second_master, {"window": [b"usual"]}), (third, {"window": [b"usual"]})]


@pytest.mark.row("R15")
def test_masters_that_could_not_be_filled_or_have_no_agreement_are_named(
    second_master: str, third_master: str, host: OwnHost, backup: Path
) -> None:
    first, third = "ipa1.example.test", third_master
    host.masters.agreements = {first: [second_master]}
    host.masters.broken = {second_master}
    with pytest.raises(
        PeersUnreachable, match=f"{second_master} could not be re-initialised.*no agreement leads to {third}"
    ):
        restored(host, backup, RestoreOptions(reinitialize=True))


@pytest.mark.row("T12", "R8")
@pytest.mark.parametrize("data", [True, False])
def test_a_master_younger_than_the_backup_is_named_and_not_filled(
    data: bool, second_master: str, host: OwnHost, backup: Path
) -> None:
    first, young = "ipa1.example.test", "ipa3.example.test"
    host.directory.masters[young] = {"KDC"}
    host.masters.agreements = {first: [young, second_master], second_master: [first]}
    told = f"{young} is younger than the backup.*ipa-replica-manage del --force {young}"
    with pytest.raises(Incomplete, match=told) as warned:
        restored(host, backup, RestoreOptions(data=data))
    assert f"{young}: ipa-replica-manage re-initialize" not in str(warned.value)
    host.services.active.add("dirsrv@EXAMPLE-TEST.service")
    with pytest.raises(PeersUnreachable, match=told) as caught:
        restored(host, backup, RestoreOptions(data=data, reinitialize=True))
    assert caught.value.remedy == "", "it cannot be re-initialised"
    refreshed = [deed for deed in host.directory.deeds if deed.startswith("refresh")]
    assert refreshed == [f"refresh {second_master} from {first}"]


@pytest.mark.row("T12")
def test_a_master_is_younger_only_when_the_realms_own_entries_are_restored() -> None:
    record = ServerRecord("a", "EXAMPLE.TEST", "example.test", "dc=example,dc=test", "4", "389", (), "FULL", "2026")
    known = replace(record, masters=("a", "b"))
    assert younger_than(known, ["b", "c"], ["o=ipaca", "DC=example,dc=test"]) == ("c",)
    assert younger_than(known, ["b", "c"], ["o=ipaca"]) == ()
    assert younger_than(record, ["b", "c"], ["dc=example,dc=test"]) == (), "nobody wrote down who the masters were"


@pytest.mark.row("R8", "R15")
def test_a_master_that_is_out_of_reach_is_not_waited_for_and_neither_is_who_is_behind_it(
    second_master: str, third_master: str, host: OwnHost, backup: Path
) -> None:
    first, third = "ipa1.example.test", third_master
    host.masters.agreements = {first: [second_master], second_master: [first, third], third: [second_master]}
    host.masters.down = {second_master}
    with pytest.raises(PeersUnreachable) as caught:
        restored(host, backup, RestoreOptions(reinitialize=True))
    assert not any(deed.startswith("refresh") for deed in host.directory.deeds), "the supplier would try for minutes"
    assert f"{second_master} cannot be reached: no route" in str(caught.value)
    assert f"{third} has to wait for {second_master}" in str(caught.value)
    assert "Uninstall" not in str(caught.value)
    assert caught.value.remedy.endswith(f"ipa-replica-manage re-initialize --from={first}")


@pytest.mark.row("R15")
def test_masters_that_seem_to_be_behind_get_another_change_before_they_are_named(
    second_master: str, host: OwnHost, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = "ipa1.example.test"
    monkeypatch.setattr(reinitialize, "FIRST_LOOK", 0.0)
    host.masters.agreements = {first: [second_master], second_master: [first]}
    host.masters.generations[first] = "6a00"
    host.masters.newest = {second_master: {5: change(9, 5)}, first: {}}

    def arrive() -> None:
        if host.directory.deeds.count(f"own change {second_master}") > 1:
            host.masters.newest[first] = dict(host.masters.newest[second_master])

    host.masters.at_each_look = arrive
    restored(host, backup, RestoreOptions(reinitialize=True))
    assert host.directory.deeds.count(f"own change {second_master}") == 2


@pytest.mark.row("R15")
def test_a_master_that_another_one_is_sending_to_is_filled_when_it_is_free(
    second_master: str, host: OwnHost, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = "ipa1.example.test"
    host.masters.agreements = {first: [second_master], second_master: [first]}
    host.masters.busy = {second_master: 2}
    restored(host, backup, RestoreOptions(reinitialize=True))
    assert host.directory.deeds.count(f"refresh {second_master} from {first}") == 3
    assert host.masters.flows == [(second_master, {"window": [b"usual"]})], "put back once"
    monkeypatch.setattr(reinitialize, "BUSY_LIMIT", 0.0)
    host.masters.busy = {second_master: 1000}
    with pytest.raises(PeersUnreachable, match=f"{second_master} could not be re-initialised with .*replica busy"):
        restored(host, backup, RestoreOptions(reinitialize=True))


@pytest.mark.row("R8", "R15")
def test_a_master_that_comes_back_in_time_is_switched_off_before_it_is_filled(
    second_master: str, host: OwnHost, backup: Path
) -> None:
    first = "ipa1.example.test"
    host.masters.agreements = {first: [second_master], second_master: [first]}
    host.masters.down = {second_master}
    host.masters.at_first_refusal = host.masters.down.clear
    restored(host, backup, RestoreOptions(reinitialize=True))
    deeds = host.directory.deeds
    assert f"disable {second_master}" in deeds[: deeds.index(f"refresh {second_master} from {first}")]


@pytest.mark.row("R15")
def test_a_master_that_falls_silent_is_named_and_the_others_are_filled_all_the_same(
    second_master: str, third_master: str, host: OwnHost, backup: Path
) -> None:
    first, third = "ipa1.example.test", third_master
    host.masters.agreements = {first: [second_master, third], second_master: [first], third: [first]}
    host.masters.silent = {second_master}
    with pytest.raises(PeersUnreachable, match=f"{second_master} does not tell its agreements"):
        restored(host, backup, RestoreOptions(reinitialize=True))
    assert host.masters.generations[third] == "new"
    assert f"enable {third}" in host.directory.deeds


@pytest.mark.row("R15")
def test_peers_cannot_be_filled_from_a_server_that_catches_up(host: OwnHost, backup: Path) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        planned(host, backup, RestoreOptions(reinitialize=True, authoritative=False))


@pytest.mark.row("R3")
@pytest.mark.parametrize(
    ("kernel", "known"), [("ipa1.example.test", ("ipa1.example.test",)), ("ipa1", ("ipa1", "ipa1.example.test"))]
)
def test_a_host_that_knows_its_whole_name_asks_no_resolver_for_it(
    kernel: str, known: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: kernel)
    asked: list[str] = []

    def canonical(name: str) -> str:
        asked.append(name)
        return "ipa1.example.test"

    monkeypatch.setattr(socket, "getfqdn", canonical)
    assert system_hostnames() == known
    assert asked == [name for name in (kernel,) if "." not in name]
