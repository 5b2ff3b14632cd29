"""Local users and groups: who exists, and how a missing one comes back."""

from __future__ import annotations

import grp
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from ipabackup.errors import IpaBackupError
from ipabackup.host.processes import Processes


@dataclass(frozen=True)
class Group:
    """A group by its name and number."""

    name: str
    gid: int


@dataclass(frozen=True)
class User:
    """A user as passwd(5) has it; ``group`` is the primary group's name, ``groups`` the others it is a
    member of.
    """

    name: str
    uid: int
    gid: int
    group: str
    home: str
    shell: str
    gecos: str = ""
    groups: tuple[str, ...] = ()


_Account = TypeVar("_Account", User, Group)


class Accounts(Protocol):
    """Looks accounts up and creates system accounts."""

    def user(self, name: str) -> User | None:
        """The user of this name, from whatever source the host asks (nsswitch)."""
        ...

    def group(self, name: str) -> Group | None:
        """The group of this name."""
        ...

    def user_of(self, uid: int) -> User | None:
        """The user with this number."""
        ...

    def group_of(self, gid: int) -> Group | None:
        """The group with this number."""
        ...

    def is_local(self, name: str) -> bool:
        """True when the user or group of this name stands in the host's own files, not only in a directory."""
        ...

    def create_group(self, group: Group) -> Group:
        """Create a system group, with its number when that is free, else another; returns what came to be."""
        ...

    def create_user(self, user: User) -> User:
        """Create a system user, with its number when that is free, else another; returns what came to be.

        Its primary group is created when missing; other groups that do not exist are left out.  No home is
        made.
        """
        ...


class SystemAccounts:
    """Accounts of this very host, made with shadow's useradd and groupadd (the same on Debian and Fedora)."""

    def __init__(self, processes: Processes, *, etc: Path = Path("/etc")) -> None:
        self._processes = processes
        self._etc = etc

    def user(self, name: str) -> User | None:
        """See Accounts."""
        try:
            return _user(pwd.getpwnam(name))
        except KeyError:
            return None

    def group(self, name: str) -> Group | None:
        """See Accounts."""
        try:
            found = grp.getgrnam(name)
        except KeyError:
            return None
        return Group(found.gr_name, found.gr_gid)

    def user_of(self, uid: int) -> User | None:
        """See Accounts."""
        try:
            return _user(pwd.getpwuid(uid))
        except KeyError:
            return None

    def group_of(self, gid: int) -> Group | None:
        """See Accounts."""
        try:
            found = grp.getgrgid(gid)
        except KeyError:
            return None
        return Group(found.gr_name, found.gr_gid)

    def is_local(self, name: str) -> bool:
        """See Accounts."""
        prefix = f"{name}:"
        for file in ("passwd", "group"):
            with (self._etc / file).open(encoding="utf-8", errors="surrogateescape") as lines:
                if any(line.startswith(prefix) for line in lines):
                    return True
        return False

    def create_group(self, group: Group) -> Group:
        """See Accounts."""
        _check(group.name)
        argv = ["groupadd", "--system"]
        if self.group_of(group.gid) is None:
            argv += ["--gid", str(group.gid)]
        self._processes.run([*argv, "--", group.name])
        return self._made(self.group(group.name), group.name)

    def create_user(self, user: User) -> User:
        """See Accounts."""
        _check(user.name)
        if any(":" in text or "\n" in text for text in (user.home, user.shell, user.gecos)):
            raise IpaBackupError(f"the recorded account {user.name} holds a ':' or a line break")
        if self.group(user.group) is None:
            self.create_group(Group(user.group, user.gid))
        argv = ["useradd", "--system", "--no-create-home", "--no-user-group", "--gid", user.group]
        argv += ["--home-dir", user.home, "--shell", user.shell, "--comment", user.gecos]
        if self.user_of(user.uid) is None:
            argv += ["--uid", str(user.uid)]
        others = [name for name in user.groups if self.group(name) is not None]
        if others:
            argv += ["--groups", ",".join(others)]
        self._processes.run([*argv, "--", user.name])
        return self._made(self.user(user.name), user.name)

    @staticmethod
    def _made(found: _Account | None, name: str) -> _Account:
        if found is None:
            raise IpaBackupError(f"the account {name} was created, but the host does not know it")
        return found


class ByName:
    """Owners of restored files: the account of the recorded name, whatever its number is today.

    A number without a living name is used only when nobody has it: no file may fall to an account that
    merely took the number of one that was removed.
    """

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._uids: dict[tuple[str, int], int | None] = {}
        self._gids: dict[tuple[str, int], int | None] = {}

    def uid(self, name: str, number: int) -> int | None:
        """The uid for a file of user ``name``, ``number`` when it was recorded; None when nobody may have
        it.
        """
        key = (name, number)
        if key not in self._uids:
            user = self._accounts.user(name) if name else None
            if user is not None:
                self._uids[key] = user.uid
            else:
                self._uids[key] = number if number == 0 or self._accounts.user_of(number) is None else None
        return self._uids[key]

    def gid(self, name: str, number: int) -> int | None:
        """The gid for a file of group ``name``, as uid()."""
        key = (name, number)
        if key not in self._gids:
            group = self._accounts.group(name) if name else None
            if group is not None:
                self._gids[key] = group.gid
            else:
                self._gids[key] = number if number == 0 or self._accounts.group_of(number) is None else None
        return self._gids[key]


def _user(entry: pwd.struct_passwd) -> User:
    try:
        group = grp.getgrgid(entry.pw_gid).gr_name
    except KeyError:
        group = ""
    return User(
        name=entry.pw_name,
        uid=entry.pw_uid,
        gid=entry.pw_gid,
        group=group,
        home=entry.pw_dir,
        shell=entry.pw_shell,
        gecos=entry.pw_gecos,
        groups=tuple(sorted(found.gr_name for found in grp.getgrall() if entry.pw_name in found.gr_mem)),
    )


def _check(name: str) -> None:
    if not name or name.startswith("-") or any(sign in name for sign in ":,/ \n"):
        raise IpaBackupError(f"not an account's name: {name!r}")
