"""Bad input: a message that names the thing, the documented exit status, a host on which nothing changed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lab.execute import CommandResult
from lab.host import Host
from scenarios.conftest import RealmMaker
from scenarios.deeds import BACKUPS, CONFIGURATION, back_up, restore, services, uninstall

USAGE, REFUSED, BAD_BACKUP = 2, 3, 4

#: Everything about the files that a refusal must leave alone, in one number.
_STATE = """
find /etc /var/lib/ipa /var/lib/dirsrv /usr/local -xdev \\( -path '*/db/*' -o -name '*.mdb' \\) -prune -o \
  -type f -printf '%p %s %T@ %U:%G %m\\n' | sort | sha256sum
"""


@dataclass(frozen=True)
class Backup:
    """A server and a good backup of it."""

    host: Host
    path: str


@pytest.fixture
def backup(master: Host) -> Backup:
    """A good backup, for tests to spoil copies of."""
    return Backup(master, back_up(master))


def _state(host: Host) -> tuple[str, list[str]]:
    return host.run(["sh", "-c", _STATE]).stdout, services(host)


def _refuse(host: Host, argv: list[str], status: int, *words: str) -> CommandResult:
    """Run a command that has to be refused, and see that it changed nothing."""
    before = _state(host)
    result = host.run(argv, check=False)
    assert result.status == status, result.describe()
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr, result.describe()
    assert _state(host) == before
    return result


def _copy(host: Host, backup: str, name: str) -> str:
    copy = f"{BACKUPS}/{name}"
    host.run(["cp", "-a", backup, copy])
    return copy


@pytest.mark.row("R13")
def test_bad_backups_are_refused_before_anything_is_stopped(backup: Backup) -> None:
    host = backup.host
    _refuse(host, ["ipa-restore", "-U", f"{BACKUPS}/no-such"], BAD_BACKUP, "no-such")
    _refuse(host, ["ipa-restore", "-U", "/etc/ipa"], BAD_BACKUP, "/etc/ipa")

    truncated = _copy(host, backup.path, "ipa-full-truncated")
    payload = f"{truncated}/ipa-full.tar"
    size = int(host.run(["stat", "-c", "%s", payload]).stdout)
    host.run(["truncate", "-s", str(size // 2), payload])
    _refuse(host, ["ipa-restore", "-U", truncated], BAD_BACKUP, "ipa-full.tar", "truncated")

    flipped = _copy(host, backup.path, "ipa-full-flipped")
    middle = ["dd", f"of={flipped}/ipa-full.tar", "bs=1", f"seek={size // 2}", "conv=notrunc", "status=none"]
    host.run(middle, input=b"\xff\x00\xff\x00\xff\x00\xff\x00")
    _refuse(host, ["ipa-restore", "-U", flipped], BAD_BACKUP, "ipa-full.tar")

    missing = _copy(host, backup.path, "ipa-full-missing")
    host.run(["rm", f"{missing}/ipa-full.tar"])
    _refuse(host, ["ipa-restore", "-U", missing], BAD_BACKUP, "ipa-full.tar")

    unknown = _copy(host, backup.path, "ipa-full-unknown")
    host.run(["sed", "-i", "-E", "s/^version *=.*/version = 97/", f"{unknown}/header"])
    _refuse(host, ["ipa-restore", "-U", unknown], BAD_BACKUP, "97")


@pytest.mark.row("R3")
def test_a_full_backup_of_another_host_is_refused(backup: Backup) -> None:
    host = backup.host
    uninstall(host)
    host.run(["hostname", "ipa9.example.test"])
    result = host.run(["ipa-restore", "-U", backup.path], check=False)
    assert result.status == REFUSED, result.describe()
    for name in (host.fqdn, "ipa9.example.test"):
        assert name in result.stderr, result.describe()
    assert not host.testinfra.file(CONFIGURATION).exists

    host.run(["hostname", host.fqdn])
    restore(host, backup.path)


@pytest.mark.row("R13")
def test_a_header_that_was_exchanged_is_refused(backup: Backup) -> None:
    foreign = _copy(backup.host, backup.path, "ipa-full-foreign")
    backup.host.run(["sed", "-i", "-E", "s/^host *=.*/host = ipa9.example.test/", f"{foreign}/header"])
    _refuse(backup.host, ["ipa-restore", "-U", foreign], BAD_BACKUP, "ipa9.example.test", backup.host.fqdn)


@pytest.mark.row("R7")
def test_a_restore_without_a_terminal_and_without_leave_is_refused(backup: Backup) -> None:
    _refuse(backup.host, ["ipa-restore", backup.path], REFUSED, "-U")


@pytest.mark.row("B13", "R13")
@pytest.mark.parametrize("command", ["ipa-backup", "ipa-restore"])
def test_unknown_options_and_other_users_are_refused(master: Host, command: str) -> None:
    _refuse(master, [command, "--no-such-option"], USAGE, "--no-such-option")
    argument = [f"{BACKUPS}/any"] if command == "ipa-restore" else []
    _refuse(master, ["setpriv", "--reuid=nobody", "--clear-groups", command, *argument], REFUSED, "root")


@pytest.mark.row("R13")
def test_a_host_without_a_server_has_nothing_to_back_up(make_realm: RealmMaker) -> None:
    host = make_realm(installed=False).master
    result = host.run(["ipa-backup"], check=False)
    assert result.status == REFUSED, result.describe()
    assert "No IPA server is configured" in result.stderr
    assert "Traceback" not in result.stderr
