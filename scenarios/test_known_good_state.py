"""A bad change has reached every master: one is restored, the others follow, and the change never comes back."""

from __future__ import annotations

import pytest

from lab.faults import partition
from lab.realm import Realm
from scenarios.deeds import back_up, restore
from scenarios.masters import ARRIVAL_AFTER_FAULT, assert_all_know_of_all, assert_one_realm, password_options
from scenarios.users import add_users, delete_users, users, wait_users


@pytest.mark.row("T11", "R8", "R15")
@pytest.mark.topology("triangle")
def test_a_mass_deletion_is_undone_on_all_masters_for_good(realm: Realm) -> None:
    """Also after each master in turn has written, restarted, and been parted from the others and rejoined."""
    masters = list(realm.hosts.values())
    one, two, three = masters
    # Written on each of the masters, so that the changelog of each has to do with some of them.
    good = [f"good{number:02}" for number in range(30)]
    for position, host in enumerate(masters):
        add_users(host, good[position::3])
    wait_users(masters, good)
    backup = back_up(one, "--data")

    delete_users(three, good)
    add_users(two, ["intruder"])
    wait_users(masters, ["intruder"])

    restore(one, backup, "--reinitialize-peers", *password_options(one))
    assert_all_know_of_all(*masters)
    wait_users(masters, good)

    present = list(good)
    for host in masters:
        others = [other for other in masters if other is not host]
        add_users(host, [f"{host.name}-before"])
        host.run(["systemctl", "restart", f"dirsrv@{host.instance}"])
        with partition(host, *others):
            add_users(host, [f"{host.name}-inside"])
            add_users(others[0], [f"{host.name}-outside"])
            assert f"{host.name}-inside" not in users(others[0])
        present += [f"{host.name}-{when}" for when in ("before", "inside", "outside")]
        wait_users(masters, present, ARRIVAL_AFTER_FAULT)
    assert_one_realm(*masters)
