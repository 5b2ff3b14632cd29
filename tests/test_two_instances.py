"""Backups and restores of a server whose authority has a directory instance of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipabackup.archive.gpg import Keyring
from ipabackup.backup import BackupOptions, plan_backup
from ipabackup.errors import IpaBackupError, UsageError
from ipabackup.restore import RestoreOptions, RestorePlan, plan_restore
from ipabackup.roles import installed_units
from ipabackup.store import open_backup
from tests.fakes.services import FakeServices
from tests.host_of_its_own import (
    OwnHost,
    give_own_instance_to_authority,
    give_records_to_domains_instance,
    make_host,
)

DOMAIN, AUTHORITY = "dirsrv@EXAMPLE-TEST.service", "dirsrv@PKI-IPA.service"
LATER_USER, LATER_RECORD = "uid=later,dc=example,dc=test", "cn=2,o=ipaca"
TODAY, DOGTAG_9 = "pki-tomcatd@pki-tomcat.service", "pki-cad@pki-ca.service"


@pytest.fixture
def upgraded(tmp_path: Path) -> OwnHost:
    host = make_host(tmp_path / "upgraded")
    give_own_instance_to_authority(host)
    host.services.active = {*host.services.units, DOMAIN, AUTHORITY}
    return host


@pytest.fixture
def modern(tmp_path: Path) -> OwnHost:
    host = make_host(tmp_path / "modern")
    give_records_to_domains_instance(host)
    host.services.active = {*host.services.units, DOMAIN}
    return host


def backed_up(host: OwnHost, options: BackupOptions) -> Path:
    plan = plan_backup(host.server(), options, host.machine)
    host.run(plan.plan)
    assert plan.path is not None
    return plan.path


def data_of(host: OwnHost) -> Path:
    """A data backup; then there is a later user and a later certificate."""
    path = backed_up(host, BackupOptions(data=True, online=True, target=host.backups))
    host.directory.entries["userRoot"].append(LATER_USER)
    host.directory.entries["ipaca"].append(LATER_RECORD)
    host.directory.deeds.clear()
    host.services.deeds.clear()
    return path


def planned(host: OwnHost, backup: Path, options: RestoreOptions | None = None) -> RestorePlan:
    opened = open_backup(backup, Keyring(), host.processes)
    return plan_restore(opened, host.server(), options or RestoreOptions(), host.machine)


def later(host: OwnHost) -> set[str]:
    """What is in the directory although the backup does not have it."""
    found = {dn for dns in host.directory.entries.values() for dn in dns}
    return found & {LATER_USER, LATER_RECORD}


@pytest.mark.row("B2", "B3")
def test_both_instances_stop_and_are_backed_up_with_their_own_backends(upgraded: OwnHost) -> None:
    path = backed_up(upgraded, BackupOptions(data=True, target=upgraded.backups))
    assert "instances = EXAMPLE-TEST:userRoot;PKI-IPA:ipaca" in (path / "header").read_text()
    assert upgraded.services.deeds == [f"stop {AUTHORITY}", f"stop {DOMAIN}", f"start {DOMAIN}", f"start {AUTHORITY}"]
    assert upgraded.leftovers() == []


@pytest.mark.row("R2", "R4")
@pytest.mark.parametrize(
    ("options", "stays", "stopped"),
    [
        (RestoreOptions(), set(), {DOMAIN, AUTHORITY}),
        (RestoreOptions(instance="PKI-IPA"), {LATER_USER}, {AUTHORITY}),
        (RestoreOptions(instance="slapd-EXAMPLE-TEST"), {LATER_RECORD}, {DOMAIN}),
        (RestoreOptions(backend="ipaca"), {LATER_USER}, {AUTHORITY}),
        (RestoreOptions(online=True), set(), set()),
        (RestoreOptions(online=True, instance="PKI-IPA"), {LATER_USER}, set()),
    ],
)
def test_an_instance_that_was_not_asked_for_stays_as_it_is(
    upgraded: OwnHost, options: RestoreOptions, stays: set[str], stopped: set[str]
) -> None:
    plan = planned(upgraded, data_of(upgraded), options)
    assert set(plan.plan.facts["method"]) == {"binary"}
    upgraded.run(plan.plan)
    assert later(upgraded) == stays
    assert {deed.split()[1] for deed in upgraded.services.deeds if deed.startswith("stop dirsrv")} == stopped
    assert upgraded.leftovers() == []


@pytest.mark.row("R4")
def test_choices_of_two_instances_are_listed(upgraded: OwnHost) -> None:
    backup = data_of(upgraded)
    with pytest.raises(UsageError) as caught:
        planned(upgraded, backup, RestoreOptions(instance="NOSUCH"))
    assert "EXAMPLE-TEST, PKI-IPA" in caught.value.remedy
    with pytest.raises(UsageError) as caught:
        planned(upgraded, backup, RestoreOptions(backend="nosuch"))
    assert "ipaca, userRoot" in caught.value.remedy
    with pytest.raises(UsageError) as caught:
        planned(upgraded, backup, RestoreOptions(instance="PKI-IPA", backend="userRoot"))
    assert "It holds: ipaca." in caught.value.remedy


@pytest.mark.row("B3", "R3")
def test_two_instances_become_backends_of_one_by_ldif(upgraded: OwnHost, modern: OwnHost) -> None:
    modern.directory.entries["userRoot"].append("uid=stranger,dc=example,dc=test")
    backup = backed_up(upgraded, BackupOptions(data=True, online=True, target=upgraded.backups))
    modern.run(planned(modern, backup).plan)
    assert [deed for deed in modern.directory.deeds if deed.startswith("load")] == ["load userRoot", "load ipaca"]
    assert modern.directory.entries == upgraded.directory.entries


@pytest.mark.row("B3", "R3")
def test_backends_of_one_instance_go_to_two_by_ldif(upgraded: OwnHost, modern: OwnHost) -> None:
    backup = backed_up(modern, BackupOptions(data=True, online=True, target=modern.backups))
    upgraded.directory.entries["ipaca"].append(LATER_RECORD)
    upgraded.directory.deeds.clear()
    upgraded.run(planned(upgraded, backup).plan)
    assert upgraded.directory.deeds == ["load userRoot", "load ipaca"]
    assert upgraded.directory.entries == modern.directory.entries
    assert upgraded.leftovers() == []


@pytest.mark.row("R14")
def test_when_the_second_import_fails_both_instances_are_as_before(upgraded: OwnHost, modern: OwnHost) -> None:
    backup = backed_up(modern, BackupOptions(data=True, online=True, target=modern.backups))
    databases = [upgraded.path(f"/var/lib/dirsrv/slapd-{name}/db/data.mdb") for name in ("EXAMPLE-TEST", "PKI-IPA")]
    for database in databases:
        database.write_text(f"{database} as it was")
    load = upgraded.directory.load_as

    def spoil(deed: str, backend: str, source: Path) -> None:
        databases[backend == "ipaca"].write_text("half")
        upgraded.directory.broken = {"load"} if backend == "ipaca" else set()
        load(deed, backend, source)

    upgraded.directory.load_as = spoil  # type: ignore[method-assign]
    with pytest.raises(IpaBackupError, match="load ipaca"):
        upgraded.run(planned(upgraded, backup).plan)
    assert [database.read_text() for database in databases] == [f"{database} as it was" for database in databases]
    assert {DOMAIN, AUTHORITY} <= upgraded.services.active
    assert upgraded.leftovers() == []


@pytest.mark.row("T4", "R1")
@pytest.mark.parametrize("runs", [TODAY, DOGTAG_9])
def test_either_unit_of_a_service_may_be_the_one_that_runs(upgraded: OwnHost, runs: str) -> None:
    _name_authority(upgraded)
    backup = backed_up(upgraded, BackupOptions(target=upgraded.backups))
    upgraded.services.ipa_units = {*upgraded.services.units, DOMAIN, AUTHORITY} - {TODAY, DOGTAG_9} | {runs}
    upgraded.run(planned(upgraded, backup).plan)
    assert runs in upgraded.services.active


@pytest.mark.row("R14")
def test_a_service_of_which_neither_unit_runs_fails_the_restore(upgraded: OwnHost) -> None:
    _name_authority(upgraded)
    backup = backed_up(upgraded, BackupOptions(target=upgraded.backups))
    upgraded.services.ipa_units = {*upgraded.services.units, DOMAIN, AUTHORITY} - {TODAY, DOGTAG_9}
    with pytest.raises(IpaBackupError, match=f"CA \\({TODAY} or {DOGTAG_9}\\)"):
        upgraded.run(planned(upgraded, backup).plan)


def _name_authority(host: OwnHost) -> None:
    """The packages bring both units, and the directory says that there is an authority."""
    host.services.units |= {TODAY, DOGTAG_9}
    host.directory.entries["userRoot"].append(
        f"cn=CA,cn={host.server().host},cn=masters,cn=ipa,cn=etc,dc=example,dc=test"
    )


def test_units_are_told_for_each_service() -> None:
    services = FakeServices({DOGTAG_9, "krb5-kdc.service"})
    assert installed_units(["CA", "KDC", "unheard-of"], services) == {"CA": (DOGTAG_9,), "KDC": ("krb5-kdc.service",)}
