"""A full backup goes onto a server that was installed anew meanwhile."""

import pytest

from lab.host import Host
from scenarios.checks import Outline
from scenarios.deeds import back_up, install, restore, uninstall


def _identity(host: Host) -> list[bytes]:
    """The host's keys, and the certificate of its realm's authority where it has one of its own."""
    authority = ["/etc/ipa/ca.crt"] if "ca" in host.member.capabilities else []
    return [host.read_bytes(path) for path in ("/etc/krb5.keytab", *authority)]


@pytest.mark.row("T9", "R1", "R16")
def test_a_full_backup_replaces_a_reinstalled_server(master: Host) -> None:
    outline = Outline.note(master)
    identity = _identity(master)
    backup = back_up(master)
    uninstall(master)
    install(master)
    assert not set(_identity(master)) & set(identity), "a new installation has keys of its own"
    # The very server that the backup does not hold: its keys and numbers are others.
    assert "entry of admin" in outline.differences()

    restore(master, backup)

    outline.assert_unchanged()
    assert _identity(master) == identity
    uninstall(master)
