"""A replica that was made after the backup: the restored master does not know it, and it has to be made again."""

from __future__ import annotations

import pytest

from lab.execute import CommandResult
from lab.host import Host
from lab.realm import Realm
from scenarios.deeds import back_up, uninstall
from scenarios.masters import (
    assert_one_realm,
    assert_replicate,
    install_from_file,
    password_options,
    prepare,
)
from scenarios.users import add_users, users, wait_users

INCOMPLETE, PEERS_UNREACHABLE = 9, 8


def _make_replica(master: Host, replica: Host, *options: str) -> None:
    prepare(master, replica)
    install_from_file(replica, *options)


def _restore(master: Host, *options: str) -> CommandResult:
    argv = ["ipa-restore", "-U", "-v", *options, *password_options(master)]
    return master.run(argv, check=False, timeout=600)


def _remove(master: Host, replica: Host) -> None:
    """What the restore said to do."""
    uninstall(replica)
    secret = master.topology.passwords.directory_manager
    master.run(["ipa-replica-manage", "-p", secret, "del", "--force", replica.fqdn])


@pytest.mark.row("T12", "R8", "R16")
@pytest.mark.topology("spare")
def test_a_replica_younger_than_the_backup_is_named_and_can_be_made_again(realm: Realm) -> None:
    """Stranded by a restore of data and by a full one: named with what to do, which is done and works."""
    master, replica = realm.master, realm.spare
    backup = back_up(master)
    told = f"{replica.fqdn} is younger than the backup, which does not know it."
    _make_replica(master, replica)
    add_users(replica, ["younger"])
    wait_users([master, replica], ["younger"])

    restored = _restore(master, "--data", backup)
    assert restored.status == INCOMPLETE, restored.describe()
    assert told in restored.stderr
    assert users(master) == {"admin"}
    add_users(replica, ["stranded"])
    _remove(master, replica)
    _make_replica(master, replica, "--setup-ca")
    wait_users([master, replica], [])
    assert_replicate(master, replica, tag="again")
    assert_one_realm(master, replica)

    restored = _restore(master, "--reinitialize-peers", backup)
    assert restored.status == PEERS_UNREACHABLE, restored.describe()
    assert told in restored.stderr
    assert users(master) == {"admin"}
    add_users(replica, ["stranded"])
    _remove(master, replica)
    assert users(master) == {"admin"}
    assert_one_realm(master)
