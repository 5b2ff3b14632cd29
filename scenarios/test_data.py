"""The directory's data alone: backed up, restored, offline and online."""

import pytest

from lab.host import Host
from lab.topology import SHIPPED
from lab.waiting import wait_for
from scenarios.checks import Outline
from scenarios.deeds import back_up, restore, services, uninstall
from scenarios.probe import clients


def _add_user(host: Host, name: str) -> None:
    host.run(["ipa", "user-add", name, "--first", "Test", "--last", "User"])
    host.run(["ipa", "user-show", name])
    # SSSD looks a moment later whether the directory is back.
    wait_for(f"SSSD to know {name}", lambda: host.run(["id", name], check=False).status == 0, limit=30)


def _assert_gone(host: Host, name: str) -> None:
    shown = host.run(["ipa", "user-show", name], check=False)
    assert shown.status == 2, shown.describe()
    assert f"{name}: user not found" in shown.stderr
    found = host.run(["id", name], check=False)
    assert "no such user" in found.stderr, found.describe()


def _directory_process(host: Host) -> str:
    return host.run(["systemctl", "show", "--property=MainPID,NRestarts", f"dirsrv@{host.instance}.service"]).stdout


@pytest.mark.row("T5", "B2", "R2")
def test_a_user_added_after_a_data_backup_is_gone_after_its_restore(master: Host) -> None:
    outline = Outline.note(master)
    backup = back_up(master, "--data")
    assert "/ipa-data-" in backup
    _add_user(master, "testuser")
    restore(master, backup)
    _assert_gone(master, "testuser")
    outline.assert_unchanged()


@pytest.mark.row("B2", "B3")
@pytest.mark.topology(str(SHIPPED / "single.toml"))
def test_a_database_is_archived_without_its_free_pages(master: Host) -> None:
    """One that LMDB keeps, as on the lab's usual server; what is archived is what it has in use."""
    backup = back_up(master, "--data", "--online")
    stored = f"data/{master.instance}/binary/data.mdb"
    listed = master.run(["sh", "-c", f"zstd -dc {backup}/ipa-data.tar | tar -tv {stored}"]).stdout.split()
    live = int(master.run(["stat", "-c", "%s", f"/var/lib/dirsrv/slapd-{master.instance}/db/data.mdb"]).stdout)
    assert 0 < int(listed[2]) < live


@pytest.mark.row("T6", "B2", "R2")
def test_data_goes_back_while_the_directory_server_runs(master: Host) -> None:
    outline = Outline.note(master)
    process = _directory_process(master)
    with clients(master) as seen:
        backup = back_up(master, "--data", "--online")
    for name in ("ldap", "kdc"):
        assert seen.services[name].answers > 5
        assert seen.services[name].failures == [], "an online backup is noticed by nobody"

    _add_user(master, "testuser")
    with clients(master) as seen:
        restore(master, backup, "--online")
    print(f"while restoring online the directory did not answer for {seen.services['ldap'].longest_gap:.2f} s")
    assert seen.services["ldap"].longest_gap < 5

    _assert_gone(master, "testuser")
    assert _directory_process(master) == process, "the directory server was never stopped"
    outline.assert_unchanged()


#: Kills the directory server as soon as its errors log says that it takes a database away in order to fill it.  On an
#: overlay file system tail looks only now and then: as often as it is told.
_KILL_IN_TASK = """
pid=$(systemctl show --property=MainPID --value "dirsrv@$0.service")
tail -n 0 -s 0.01 -F "/var/log/dirsrv/slapd-$0/errors" | { grep -q -m 1 'Bringing .* offline'; kill -SEGV "$pid"; }
"""

#: Takes the place of systemctl, for once: whoever asks what runs, when the server has worked off an import, finds that
#: it has ended.
_DEAD_WHEN_ASKED = """#!/bin/sh
if [ "$1" = is-active ] && grep -q 'Import complete' /var/log/dirsrv/slapd-{instance}/errors; then
    rm "$0"
    systemctl kill --kill-whom=main --signal=SEGV dirsrv@{instance}.service
    while systemctl is-active --quiet dirsrv@{instance}.service; do sleep 0.05; done
fi
exec /usr/bin/systemctl "$@"
"""


@pytest.mark.row("R2", "R14")
def test_what_a_running_directory_server_dies_of_is_done_while_it_is_stopped(master: Host) -> None:
    """Of the online task that imports an LDIF: seen once, with 100,000 users."""
    outline = Outline.note(master)
    backup = back_up(master, "--data", "--online")
    _add_user(master, "testuser")
    process = _directory_process(master)

    killing = master.start(["sh", "-c", _KILL_IN_TASK, master.instance])
    said = restore(master, backup, "--online", "--backend", "userRoot")
    killing.wait()
    assert "ended in the middle of the import task" in said.stdout
    assert _directory_process(master) != process

    _assert_gone(master, "testuser")
    outline.assert_unchanged()


@pytest.mark.row("R2", "R14")
def test_a_directory_server_that_has_died_when_its_data_is_counted_is_started_again(master: Host) -> None:
    outline = Outline.note(master)
    backup = back_up(master, "--data", "--online")
    _add_user(master, "testuser")
    process = _directory_process(master)

    master.run(["truncate", "--size=0", f"/var/log/dirsrv/slapd-{master.instance}/errors"])
    master.write_file("/usr/local/sbin/systemctl", _DEAD_WHEN_ASKED.format(instance=master.instance), mode=0o755)
    said = restore(master, backup, "--online", "--backend", "userRoot")
    assert "does not run any more" in said.stdout
    assert "Going on while" not in said.stdout, "it died after the import, not of it"
    assert _directory_process(master) != process

    _assert_gone(master, "testuser")
    outline.assert_unchanged()


@pytest.mark.row("R2", "R4")
def test_the_data_of_a_full_backup_can_be_restored_alone_and_by_backend(master: Host) -> None:
    outline = Outline.note(master)
    backup = back_up(master)
    master.kinit()
    _add_user(master, "testuser")
    marker = "/etc/ipa/made-after-the-backup"
    master.write_file(marker, "files stay as they are")

    restore(master, backup, "--data", "--backend", "userRoot", "--instance", master.instance)
    _assert_gone(master, "testuser")
    assert master.testinfra.file(marker).exists
    outline.assert_unchanged()


@pytest.mark.row("B1", "B2")
def test_an_offline_data_backup_stops_the_directory_alone_and_starts_it_again(master: Host) -> None:
    before = services(master)
    certmonger = master.run(["systemctl", "show", "--property=MainPID", "apache2.service", "httpd.service"]).stdout
    failed = master.run(["ipa-backup", "--data"], env={"IPABACKUP_FAIL_STEP": "copy-data"}, check=False)
    assert failed.status == 1, failed.describe()
    assert services(master) == before
    back_up(master, "--data")
    assert services(master) == before
    after = master.run(["systemctl", "show", "--property=MainPID", "apache2.service", "httpd.service"]).stdout
    assert after == certmonger


@pytest.mark.row("R14")
def test_a_restore_that_fails_leaves_the_directory_as_it_was(master: Host) -> None:
    backup = back_up(master, "--data")
    master.kinit()
    _add_user(master, "testuser")
    outline = Outline.note(master)
    failed = master.run(["ipa-restore", "-U", backup], env={"IPABACKUP_FAIL_STEP": "restore-data"}, check=False)
    assert failed.status == 1, failed.describe()
    outline.assert_unchanged()
    master.run(["ipa", "user-show", "testuser"])


@pytest.mark.row("B1", "B2", "R1")
def test_a_hot_backup_is_noticed_by_nobody_and_brings_the_server_back(master: Host) -> None:
    outline = Outline.note(master)
    with clients(master) as seen:
        backup = back_up(master, "--hot")
    for name in ("ldap", "kdc"):
        assert seen.services[name].answers > 5
        assert seen.services[name].failures == []
    uninstall(master)
    restore(master, backup)
    outline.assert_unchanged()
