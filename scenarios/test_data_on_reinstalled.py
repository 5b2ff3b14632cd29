"""The directory's data alone onto a server that was installed again: users come back, services get new keys."""

import pytest

from lab.host import Host
from scenarios.deeds import back_up, install, new_keys, restore, uninstall

USERS = ("tuser1", "tuser2")


@pytest.mark.row("T13", "R1")
def test_data_alone_brings_users_back_to_a_reinstalled_server(master: Host) -> None:
    master.kinit()
    for name in USERS:
        master.run(["ipa", "user-add", name, "--first", "Test", "--last", name])
    numbers = {name: master.run(["id", "-u", name]).stdout for name in USERS}
    backup = back_up(master, "--data")
    uninstall(master)
    install(master)

    restore(master, backup)

    new_keys(master)
    master.kinit()
    assert "User login: admin" in master.run(["ipa", "user-show", "admin"]).stdout
    found = master.run(["ipa", "user-find"]).stdout
    for name in USERS:
        assert f"User login: {name}" in found
        assert master.run(["id", "-u", name]).stdout == numbers[name]
