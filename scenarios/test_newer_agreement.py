"""A replica that was made after the backup: the restored master does not know it, and it has to be made again."""

from __future__ import annotations

import pytest

from lab.host import Host
from lab.realm import Realm
from scenarios.deeds import back_up, dm_password, uninstall
from scenarios.masters import assert_replicate, install_from_file, prepare
from scenarios.users import add_users, users, wait_users

PEERS_UNREACHABLE = 8


def _make_replica(master: Host, replica: Host) -> None:
    prepare(master, replica)
    install_from_file(replica, "--setup-ca")


@pytest.mark.row("T12", "R8", "R16")
@pytest.mark.topology("spare")
def test_a_replica_younger_than_the_backup_is_named_and_can_be_made_again(realm: Realm) -> None:
    """Full restore on the running master; the stranded replica is reported, removed, and installed anew."""
    master, replica = realm.master, realm.host("ipa2")
    backup = back_up(master)
    _make_replica(master, replica)
    add_users(replica, ["younger"])
    wait_users([master, replica], ["younger"])

    restored = master.run(
        ["ipa-restore", "-U", "-v", backup, "--reinitialize-peers", *dm_password(master)], check=False, timeout=600
    )
    print(restored.describe())
    assert restored.status == PEERS_UNREACHABLE, restored.describe()
    assert replica.fqdn in restored.stderr
    assert users(master) == {"admin"}

    add_users(replica, ["stranded"])
    uninstall(replica)
    print(master.run(["ipa-replica-manage", "-p", "Secret123", "del", "--force", replica.fqdn]).describe())
    _make_replica(master, replica)
    wait_users([master, replica], [])
    assert_replicate(master, replica)

    restored = master.run(
        ["ipa-restore", "-U", "-v", "--data", backup, "--reinitialize-peers", *dm_password(master)],
        check=False,
        timeout=600,
    )
    print(restored.describe())
    raise SystemError
