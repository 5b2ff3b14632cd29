"""A full backup goes onto a server that was installed anew meanwhile."""

from dataclasses import dataclass, replace

import pytest

from lab.host import Host
from scenarios.checks import Outline
from scenarios.deeds import back_up, install, restore, uninstall


@dataclass(frozen=True)
class Before:
    """What a server was before it was installed anew: its answers and keys; and its backup."""

    outline: Outline
    identity: list[bytes]
    backup: str


def _identity(host: Host) -> list[bytes]:
    """The host's keys, and the certificate of its realm's authority where it has one of its own."""
    authority = ["/etc/ipa/ca.crt"] if "ca" in host.member.capabilities else []
    return [host.read_bytes(path) for path in ("/etc/krb5.keytab", *authority)]


@pytest.mark.row("T9", "R1", "R16")
def test_a_full_backup_replaces_a_reinstalled_server(master: Host) -> None:
    come_back(master, become_another(master))


def become_another(master: Host) -> Before:
    """Back a server up, uninstall it, and install it anew."""
    outline = Outline.note(master)
    identity = _identity(master)
    backup = back_up(master)
    uninstall(master)
    install(master)
    assert not set(_identity(master)) & set(identity), "a new installation has keys of its own"
    # The very server that the backup does not hold: its keys and numbers are others.
    assert "entry of admin" in outline.differences()
    return Before(outline, identity, backup)


def come_back(master: Host, before: Before) -> None:
    """Restore the server, and compare."""
    restore(master, before.backup)

    replace(before.outline, host=master).assert_unchanged()
    assert _identity(master) == before.identity
    uninstall(master)
