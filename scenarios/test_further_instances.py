"""Masters with a directory instance beside the domain's, which replicates by a port of its own.

An authority that began with Dogtag 9 has one. Agreements say where it is; only a password opens it.
"""

from __future__ import annotations

import pytest

from lab.realm import Realm
from scenarios.deeds import back_up, restore
from scenarios.further import PORT, SUFFIX, UNIT, add_instances, delete, wait_entry, write
from scenarios.masters import assert_one_realm, check_realm, password_options

PEERS_UNREACHABLE = 8


@pytest.mark.topology("pair")
@pytest.mark.row("L6", "R8", "R15")
def test_further_instances_of_other_masters_are_kept_from_undoing_a_restore_and_are_filled(realm: Realm) -> None:
    """First with one that is out of reach, and is filled later; then with all."""
    one, two = realm.hosts.values()
    add_instances(one, two)
    kept = write(one, "kept")
    wait_entry(kept, two)
    told = check_realm(one)
    assert told.status == 0, told.describe()
    assert sum(SUFFIX in line for line in told.lines) == 2, "each master's instance is looked at"
    one.kinit()
    by_ticket = one.run(["ipa-restore", "--check-realm", "--wait", "0"], check=False)
    assert by_ticket.status == PEERS_UNREACHABLE, by_ticket.describe()
    assert f"{two.fqdn}:{PORT} does not know whose ticket this is" in by_ticket.stdout

    backup = back_up(one, "--data")
    delete(two, kept)
    wait_entry(kept, one, there=False)
    two.run(["systemctl", "stop", UNIT])
    argv = ["ipa-restore", "-U", backup, *password_options(one)]
    alone = one.run(argv, check=False, timeout=900)
    assert alone.status == PEERS_UNREACHABLE, alone.describe()
    assert f"{two.fqdn}:{PORT} cannot be reached" in alone.stderr

    two.run(["systemctl", "start", UNIT])
    write(two, "lost")
    wait_entry(kept, one)
    assert check_realm(one, wait=5).status != 0, "the restored data has a generation of its own"
    again = ["ipa-restore", "-U", "--reinitialize-peers", "--peer", two.fqdn, *password_options(one)]
    one.run(again, timeout=900)
    wait_entry(kept, one, two)
    wait_entry(f"cn=lost,{SUFFIX}", one, two, there=False)
    assert_one_realm(one, two)

    delete(two, kept)
    wait_entry(kept, one, there=False)
    said = restore(one, backup, "-v", "--reinitialize-peers", *password_options(one))
    assert f"{two.fqdn}, port {PORT}: 1 agreements switched off" in said.stdout
    assert f"{two.fqdn} has been re-initialised with {SUFFIX}" in said.stdout
    wait_entry(kept, one, two)
    wait_entry(write(two, "later"), one)
    assert_one_realm(one, two)


@pytest.mark.topology("pair")
@pytest.mark.row("L6", "R9")
def test_a_server_that_catches_up_gets_what_its_further_instance_missed(realm: Realm) -> None:
    one, two = realm.hosts.values()
    add_instances(one, two)
    kept = write(one, "kept")
    wait_entry(kept, two)
    backup = back_up(one, "--data")
    later = write(two, "later")
    wait_entry(later, one)
    two.run(["systemctl", "stop", UNIT])
    argv = ["ipa-restore", "-U", backup, "--replication=catch-up", *password_options(one)]
    refused = one.run(argv, check=False)
    assert refused.status == 3, refused.describe()
    assert f"{two.fqdn}:{PORT} cannot be reached" in refused.stderr

    two.run(["systemctl", "start", UNIT])
    restore(one, backup, "--replication=catch-up", *password_options(one))
    wait_entry(kept, one)
    wait_entry(later, one)
    assert_one_realm(one, two)
