"""A full restore: what it refuses beforehand, and what it brings back, on a host of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipabackup.archive.gpg import Keyring
from ipabackup.errors import (
    DamagedBackup,
    Incomplete,
    IpaBackupError,
    MissingService,
    NotABackup,
    Refused,
    UnsupportedFormat,
    WrongHost,
    WrongPassword,
)
from ipabackup.restore import RestoreOptions
from ipabackup.store import extract_backup, open_backup
from tests.host_of_its_own import ME, OwnHost
from tests.restore.deeds import planned, restored, uninstalled


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


@pytest.mark.row("R1", "R14")
@pytest.mark.parametrize(
    ("tool", "unusable", "told"),
    [("update-ca-certificates", set(), "may not trust"), ("", {"sssd.service"}, "at the next boot: .*sssd.service")],
)
def test_what_ipa_does_not_need_does_not_keep_it_down(
    host: OwnHost, backup: Path, monkeypatch: pytest.MonkeyPatch, tool: str, unusable: set[str], told: str
) -> None:
    def answer(argv: tuple[str, ...]) -> tuple[int, str]:
        return (1, "no room") if argv[0] == tool else (0, "")

    entries = host.directory.entries
    uninstalled(host)
    monkeypatch.setattr(host.processes, "_handler", answer)
    host.services.unusable = unusable
    with pytest.raises(Incomplete, match=told):
        restored(host, backup)
    assert host.services.running
    assert host.directory.entries == entries


@pytest.mark.row("R14")
@pytest.mark.parametrize("unit", ["sssd.service", "certmonger.service"])
def test_a_service_that_does_not_start_is_named_and_keeps_nothing_else_from_being_done(
    host: OwnHost, backup: Path, unit: str
) -> None:
    host.services.units |= {"sssd.service", "certmonger.service"}
    host.services.broken = {unit}
    host.selinux.values = {"httpd_can_network_connect": False}
    name = unit.partition(".")[0]
    with pytest.raises(Incomplete, match=f"(?i){name} does not start"):
        restored(host, backup)
    other = {"sssd.service": "restart certmonger.service", "certmonger.service": "start sssd.service"}[unit]
    assert other in host.services.deeds
    assert host.selinux.values == {"httpd_can_network_connect": True}
    assert host.services.running


@pytest.mark.row("R14")
@pytest.mark.parametrize(
    "options", [RestoreOptions(), RestoreOptions(data=True), RestoreOptions(data=True, online=True)]
)
def test_a_restore_goes_on_when_its_connection_breaks(host: OwnHost, backup: Path, options: RestoreOptions) -> None:
    host.services.active |= {f"dirsrv@{instance.name}.service" for instance in host.server().instances}
    assert planned(host, backup, options).plan.goes_on


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
def test_entries_that_clients_have_deleted_since_were_restored(
    host: OwnHost, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host.machine.directory, "count_entries", lambda *_: 2)
    host.directory.deleted_since = 1
    with pytest.raises(IpaBackupError, match="2 entries after the restore, the backup has 4"):
        restored(host, backup)
    host.directory.deleted_since = 2
    assert any("have been deleted since" in note for note in restored(host, backup))


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
