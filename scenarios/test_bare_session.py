"""Backup and restore from the barest of sessions, as cron's: a short PATH, a narrow umask, no folder to work in."""

import pytest

from lab.execute import CommandResult
from lab.host import Host
from scenarios.checks import Outline
from scenarios.deeds import uninstall, visible_backups
from scenarios.keys import make_key

_SESSION = 'umask 077; exec env -i PATH=/usr/bin:/bin TMPDIR=/run/gone "$@"'


def _bare(host: Host, command: str, *options: str) -> CommandResult:
    """Run a command, which is in none of the folders of PATH: no HOME, no locale, no system programs."""
    found = host.run(["sh", "-c", 'command -v "$1"', "sh", command]).stdout.strip()
    return host.run(["sh", "-c", _SESSION, "sh", found, *options], timeout=900)


@pytest.mark.row("B1", "B9", "R1")
@pytest.mark.parametrize("version", ["1", "2"])
def test_cron_backs_up_and_restores_as_an_administrator_does(master: Host, version: str) -> None:
    make_key(master, "/root/.gnupg")
    outline = Outline.note(master)
    _bare(master, "ipa-backup", "--gpg", f"--format={version}")
    outline.assert_unchanged()
    (name,) = visible_backups(master)
    uninstall(master)
    _bare(master, "ipa-restore", "-U", name)
    outline.assert_unchanged()
