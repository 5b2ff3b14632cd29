"""One master's data is restored, and the others are filled from it: by ipa-restore, and by hand."""

from __future__ import annotations

import pytest

from lab.realm import Realm
from scenarios.deeds import back_up, restore
from scenarios.masters import assert_one_realm, password_options, reinitialize_by_hand
from scenarios.users import add_users, delete_users, wait_users


@pytest.mark.row("T10", "R15")
@pytest.mark.topology("line")
def test_lost_data_comes_back_to_all_masters_of_a_line(realm: Realm) -> None:
    """Restored on the middle one by ipa-restore, then again on the first one and passed on by hand, hop by hop."""
    one, two, three = realm.hosts.values()
    add_users(one, ["kept", "lost"])
    wait_users([one, two, three], ["kept", "lost"])
    backup = back_up(one, "--data")

    delete_users(three, ["lost"])
    wait_users([one, two, three], ["kept"])
    result = restore(one, backup, "-v", "--reinitialize-peers", *password_options(one))
    for host in (two, three):
        for suffix in (one.topology.suffix, "o=ipaca"):
            assert f"{host.fqdn} has been re-initialised with {suffix}" in result.stdout
    wait_users([one, two, three], ["kept", "lost"])
    assert_one_realm(one, two, three)

    delete_users(two, ["lost"])
    add_users(two, ["later"])
    wait_users([one, two, three], ["kept", "later"])
    restore(one, backup, "-v", *password_options(one))
    wait_users([one], ["kept", "lost"])
    wait_users([two, three], ["kept", "later"])
    reinitialize_by_hand(two, one)
    reinitialize_by_hand(three, two)
    wait_users([one, two, three], ["kept", "lost"])
    add_users(three, ["forth"])
    wait_users([one, two, three], ["kept", "lost", "forth"])
    assert_one_realm(one, two, three)
