"""What must not be done is refused: a message of its own, the documented exit status, a host on which nothing changed.

All share one server, and one host without any: a refusal leaves them as they were, which each of them looks at.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lab.execute import CommandResult
from lab.host import Host
from scenarios.conftest import RealmMaker
from scenarios.deeds import BACKUPS, CONFIGURATION, back_up
from scenarios.terminal import Terminal

USAGE, REFUSED, BAD_BACKUP, WRONG_PASSWORD = 2, 3, 4, 6

#: Everything that a refusal must leave alone, a line each: files, the very files of the databases, what the directory
#: holds, and which processes the services have had since when.  Left out is what the directory server writes by itself
#: half a minute after its start, and what a ticket for a service changes.
_STATE = """
find /etc /var/lib/ipa /var/lib/dirsrv /usr/local -xdev \\( -path '*/db/*' -o -name 'dse.ldif*' \\) -prune -o \
  -type f -printf '%p %s %T@ %U:%G %m\\n' | sort | sha256sum
find /var/lib/dirsrv -xdev -path '*/db/*' -type f -printf '%p %i\\n' | sort
for socket in /run/slapd-*.socket; do
  if [ -S "$socket" ]; then
    ldapsearch -Q -LLL -o ldif-wrap=no -Y EXTERNAL -H "ldapi://$(echo "$socket" | sed s,/,%2F,g)" \
      -b "$0" '(!(objectClass=dnaSharedConfig))' '*' nsUniqueId | grep -v '^krbLast' | sha256sum
  fi
done
systemctl show --property=Id,MainPID,ActiveState,ActiveEnterTimestampMonotonic \
  'dirsrv*' 'krb5*' 'named*' 'bind9*' 'apache2*' 'httpd*' 'pki*' 'ipa*' 'certmonger*' 'sssd*'
"""


@dataclass(frozen=True)
class Backup:
    """A server and a good full backup of it."""

    host: Host
    path: str


@pytest.fixture(scope="module")
def backup(make_shared_realm: RealmMaker) -> Backup:
    """A good backup, for tests to spoil copies of."""
    master = make_shared_realm().master
    return Backup(master, back_up(master))


@pytest.fixture(scope="module")
def bare(make_shared_realm: RealmMaker, backup: Backup) -> Backup:
    """A host with nothing installed that has the server's name and its backup."""
    host = make_shared_realm(installed=False).master
    host.run(["mkdir", "-p", backup.path])
    for name in ("header", "ipa-full.tar"):
        host.write_file(f"{backup.path}/{name}", backup.host.read_bytes(f"{backup.path}/{name}"), mode=0o600)
    return Backup(host, backup.path)


def _state(host: Host) -> str:
    return host.run(["sh", "-c", _STATE, host.topology.suffix]).stdout


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


def _copy(host: Host, backup: str, name: str, *, header: str = "") -> str:
    """A copy of a backup, its header edited with sed."""
    copy = f"{BACKUPS}/{name}"
    host.run(["cp", "-a", backup, copy])
    if header:
        host.run(["sed", "-i", "-E", header, f"{copy}/header"])
    return copy


@pytest.mark.row("R13")
def test_bad_backups_are_refused_before_anything_is_stopped(backup: Backup) -> None:
    """No backup, a truncated, altered or missing payload, an unknown format: each says in its own words what it is."""
    host = backup.host
    size = int(host.run(["stat", "-c", "%s", f"{backup.path}/ipa-full.tar"]).stdout)
    truncated = _copy(host, backup.path, "ipa-full-truncated")
    host.run(["truncate", "-s", str(size // 2), f"{truncated}/ipa-full.tar"])
    flipped = _copy(host, backup.path, "ipa-full-flipped")
    middle = ["dd", f"of={flipped}/ipa-full.tar", "bs=1", f"seek={size // 2}", "conv=notrunc", "status=none"]
    byte = host.run(["od", "-An", "-tu1", "-N1", f"-j{size // 2}", f"{flipped}/ipa-full.tar"]).stdout
    host.run(middle, input=bytes([int(byte) ^ 0x10]))
    missing = _copy(host, backup.path, "ipa-full-missing")
    host.run(["rm", f"{missing}/ipa-full.tar"])
    unknown = _copy(host, backup.path, "ipa-full-unknown", header="s/^version *=.*/version = 97/")

    messages = set()
    for path, *words in (
        (f"{BACKUPS}/no-such", "no-such"),
        ("/etc/ipa", "/etc/ipa"),
        (truncated, "ipa-full.tar", "truncated"),
        (flipped, "ipa-full.tar"),
        (missing, "ipa-full.tar"),
        (unknown, "97"),
    ):
        refused = _refuse(host, ["ipa-restore", "-U", path], BAD_BACKUP, *words)
        messages.add(refused.stderr.replace(path, "PATH"))
    assert len(messages) == 6, messages


@pytest.mark.row("R13")
def test_a_header_that_was_exchanged_is_refused(backup: Backup) -> None:
    foreign = _copy(backup.host, backup.path, "ipa-full-foreign", header="s/^host *=.*/host = ipa9.example.test/")
    _refuse(backup.host, ["ipa-restore", "-U", foreign], BAD_BACKUP, "ipa9.example.test", backup.host.fqdn)


@pytest.mark.row("B4", "R13")
def test_no_password_is_needed_and_a_wrong_one_is_refused(backup: Backup) -> None:
    """The backup here was made without one."""
    commands = (
        ["ipa-backup"],
        ["ipa-backup", "--data"],
        ["ipa-restore", "-U", backup.path],
        ["ipa-restore", "-U", "--data", backup.path],
    )
    for command in commands:
        refused = _refuse(backup.host, [*command, "-p", "not-this-one"], WRONG_PASSWORD, "password is wrong")
        assert "not-this-one" not in refused.stderr + refused.stdout


@pytest.mark.row("B2", "R2", "R4")
@pytest.mark.parametrize(
    "argv",
    [
        ["ipa-backup", "--online"],
        ["ipa-backup", "--data", "--logs"],
        ["ipa-backup", "--data", "--hot"],
        ["ipa-restore", "-U", "--online", "{full}"],
        ["ipa-restore", "-U", "--backend", "userRoot", "{full}"],
        ["ipa-restore", "-U", "--instance", "EXAMPLE-TEST", "{full}"],
    ],
    ids=lambda argv: "-".join(word.lstrip("-") for word in argv if not word.startswith("{")),
)
def test_options_that_exclude_each_other_are_usage_errors(backup: Backup, argv: list[str]) -> None:
    words = [word for word in argv if word.startswith("--")]
    _refuse(backup.host, [word.format(full=backup.path) for word in argv], USAGE, *words[-1:])


@pytest.mark.row("R4")
def test_an_unknown_instance_or_backend_is_refused_with_the_choices(backup: Backup) -> None:
    host = backup.host
    restore = ["ipa-restore", "-U", "--data"]
    _refuse(host, [*restore, "--backend", "nosuch", backup.path], USAGE, "nosuch", "userRoot", "ipaca")
    _refuse(host, [*restore, "--instance", "NOSUCH", backup.path], USAGE, "NOSUCH", host.instance)


@pytest.mark.row("B13", "R13")
@pytest.mark.parametrize("command", ["ipa-backup", "ipa-restore"])
def test_unknown_options_and_other_users_are_refused(backup: Backup, command: str) -> None:
    _refuse(backup.host, [command, "--no-such-option"], USAGE, "--no-such-option")
    argument = [f"{BACKUPS}/any"] if command == "ipa-restore" else []
    _refuse(backup.host, ["setpriv", "--reuid=nobody", "--clear-groups", command, *argument], REFUSED, "root")


@pytest.mark.row("R7")
def test_a_restore_without_a_terminal_and_without_leave_is_refused(backup: Backup) -> None:
    _refuse(backup.host, ["ipa-restore", backup.path], REFUSED, "-U")


@pytest.mark.row("R7", "R13")
def test_the_question_names_what_is_lost_and_holds_off_every_other_command_until_it_is_answered(backup: Backup) -> None:
    """Another IPA version is warned about; while the question waits nothing else may begin; ``no`` changes nothing."""
    host = backup.host
    other = _copy(host, backup.path, "ipa-full-older", header="s/^ipa_version *=.*/ipa_version = 4.6.8/")
    before = _state(host)
    terminal = Terminal(host, ["ipa-restore", other])
    terminal.wait_shown("Restore?")
    shown = terminal.shown
    assert "IPA 4.6.8" in shown
    for lost in (f"the IPA server {host.fqdn}", f"all data of {host.topology.suffix}", "all data of o=ipaca"):
        assert lost in shown

    for command in (["ipa-backup"], ["ipa-backup", "--data", "--online"], ["ipa-restore", "-U", backup.path]):
        _refuse(host, command, REFUSED, "another operation is running: ipa-restore (pid ")

    terminal.type("no")
    declined = terminal.wait()
    assert declined.status == REFUSED, terminal.shown
    assert "not confirmed" in terminal.shown
    assert _state(host) == before


@pytest.mark.row("R7")
def test_an_unattended_restore_of_another_version_warns_and_goes_on_without_a_question(backup: Backup) -> None:
    """At a terminal, where it could ask; nobody answers."""
    other = _copy(backup.host, backup.path, "ipa-full-elder", header="s/^ipa_version *=.*/ipa_version = 4.6.7/")
    terminal = Terminal(backup.host, ["ipa-restore", "-U", "--data", "--online", other])
    done = terminal.wait()
    assert done.status == 0, terminal.shown
    assert "warning: The backup was made by IPA 4.6.7" in terminal.shown
    assert "?" not in terminal.shown


@pytest.mark.row("R13", "R2")
def test_a_host_without_a_server_has_nothing_to_back_up_and_takes_no_data(bare: Backup) -> None:
    _refuse(bare.host, ["ipa-backup"], REFUSED, "No IPA server is configured")
    _refuse(bare.host, ["ipa-restore", "-U", "--data", bare.path], REFUSED, "No IPA server is configured")


@pytest.mark.row("R3")
def test_a_full_backup_of_another_host_is_refused(bare: Backup) -> None:
    """By its name alone: under the right one the same restore is planned."""
    host = bare.host
    names = host.read_file("/etc/hosts")
    host.run(["sh", "-c", "cat >/etc/hosts"], input=f"{host.address} ipa9.example.test\n{names}")
    host.run(["hostname", "ipa9.example.test"])
    _refuse(host, ["ipa-restore", "-U", bare.path], REFUSED, host.fqdn, "ipa9.example.test")
    host.run(["hostname", host.fqdn])
    host.run(["sh", "-c", "cat >/etc/hosts"], input=names)
    planned = host.run(["ipa-restore", "-U", "--dry-run", bare.path])
    assert f"Full restore of {host.fqdn}" in planned.stdout
    assert not host.testinfra.file(CONFIGURATION).exists


@pytest.mark.row("R12")
def test_software_that_the_host_lacks_is_refused_with_the_packages_name(bare: Backup) -> None:
    """The backed up server has DNS; the package that brings it is not on this host."""
    host = bare.host
    host.run(["dpkg", "--remove", "--force-depends", "bind9"])
    _refuse(host, ["ipa-restore", "-U", bare.path], REFUSED, "not installed", "DNS", "bind9")
