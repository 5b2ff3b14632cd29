"""A fake of host.accounts: a dictionary of users and groups."""

from __future__ import annotations

from dataclasses import replace

from ipabackup.host.accounts import Group, User


class FakeAccounts:
    """Accounts in memory; ``directory`` names those that do not stand in the host's own files."""

    def __init__(self, users: tuple[User, ...] = (), groups: tuple[Group, ...] = ()) -> None:
        self.users = {user.name: user for user in users}
        self.groups = {group.name: group for group in groups}
        self.directory: set[str] = set()

    def user(self, name: str) -> User | None:
        return self.users.get(name)

    def group(self, name: str) -> Group | None:
        return self.groups.get(name)

    def user_of(self, uid: int) -> User | None:
        return next((user for user in self.users.values() if user.uid == uid), None)

    def group_of(self, gid: int) -> Group | None:
        return next((group for group in self.groups.values() if group.gid == gid), None)

    def is_local(self, name: str) -> bool:
        return name in {*self.users, *self.groups} - self.directory

    def create_group(self, group: Group) -> Group:
        while self.group_of(group.gid) is not None:
            group = replace(group, gid=group.gid - 1)
        self.groups[group.name] = group
        return group

    def create_user(self, user: User) -> User:
        if user.group not in self.groups:
            self.create_group(Group(user.group, user.gid))
        while self.user_of(user.uid) is not None:
            user = replace(user, uid=user.uid - 1)
        self.users[user.name] = replace(user, gid=self.groups[user.group].gid)
        return self.users[user.name]
