"""A server that was upgraded in place for years: the CA has a directory instance of its own, slapd-PKI-IPA on 7389.

A restore brings that instance back as it was; it is no way to be rid of it.
"""

from __future__ import annotations

import json

import pytest

from lab.host import Host
from scenarios.checks import Outline
from scenarios.conftest import RealmMaker
from scenarios.deeds import BACKUPS, back_up, new_keys, restore, uninstall
from scenarios.masters import CA_SUFFIX, entry_exists, write_certificate, write_user

AUTHORITY = "PKI-IPA"
DOMAIN_PORT, AUTHORITY_PORT = 389, 7389
#: What such servers have, and younger ones do not.
OLD_PATHS = (
    f"/etc/dirsrv/slapd-{AUTHORITY}/dse.ldif",
    f"/usr/lib/dirsrv/slapd-{AUTHORITY}/db2bak",
    "/var/lib/dirsrv/scripts-EXAMPLE-TEST/start-slapd",
    "/etc/pki-ca/CS.cfg",
    "/var/lib/pki-ca/alias/ca_signing.key",
    "/var/log/pki-ca/signedAudit",
)


def _suffixes(host: Host, port: int) -> list[str]:
    """What the directory server on a port says that it holds."""
    import ldap

    with host.ldap(port) as connection:
        ((_, entry),) = connection.search_s("", ldap.SCOPE_BASE, "(objectClass=*)", ["namingContexts"])
    return sorted(value.decode() for value in entry["namingContexts"])


def _process(host: Host, instance: str) -> str:
    return host.run(["systemctl", "show", "--property=MainPID,NRestarts", f"dirsrv@{instance}.service"]).stdout


def _assert_two_instances(host: Host) -> None:
    """Two processes, each with its own suffix and the older database; nothing of one is in the other."""
    assert _suffixes(host, DOMAIN_PORT) == [host.topology.suffix]
    assert _suffixes(host, AUTHORITY_PORT) == [CA_SUFFIX]
    processes = {_process(host, name) for name in (host.instance, AUTHORITY)}
    assert len(processes) == 2, processes
    assert not any("MainPID=0" in process for process in processes), processes
    for name in (host.instance, AUTHORITY):
        assert "nsslapd-backend-implement: bdb" in host.read_file(f"/etc/dirsrv/slapd-{name}/dse.ldif")
        assert host.testinfra.file(f"/var/lib/dirsrv/slapd-{name}/db/DBVERSION").exists


def _described(host: Host) -> list[str]:
    return host.run(["stat", "-c", "%n %U:%G %a", *OLD_PATHS]).lines


@pytest.mark.topology("upgraded")
@pytest.mark.row("T4", "L6", "B3", "R1")
def test_a_heavily_upgraded_server_comes_back_with_its_second_instance(master: Host) -> None:
    outline = Outline.note(master)
    _assert_two_instances(master)
    old_paths = _described(master)
    backup = back_up(master)
    assert f"instances = {master.instance}:userRoot;{AUTHORITY}:ipaca\n" in master.read_file(f"{backup}/header")
    outline.assert_unchanged()

    uninstall(master)
    for path in OLD_PATHS:
        assert not master.testinfra.file(path).exists, path
    restore(master, backup)

    outline.assert_unchanged()
    _assert_two_instances(master)
    assert _described(master) == old_paths
    assert entry_exists(master, write_certificate(master, "after"), AUTHORITY_PORT), "the CA uses its own instance"


@pytest.mark.topology("upgraded")
@pytest.mark.row("L6", "B3", "R2", "R4")
def test_each_of_two_instances_is_restored_alone_or_with_the_other(master: Host) -> None:
    outline = Outline.note(master)
    backup = back_up(master, "--data")
    for option, wrong, known in (
        ("--instance", "NOSUCH", (master.instance, AUTHORITY)),
        ("--backend", "nosuch", ("userRoot", "ipaca")),
    ):
        refused = master.run(["ipa-restore", "-U", option, wrong, backup], check=False)
        assert refused.status == 2, refused.describe()
        for name in (wrong, *known):
            assert name in refused.stderr, refused.describe()

    user, record = write_user(master, "later"), write_certificate(master, "later")
    before = _process(master, master.instance)
    restore(master, backup, "--instance", AUTHORITY)
    assert not entry_exists(master, record, AUTHORITY_PORT), "the certificate's record is younger than the backup"
    assert entry_exists(master, user), "the domain's instance was not asked for"
    assert _process(master, master.instance) == before, "nor was it stopped"

    record = write_certificate(master, "again")
    before = _process(master, AUTHORITY)
    restore(master, backup, "--instance", f"slapd-{master.instance}")
    assert not entry_exists(master, user)
    assert entry_exists(master, record, AUTHORITY_PORT)
    assert _process(master, AUTHORITY) == before

    both = [_process(master, name) for name in (master.instance, AUTHORITY)]
    user = write_user(master, "later")
    restore(master, backup, "--online", "--backend", "ipaca")
    assert not entry_exists(master, record, AUTHORITY_PORT)
    assert entry_exists(master, user)
    master.run(["ipa", "user-del", "later"])
    user, record = write_user(master, "later"), write_certificate(master, "later")
    assert [_process(master, name) for name in (master.instance, AUTHORITY)] == both, "online nothing is stopped"
    restore(master, backup)
    assert not entry_exists(master, user)
    assert not entry_exists(master, record, AUTHORITY_PORT)
    outline.assert_unchanged()
    _assert_two_instances(master)


@pytest.mark.row("L6", "B3", "R3")
def test_data_goes_by_ldif_between_one_instance_and_two(make_realm: RealmMaker) -> None:
    old, young = make_realm("upgraded").master, make_realm("single").master
    user, record = write_user(old, "veteran"), write_certificate(old, "veteran")
    number = old.run(["id", "-u", "veteran"]).stdout
    backup, youngs_own = (back_up(host, "--data", "--online") for host in (old, young))
    youngster = write_user(young, "youngster")

    _copy(old, young, backup)
    assert json.loads(young.run(["ipa-restore", "--dry-run", "--json", backup]).stdout)["method"] == ["ldif", "ldif"]
    restore(young, backup, "--online")
    assert _suffixes(young, DOMAIN_PORT) == sorted([young.topology.suffix, CA_SUFFIX])
    assert entry_exists(young, user)
    assert entry_exists(young, record), "the records of the second instance are in the only one"
    assert not entry_exists(young, youngster)
    new_keys(young)
    young.kinit()
    assert "User login: veteran" in young.run(["ipa", "user-show", "veteran"]).stdout
    assert young.run(["id", "-u", "veteran"]).stdout == number

    _copy(young, old, youngs_own)
    restore(old, youngs_own)
    _assert_two_instances(old)
    assert not entry_exists(old, user)
    assert not entry_exists(old, record, AUTHORITY_PORT)


def _copy(source: Host, target: Host, backup: str) -> None:
    """Carry a backup from one host to another."""
    chunks, _ = source.container.get_archive(backup)
    target.unpack(b"".join(chunks), BACKUPS)
