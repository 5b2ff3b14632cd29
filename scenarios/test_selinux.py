"""A server on a kernel where SELinux is on: booleans that were switched off come back on, and labels as they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from lab.host import Host
from scenarios import selinux
from scenarios.checks import Outline
from scenarios.deeds import back_up, restore, uninstall

#: Without these the web server of an IPA server reaches neither the directory nor SSSD.
BOOLEANS = ("httpd_can_network_connect", "httpd_manage_ipa")

#: Where the files of a server are.
FOLDERS = ("/etc", "/root", "/var/lib", "/var/log")

#: An administrator's own label, which no policy has for the file: only the backup can know it.
OWN_FILE, OWN_LABEL = "/etc/ipa/default.conf", "system_u:object_r:httpd_sys_content_t:s0"

ON, OFF = selinux.Boolean(running=True, stored=True), selinux.Boolean(running=False, stored=False)


@dataclass(frozen=True)
class Before:
    """What a server was before it lost everything: its answers, booleans, labels; and its backup."""

    outline: Outline
    booleans: Mapping[str, selinux.Boolean]
    labels: Mapping[str, str]
    backup: str


@pytest.mark.topology("selinux")
@pytest.mark.row("T3", "R11")
def test_booleans_and_labels_come_back_where_selinux_is_on(master: Host, pytestconfig: pytest.Config) -> None:
    """Values in the kernel and for the next boot; labels of all files of the backup, one of which only it can know."""
    enforcing = bool(pytestconfig.getoption("--enforcing"))
    if enforcing:
        master.run(["setenforce", "1"])
    assert selinux.mode(master) == ("Enforcing" if enforcing else "Permissive")
    come_back(master, lose(master))


def lose(master: Host) -> Before:
    """Back a server up, uninstall it, and switch its booleans off."""
    master.run(["chcon", OWN_LABEL, OWN_FILE])
    outline = Outline.note(master)
    booleans = selinux.booleans(master, BOOLEANS)
    assert booleans == dict.fromkeys(BOOLEANS, ON), "an installed server has them on"
    backup = back_up(master)
    labels = selinux.labels(master, FOLDERS)
    assert labels[OWN_FILE] == OWN_LABEL

    uninstall(master)
    # A stopped SSSD leaves its sockets; with nobody behind them, setsebool stores nothing.
    master.run(["find", "/var/lib/sss/pipes", "-type", "s", "-delete"])
    master.run(["setsebool", "-P", *(f"{name}=off" for name in BOOLEANS)])
    assert selinux.booleans(master, BOOLEANS) == dict.fromkeys(BOOLEANS, OFF)
    return Before(outline, booleans, labels, backup)


def come_back(master: Host, before: Before) -> None:
    """Restore the server, and compare."""
    said = restore(master, before.backup)
    assert "SELinux is off" not in said.stdout
    assert selinux.booleans(master, BOOLEANS) == before.booleans
    replace(before.outline, host=master).assert_unchanged()
    backed_up = files_in(master, before.backup)
    assert OWN_FILE in backed_up
    changed = differences(before.labels, selinux.labels(master, FOLDERS), backed_up)
    assert not changed, "other labels than before:\n" + "\n".join(changed)


def files_in(host: Host, backup: str) -> set[str]:
    """List the files of the server that a backup holds."""
    listed = host.run(["sh", "-c", f"zstd -dc {backup}/ipa-full.tar | tar -t --quoting-style=literal"])
    prefix = "files/"
    return {"/" + line.removeprefix(prefix).rstrip("/") for line in listed.lines if line.startswith(prefix)}


def differences(before: Mapping[str, str], after: Mapping[str, str], paths: set[str]) -> list[str]:
    """The labels of these paths that are others than before, a line each."""
    common = sorted(before.keys() & after.keys() & paths)
    return [f"{path}: {before[path]} -> {after[path]}" for path in common if before[path] != after[path]]
