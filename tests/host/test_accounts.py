"""Accounts: lookups on this host, creation by the right command, owners by name."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from ipabackup.errors import IpaBackupError
from ipabackup.host.accounts import ByName, Group, SystemAccounts, User
from tests.fakes.accounts import FakeAccounts
from tests.fakes.processes import FakeProcesses

pytestmark = pytest.mark.row("R10")
DIRSRV = User("dirsrv", 389, 389, "dirsrv", "/usr/share/dirsrv", "/usr/sbin/nologin", "389-ds", ("ssl-cert",))
PKIUSER = User("pkiuser", 17, 17, "pkiuser", "/usr/share/pki", "/usr/sbin/nologin")
IMPOSTOR = User("ipatest_user1", 389, 1001, "ipatest_user1", "/", "/bin/sh")


class Recording(SystemAccounts):
    """The real adapter, but what exists is made up: only the commands are looked at."""

    def __init__(self, processes: FakeProcesses, known: FakeAccounts) -> None:
        super().__init__(processes)
        self.user = known.user  # type: ignore[method-assign]
        self.group = known.group  # type: ignore[method-assign]
        self.user_of = known.user_of  # type: ignore[method-assign]
        self.group_of = known.group_of  # type: ignore[method-assign]


def test_this_hosts_own_accounts_are_found() -> None:
    accounts = SystemAccounts(FakeProcesses())
    root = accounts.user("root")
    assert root is not None
    assert (root.uid, root.gid, root.group, root.home) == (0, 0, "root", pwd.getpwnam("root").pw_dir)
    assert accounts.user_of(0) == root
    assert accounts.group("root") == accounts.group_of(0) == Group("root", 0)
    assert accounts.user("no-such-user") is None
    assert accounts.group("no-such-group") is None
    assert accounts.user_of(4_000_000_000) is None
    assert accounts.group_of(4_000_000_000) is None
    assert accounts.is_local("root")
    assert not accounts.is_local("roo")


def test_an_account_stands_in_the_hosts_own_files_or_not(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("local:x:1:1::/:/bin/sh\n")
    (tmp_path / "group").write_text("crew:x:1:\n")
    accounts = SystemAccounts(FakeProcesses(), etc=tmp_path)
    assert [accounts.is_local(name) for name in ("local", "crew", "admin")] == [True, True, False]


def test_a_free_number_is_used_again_and_a_taken_one_is_not() -> None:
    known = FakeAccounts(groups=(Group("ssl-cert", 110),))

    def useradd(argv: tuple[str, ...]) -> str:
        known.groups.setdefault("dirsrv", Group("dirsrv", 389))
        if argv[0] == "useradd":
            known.users["dirsrv"] = DIRSRV
        return ""

    processes = FakeProcesses(useradd)
    assert Recording(processes, known).create_user(DIRSRV) == DIRSRV
    assert " ".join(processes.ran[0]) == "groupadd --system --gid 389 -- dirsrv"
    made = processes.ran[1]
    assert made[:2] == ("useradd", "--system")
    assert made[made.index("--uid") + 1] == "389"
    assert made[made.index("--groups") + 1] == "ssl-cert"
    assert made[-2:] == ("--", "dirsrv")

    known.users = {"ipatest_user1": IMPOSTOR}
    known.groups = {"other": Group("other", 389)}
    processes.ran.clear()
    Recording(processes, known).create_user(DIRSRV)
    assert " ".join(processes.ran[0]) == "groupadd --system -- dirsrv"
    assert "--uid" not in processes.ran[1]
    assert "--groups" not in processes.ran[1]


@pytest.mark.parametrize("name", ["", "-rf", "a b", "a:b", "a\nb", "a/b"])
def test_a_name_that_is_none_reaches_no_command(name: str) -> None:
    processes = FakeProcesses()
    with pytest.raises(IpaBackupError, match="not an account's name"):
        SystemAccounts(processes).create_group(Group(name, 1))
    assert processes.ran == []


def test_an_account_that_did_not_come_to_be_is_an_error() -> None:
    with pytest.raises(IpaBackupError, match="does not know it"):
        Recording(FakeProcesses(), FakeAccounts()).create_group(Group("dirsrv", 389))


def test_owners_go_by_name_and_an_impostor_gets_nothing() -> None:
    moved = User("dirsrv", 998, 998, "dirsrv", "/", "/bin/false")
    owners = ByName(FakeAccounts((moved, IMPOSTOR), (Group("dirsrv", 998), Group("ipatest_user1", 1001))))
    assert owners.uid("dirsrv", 389) == 998
    assert owners.gid("dirsrv", 389) == 998
    assert owners.uid("pkiuser", 389) is None  # the name is gone, and its number is another one's now
    assert owners.uid("pkiuser", 17) == 17  # the name is gone, but nobody has the number
    assert owners.gid("", 1001) is None
    assert owners.uid("root", 0) == owners.gid("", 0) == 0


def test_the_fake_gives_another_number_where_one_is_taken() -> None:
    accounts = FakeAccounts((IMPOSTOR,))
    made = accounts.create_user(DIRSRV)
    assert made.uid != IMPOSTOR.uid
    assert accounts.user("dirsrv") == made
    assert accounts.create_user(PKIUSER) == PKIUSER


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look")
def test_the_real_adapter_agrees_with_the_password_database() -> None:
    accounts = SystemAccounts(FakeProcesses())
    for entry in pwd.getpwall()[:20]:
        found = accounts.user(entry.pw_name)
        assert found is not None
        assert (found.uid, found.gid, found.shell) == (entry.pw_uid, entry.pw_gid, entry.pw_shell)
