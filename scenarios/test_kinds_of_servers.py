"""Servers that are made otherwise: without a CA, and with the older database library."""

import pytest

from lab.host import Host
from scenarios.checks import Outline
from scenarios.conftest import RealmMaker
from scenarios.deeds import back_up, restore, uninstall


@pytest.mark.row("B3", "R1")
@pytest.mark.parametrize("topology", ["caless", "bdb"])
def test_backups_of_other_kinds_of_servers_bring_them_back(make_realm: RealmMaker, topology: str) -> None:
    master = make_realm(topology).master
    outline = Outline.note(master)
    full = back_up(master)
    data = back_up(master, "--data", "--online")
    held = "userRoot" if topology == "caless" else "userRoot,ipaca"
    header = master.read_file(f"{full}/header")
    backends = next(line for line in header.splitlines() if line.startswith("instances = "))
    assert set(backends.rpartition(":")[2].split(",")) == set(held.split(","))

    _change_and_restore(master, data, "--online")
    _change_and_restore(master, data)
    outline.assert_unchanged()

    uninstall(master)
    restore(master, full)
    outline.assert_unchanged()


def _change_and_restore(master: Host, backup: str, *options: str) -> None:
    master.run(["ipa", "user-add", "testuser", "--first", "Test", "--last", "User"])
    restore(master, backup, *options)
    assert master.run(["ipa", "user-show", "testuser"], check=False).status == 2
