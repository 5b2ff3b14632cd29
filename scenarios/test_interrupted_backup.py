"""However a backup ends, IPA runs again and no half of a backup is left."""

import json
import re

import pytest

from lab.host import Host
from lab.waiting import wait_for
from scenarios.deeds import back_up, services, visible_backups
from scenarios.terminal import Terminal

#: Makes the product fail in the step of that name: docs/failure-rehearsal.md.
FAIL_STEP = "IPABACKUP_FAIL_STEP"


def _leftovers(host: Host) -> list[str]:
    """List what a backup that did not come to its end may leave anywhere, by name."""
    found = host.run(
        ["find", "/var/lib/ipa", "/var/tmp", "/tmp", "/run", "-xdev", "-iname", "*ipa*backup*.partial*"],
        check=False,
    )
    return found.lines + [name for name in visible_backups(host) if not re.fullmatch(r"ipa-(full|data)-.*", name)]


def _assert_nothing_happened(host: Host, running: list[str], backups: list[str]) -> None:
    assert services(host) == running
    assert visible_backups(host) == backups
    assert _leftovers(host) == []
    host.kinit()
    host.run(["ipa", "user-show", "admin"])


@pytest.mark.row("B1")
@pytest.mark.parametrize(("name", "number"), [("INT", 2), ("TERM", 15)])
def test_a_signal_ends_a_backup_with_ipa_running_and_nothing_left(master: Host, name: str, number: int) -> None:
    running, backups = services(master), visible_backups(master)
    backup = master.start(["ipa-backup", "-v"])
    # The moment at which it matters most: the directory server is down.
    wait_for("the backup to stop the directory server", lambda: not _directory_runs(master), limit=60)
    backup.signal(name)
    result = backup.wait()
    assert result.status != 0, result.describe()
    assert result.status in (130, 128 + number), result.describe()
    _assert_nothing_happened(master, running, backups)
    # Nothing stands in the way of the next one either.
    assert back_up(master)


@pytest.mark.row("B1", "R14")
@pytest.mark.parametrize("command", ["ipa-backup", "ipa-restore"])
def test_a_connection_that_breaks_leaves_ipa_running_and_nothing_behind(master: Host, command: str) -> None:
    """Nobody sees any more what is printed, nor can it be. A backup is undone, a restore goes on to its end."""
    options = []
    if command == "ipa-restore":
        options = ["-U", "--data", back_up(master, "--data")]
        master.kinit()
        master.run(["ipa", "user-add", "late", "--first", "Test", "--last", "Late"])
    running, backups = services(master), visible_backups(master)
    terminal = Terminal(master, [command, "-v", *options])
    wait_for("the command to stop the directory server", lambda: not _directory_runs(master), limit=60)
    terminal.hang_up()
    wait_for("the command to end", lambda: not _python_runs(master, command), limit=120)
    _assert_nothing_happened(master, running, backups)
    if command == "ipa-restore":
        assert master.run(["ipa", "user-show", "late"], check=False).status == 2, "the restore was not finished"


@pytest.mark.row("B1")
def test_a_backup_comes_to_its_end_although_its_reader_had_enough(master: Host) -> None:
    before = visible_backups(master)
    piped = '{ ipa-backup -v --data; echo "$?" >"$0"; } | head -n 1'
    shown = master.run(["sh", "-c", piped, "/run/status-of-the-backup"])
    assert len(shown.lines) == 1
    assert master.read_file("/run/status-of-the-backup") == "0\n"
    assert len(visible_backups(master)) == len(before) + 1


def _python_runs(host: Host, command: str) -> bool:
    # What looks for it has its words in its own command line.
    return host.run(["pgrep", "-f", f"python.*[{command[0]}]{command[1:]}"], check=False).status == 0


def _directory_runs(host: Host) -> bool:
    unit = f"dirsrv@{host.instance}.service"
    return host.run(["systemctl", "is-active", "--quiet", unit], check=False).status == 0


@pytest.mark.row("B1", "R14")
def test_a_failure_in_any_step_of_a_backup_leaves_ipa_running_and_nothing_behind(master: Host) -> None:
    running, backups = services(master), visible_backups(master)
    plan = json.loads(master.run(["ipa-backup", "--dry-run", "--json"]).stdout)
    steps = [step["name"] for step in plan["steps"]]
    assert len(steps) > 3, plan
    for step in steps:
        result = master.run(["ipa-backup", "-v"], env={FAIL_STEP: step}, check=False)
        assert result.status == 1, result.describe()
        assert step in result.stderr + result.stdout, result.describe()
        _assert_nothing_happened(master, running, backups)


@pytest.mark.row("B1")
def test_a_backup_of_a_stopped_server_leaves_it_stopped(master: Host) -> None:
    master.run(["ipactl", "stop"])
    stopped = services(master)
    assert not any("RUNNING" in line for line in stopped)
    assert back_up(master)
    assert services(master) == stopped
    master.run(["ipactl", "start"])
    master.kinit()
