"""A full backup brings an uninstalled server back."""

import pytest

from lab.host import Host
from scenarios.checks import Outline
from scenarios.deeds import back_up, restore, uninstall


@pytest.mark.row("T1", "B1", "R1")
def test_a_full_backup_brings_an_uninstalled_server_back(master: Host) -> None:
    outline = Outline.note(master)
    backup = back_up(master)
    outline.assert_unchanged()
    uninstall(master)
    assert master.testinfra.file(backup).is_directory, "an uninstall deletes no backup"
    restore(master, backup)
    outline.assert_unchanged()
    uninstall(master)


@pytest.mark.row("T1", "R1")
def test_a_restored_server_comes_back_by_itself_after_a_reboot(master: Host) -> None:
    outline = Outline.note(master)
    backup = back_up(master)
    uninstall(master)
    restore(master, backup)
    master.stop()
    master.boot()
    master.wait_ready()
    outline.assert_unchanged()
