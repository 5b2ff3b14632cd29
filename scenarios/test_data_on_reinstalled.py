"""The directory's data alone onto a server that was installed again: users come back, services get new keys."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from lab.host import Host
from scenarios.deeds import back_up, install, new_keys, restore, uninstall

USERS = ("tuser1", "tuser2")


@dataclass(frozen=True)
class Before:
    """The users' numbers before the server was installed again, and the backup."""

    numbers: Mapping[str, str]
    backup: str


@pytest.mark.row("T13", "R1")
def test_data_alone_brings_users_back_to_a_reinstalled_server(master: Host) -> None:
    come_back(master, become_another(master))


def become_another(master: Host) -> Before:
    """Back the data of a server up, uninstall it, and install it again."""
    master.kinit()
    for name in USERS:
        master.run(["ipa", "user-add", name, "--first", "Test", "--last", name])
    numbers = {name: master.run(["id", "-u", name]).stdout for name in USERS}
    backup = back_up(master, "--data")
    uninstall(master)
    install(master)
    return Before(numbers, backup)


def come_back(master: Host, before: Before) -> None:
    """Restore the data, give the services new keys, and look at the users."""
    restore(master, before.backup)

    new_keys(master)
    master.kinit()
    assert "User login: admin" in master.run(["ipa", "user-show", "admin"]).stdout
    found = master.run(["ipa", "user-find"]).stdout
    for name in USERS:
        assert f"User login: {name}" in found
        assert master.run(["id", "-u", name]).stdout == before.numbers[name]
