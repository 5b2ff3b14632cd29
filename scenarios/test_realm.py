"""Restores in a realm of two masters: what the other one may do, and how it comes along."""

import pytest

from lab.host import Host
from lab.realm import Realm
from lab.waiting import wait_for
from scenarios.deeds import back_up, restore
from scenarios.masters import assert_one_realm, password_options

PEERS_UNREACHABLE = 8


@pytest.fixture
def pair(make_realm) -> tuple[Host, Host]:  # type: ignore[no-untyped-def]
    """Two masters that replicate in both directions."""
    realm: Realm = make_realm("pair")
    first, second = realm.host("ipa1"), realm.host("ipa2")
    for host in (first, second):
        host.kinit()
    return first, second


def _knows(host: Host, user: str) -> bool:
    return host.run(["ipa", "user-show", user], check=False).status == 0


def _add(host: Host, user: str) -> None:
    host.run(["ipa", "user-add", user, "--first", "Test", "--last", "User"])


def _assert_arrives(source: Host, target: Host, marker: str) -> None:
    _add(source, marker)
    wait_for(f"{marker} to arrive on {target.fqdn}", lambda: _knows(target, marker), limit=60)


@pytest.mark.row("R8", "R9", "R15", "T10")
def test_what_the_backup_says_wins_on_both_masters(pair: tuple[Host, Host]) -> None:
    first, second = pair
    _assert_arrives(first, second, "before")
    backup = back_up(first, "--data")
    _assert_arrives(second, first, "after")

    result = restore(first, backup, "-v", "--reinitialize-peers", *password_options(first))

    assert f"{second.fqdn} has been re-initialised with {first.topology.suffix}" in result.stdout
    assert f"{second.fqdn} has been re-initialised with o=ipaca" in result.stdout
    for host in pair:
        assert _knows(host, "before")
        assert not _knows(host, "after"), f"{host.fqdn} brought the later user back"
    _assert_arrives(first, second, "forth")
    _assert_arrives(second, first, "back")
    assert_one_realm(first, second)


@pytest.mark.row("R8", "R9")
def test_a_master_that_was_not_reached_is_named_and_cannot_undo_the_restore(pair: tuple[Host, Host]) -> None:
    first, second = pair
    backup = back_up(first, "--data")
    _assert_arrives(second, first, "after")
    second.stop()

    result = first.run(["ipa-restore", "-U", backup, *password_options(first)], check=False)

    assert result.status == PEERS_UNREACHABLE, result.describe()
    assert second.fqdn in result.stderr
    second.boot()
    second.wait_ready()
    second.kinit()
    # The other master's agreement is on, and it has something to send: its own log says that it may not.
    _add(second, "later")
    errors = f"/var/log/dirsrv/slapd-{second.instance}/errors"
    wait_for(
        "the other master to be turned away",
        lambda: "different database generation ID" in second.read_file(errors),
        limit=90,
    )
    first.kinit()
    assert not _knows(first, "after")
    assert not _knows(first, "later")


@pytest.mark.row("R9")
def test_a_server_that_catches_up_gets_what_it_missed_from_its_peer(pair: tuple[Host, Host]) -> None:
    first, second = pair
    backup = back_up(first, "--data")
    _assert_arrives(second, first, "after")

    restore(first, backup, "--replication=catch-up")

    wait_for("the missed user to come back", lambda: _knows(first, "after"), limit=90)
    _assert_arrives(first, second, "forth")
    _assert_arrives(second, first, "back")
    assert_one_realm(first, second)
