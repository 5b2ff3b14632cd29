"""A full backup goes onto a server that was installed anew meanwhile."""

import pytest

from lab.host import Host
from scenarios.checks import Outline
from scenarios.deeds import back_up, install, restore, uninstall


@pytest.mark.row("T9", "R1", "R16")
def test_a_full_backup_replaces_a_reinstalled_server(master: Host) -> None:
    outline = Outline.note(master)
    authority = master.read_file("/etc/ipa/ca.crt")
    backup = back_up(master)
    uninstall(master)
    install(master)
    assert master.read_file("/etc/ipa/ca.crt") != authority, "a new installation has a new authority"
    # The very server that the backup does not hold: its keys and numbers are others.
    assert "entry of admin" in outline.differences()

    restore(master, backup)

    outline.assert_unchanged()
    assert master.read_file("/etc/ipa/ca.crt") == authority
    uninstall(master)
