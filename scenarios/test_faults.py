"""Faults in a realm: what they do to hosts, and restores in the middle of them."""

from __future__ import annotations

import pytest

from lab.execute import CommandResult
from lab.faults import kill, partition, paused, slow_line
from lab.host import Host
from lab.realm import Realm
from scenarios.masters import (
    ARRIVAL_AFTER_FAULT,
    assert_one_realm,
    change_something,
    check_realm,
    entry_exists,
    reinitialize_by_hand,
    troubles,
    wait_seen,
    write_user,
)


def _reaches(one: Host, other: Host, port: int = 389) -> bool:
    probe = f"exec 3<>/dev/tcp/{other.address}/{port}"
    return one.run(["timeout", "2", "bash", "-c", probe], check=False).status == 0


def _schema_read(one: Host, other: Host) -> CommandResult:
    """Have a host read the other one's schema: some hundred kilobytes."""
    search = ["ldapsearch", "-x", "-LLL", "-H", f"ldap://{other.address}", "-b", "cn=schema", "-s", "base"]
    return one.run([*search, "attributeTypes", "objectClasses"])


@pytest.mark.row("L1")
@pytest.mark.topology("pair")
def test_hosts_are_parted_stand_still_die_and_come_back(realm: Realm) -> None:
    """What each fault does is seen on the hosts, and so is its end."""
    one, two = realm.hosts.values()
    with partition(one, two):
        assert not _reaches(one, two)
        assert not _reaches(two, one)
        apart = write_user(one, "apart")
        kill(two)
        two.boot()
        two.wait_ready()
        assert not _reaches(two, one), "one side's restart does not end a cut"
        assert not entry_exists(two, apart)
    assert _reaches(one, two)
    assert _reaches(two, one)
    wait_seen(two, apart, ARRIVAL_AFTER_FAULT)
    # Killed soon after it wrote, 389 DS starts without its changelog: it cannot send what it had not sent by then.
    reinitialize_by_hand(one, two)

    with paused(two):
        still = write_user(one, "still")
        asked = one.run(["timeout", "2", "ldapwhoami", "-x", "-H", f"ldap://{two.address}"], check=False)
        assert asked.status == 124, asked.describe()
    wait_seen(two, still, ARRIVAL_AFTER_FAULT)

    fast = _schema_read(one, two)
    with slow_line(two, kbit=800):
        slow = _schema_read(one, two)
    bits = len(slow.stdout) * 8
    assert slow.duration > 0.5 * bits / 800_000 > fast.duration
    assert _schema_read(one, two).duration < slow.duration / 2
    assert_one_realm(one, two)


def _loses_changelog(two: Host, one: Host, name: str) -> str:
    """Have a master write a user that the other one does not get, and die; returns the user's entry, "" if not lost.

    Twice a minute 389 DS notes on the disk what its newest change is.  With a younger one in the changelog it takes the
    two for parts of different databases, and begins the changelog anew.
    """
    count = ["sh", "-c", "cat /var/log/dirsrv/slapd-*/errors | grep -c 'Recreating the changelog'"]
    before = two.run(count, check=False).stdout
    with partition(one, two):
        unsent = write_user(two, name)
        kill(two)
        two.boot()
        two.wait_ready()
    if two.run(count, check=False).stdout != before:
        return unsent
    wait_seen(one, unsent, ARRIVAL_AFTER_FAULT)
    return ""


@pytest.mark.row("L1")
@pytest.mark.topology("pair")
def test_what_a_killed_master_had_not_sent_is_missed_and_can_be_had(realm: Realm) -> None:
    """It never arrives by itself; the realm's check names it, and what it tells to do brings it."""
    one, two = realm.hosts.values()
    wait_seen(one, write_user(two, "sent"))
    unsent = next(filter(None, (_loses_changelog(two, one, f"unsent{attempt}") for attempt in range(3))))
    wait_seen(two, write_user(one, "forth"), ARRIVAL_AFTER_FAULT)
    change_something(two)

    told = troubles(check_realm(one, "--json", wait=5))
    assert {"behind", "entries"} <= {trouble["kind"] for trouble in told}
    remedy = next(trouble["remedy"] for trouble in told if trouble["kind"] == "behind")
    assert remedy.startswith(f"On {one.fqdn} run: ipa-replica-manage force-sync --from={two.fqdn}")
    assert remedy.endswith("if that does not help: re-initialize")
    assert not entry_exists(one, unsent)

    reinitialize_by_hand(one, two)
    assert entry_exists(one, unsent)
    assert_one_realm(one, two)
