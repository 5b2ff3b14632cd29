"""Restores in a realm of two masters: what the other one may do, and how it comes along."""

import re

import pytest

from lab.host import Host
from lab.realm import Realm
from lab.waiting import wait_for
from scenarios.deeds import back_up, restore
from scenarios.masters import CA_SUFFIX, assert_one_realm, check_realm, password_options, troubles

REFUSED, PEERS_UNREACHABLE, NOT_ONE_REALM = 3, 8, 10


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


def _keep_changes(host: Host, age: str) -> None:
    """Have a master keep changes of the domain in its changelog for so long; it does for ever by default."""
    import ldap

    dn = "cn=changelog,cn=userRoot,cn=ldbm database,cn=plugins,cn=config"
    with host.ldap() as connection:
        connection.modify_s(dn, [(ldap.MOD_REPLACE, "nsslapd-changelogmaxage", [age.encode()])])


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

    # Agreements that are on, and two generations: that is no realm, and both commands that are printed mend it.
    split = check_realm(first, "--json")
    assert split.status == NOT_ONE_REALM, split.describe()
    kinds = {(one["kind"], one["suffix"]) for one in troubles(split)}
    assert {("generation", first.topology.suffix), ("generation", CA_SUFFIX)} <= kinds
    commands = re.findall(
        rf"^ *{re.escape(second.fqdn)}: (ipa-\S+ re-initialize --from=\S+)$", result.stdout, re.MULTILINE
    )
    assert [command.split()[0] for command in commands] == ["ipa-replica-manage", "ipa-csreplica-manage"], (
        result.describe()
    )
    for command in commands:
        second.run([*command.split(), "-p", second.topology.passwords.directory_manager])
    assert_one_realm(first, second)
    _assert_arrives(first, second, "forth")
    assert not _knows(second, "after")


@pytest.mark.row("R9")
def test_a_server_catches_up_with_a_peer_that_still_has_all_changes_and_no_other(pair: tuple[Host, Host]) -> None:
    first, second = pair
    backup = back_up(first, "--data")
    _assert_arrives(second, first, "after")
    since = ["systemctl", "show", "-P", "ActiveEnterTimestampMonotonic", f"dirsrv@{first.instance}.service"]

    def refused(why: str, *options: str) -> None:
        started = first.run(since).stdout
        result = first.run(["ipa-restore", "-U", backup, "--replication=catch-up", *options], check=False)
        assert result.status == REFUSED, result.describe()
        assert why in result.stderr
        assert first.run(since).stdout == started, "the directory server was stopped"

    first.run(["kdestroy"])
    refused(f"{second.fqdn}: there is neither a password (-p) nor a Kerberos ticket")

    restore(first, backup, "--replication=catch-up", *password_options(first))
    first.kinit()

    wait_for("the missed user to come back", lambda: _knows(first, "after"), limit=90)
    _assert_arrives(first, second, "forth")
    _assert_arrives(second, first, "back")
    assert_one_realm(first, second)

    # The peer keeps changes for a second now: what the backup ends with is older, and it could not go on from there.
    _keep_changes(second, "1s")
    refused(f"{second.fqdn} keeps changes of {first.topology.suffix} for 1 s", *password_options(first))


@pytest.mark.row("R9")
@pytest.mark.parametrize("options", [("--data",), ("--data", "--online"), ()], ids=["data", "online", "full"])
def test_what_a_server_wrote_itself_comes_back_to_it_from_a_peer_that_has_no_news(
    pair: tuple[Host, Host], options: tuple[str, ...]
) -> None:
    """That does not look by itself, and with the first change that the restored server makes it would be too late."""
    first, second = pair
    first.kinit()
    # What the database does not yet say of itself, in a copy of a running one.
    _assert_arrives(first, second, "before")
    backup = back_up(first, *options)
    first.kinit()
    _assert_arrives(first, second, "own")
    _assert_arrives(second, first, "others")
    assert_one_realm(first, second)

    said = restore(first, backup, "-v", "--replication=catch-up", *password_options(first)).stdout
    assert f"{second.fqdn} has sent all of {first.topology.suffix}" in said, "what it had sent itself it would not take"
    first.kinit()
    assert _knows(first, "before")
    assert _knows(first, "own")
    assert _knows(first, "others")
    # Changes of its own reach the other one: the server knows what it had sent before.
    _assert_arrives(first, second, "again")
    assert_one_realm(first, second)


@pytest.mark.row("R9")
def test_what_a_server_wrote_itself_comes_back_to_it_although_a_peer_begins_to_send_at_once(
    pair: tuple[Host, Host],
) -> None:
    """As one does that has news: when it is asked, the server has made changes of its own that hide what it lacks."""
    first, second = pair
    backup = back_up(first)
    first.kinit()
    _assert_arrives(first, second, "own")
    first.run(["ipactl", "stop"])
    second.kinit()
    _add(second, "others")

    said = restore(first, backup, "-v", "--replication=catch-up", *password_options(first)).stdout
    assert f"{second.fqdn} has sent all of {first.topology.suffix}" in said
    first.kinit()
    assert _knows(first, "own")
    assert _knows(first, "others")
    _assert_arrives(first, second, "again")
    assert_one_realm(first, second)


@pytest.mark.row("R8", "R9", "R15", "T10")
def test_the_masters_of_a_line_are_filled_outward_one_after_the_other(make_realm) -> None:  # type: ignore[no-untyped-def]
    realm: Realm = make_realm("line")
    first, second, third = (realm.host(name) for name in ("ipa1", "ipa2", "ipa3"))
    first.kinit()
    _add(first, "before")
    backup = back_up(first, "--data")
    for host in (second, third):
        host.kinit()
    _assert_arrives(third, first, "after")

    result = restore(first, backup, "-v", "--reinitialize-peers", *password_options(first))

    filled = re.findall(r"(\S+) has been re-initialised with (\S+)", result.stdout)
    suffixes = {first.topology.suffix, CA_SUFFIX}
    assert [host for host, _ in filled] == [second.fqdn] * 2 + [third.fqdn] * 2, result.describe()
    assert {suffix for _, suffix in filled[:2]} == {suffix for _, suffix in filled[2:]} == suffixes
    rows = [line.split() for line in result.lines if " current " in line]
    assert sorted((row[0], row[1]) for row in rows) == sorted(
        (host.fqdn, suffix) for host in (first, second, third) for suffix in suffixes
    )
    for host in (first, second, third):
        host.kinit()
        assert _knows(host, "before")
        assert not _knows(host, "after"), f"{host.fqdn} brought the later user back"
    _assert_arrives(first, third, "forth")
    _assert_arrives(third, first, "back")
    assert_one_realm(first, second, third)
