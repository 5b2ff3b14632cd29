"""The accounts that own files are gone, and a stranger has one's number."""

import pytest

from lab.host import Host
from scenarios.checks import Outline
from scenarios.deeds import back_up, restore, uninstall

IMPOSTOR = "ipatest_user1"
#: The accounts of an identity server, and what a server has to have for each to own anything.
ACCOUNTS = {"dirsrv": "", "pkiuser": "ca"}

#: Prints each file that belongs to one of the accounts: kind, owner, group, mode, path.
_OWNED = "find / -xdev \\( -path /proc -o -path /sys -o -path /var/lib/ipa/backup \\) -prune -o \\( {who} \\) -print0"


def _owned_by(host: Host, *accounts: str) -> list[str]:
    who = " -o ".join(f"-user {account} -o -group {account}" for account in accounts)
    return sorted(host.run(["sh", "-c", _OWNED.format(who=who)]).stdout.rstrip("\0").split("\0"))


def _names(host: Host, paths: list[str]) -> dict[str, str]:
    result = host.run(["xargs", "-0", "stat", "-c", "%n|%U:%G %a"], input="\0".join(paths), check=False)
    return dict(line.rsplit("|", 1) for line in result.lines)


@pytest.mark.row("T2", "R10")
def test_files_belong_to_the_right_names_although_a_stranger_took_a_freed_number(master: Host) -> None:
    accounts = [name for name, needs in ACCOUNTS.items() if not needs or needs in master.member.capabilities]
    outline = Outline.note(master)
    backup = back_up(master)
    # Configuration, keys and keytabs: what stays the same while a server works.
    steady = [path for path in _owned_by(master, *accounts) if path.startswith("/etc/")]
    assert steady
    before = _names(master, steady)
    uninstall(master)

    freed = master.run(["id", "-u", "dirsrv"]).stdout.strip()
    for account in accounts:
        master.run(["userdel", account])
        assert not master.testinfra.user(account).exists
    master.run(["useradd", "--system", "--uid", freed, IMPOSTOR])
    assert master.testinfra.user(IMPOSTOR).uid == int(freed)

    restore(master, backup)

    outline.assert_unchanged()
    for account in accounts:
        assert master.testinfra.user(account).exists
        assert str(master.testinfra.user(account).uid) != freed
    assert _names(master, steady) == before
    theirs = [path for path in _owned_by(master, IMPOSTOR) if path]
    assert theirs == [], "files belong to the stranger"
    running = master.run(["ps", "-C", "ns-slapd", "-o", "user="]).stdout.split()
    assert running == ["dirsrv"]

    uninstall(master)
    master.run(["userdel", IMPOSTOR])
