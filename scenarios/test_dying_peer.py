"""Masters that fail while others are brought to a restored one's data: named, and mended by what is said to do."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from lab.background import BackgroundCommand
from lab.execute import CommandResult
from lab.faults import kill, slow_line
from lab.host import Host
from lab.realm import Realm
from lab.waiting import wait_for
from scenarios.deeds import back_up
from scenarios.masters import assert_one_realm, check_realm, password_options, troubles
from scenarios.users import add_users, users, wait_users

PEERS_UNREACHABLE, NOT_ONE_REALM = 8, 10

MAPPING_TREE = "cn=mapping tree,cn=config"

#: Kilobits a second: slow enough that filling a master takes some seconds.
SLOW = 400


def _spoilt_after_backup(masters: Sequence[Host]) -> str:
    """Back up the first master, and have the last one add what nobody wants; all have both then."""
    add_users(masters[0], ["before"])
    wait_users(masters, ["before"])
    backup = back_up(masters[0], "--data")
    add_users(masters[-1], ["unwanted"])
    wait_users(masters, ["before", "unwanted"])
    return backup


def _restoring(host: Host, backup: str) -> BackgroundCommand:
    return host.start(["ipa-restore", "-U", "-v", backup, "--reinitialize-peers", *password_options(host)])


def _wait_filling(supplier: Host, consumer: Host) -> None:
    """Wait until a master is being filled with the domain: its supplier's directory is restored before that."""
    import ldap

    wanted = f"(&(cn=meTo{consumer.fqdn})(nsds5BeginReplicaRefresh=*))"

    def begun() -> bool:
        try:
            with supplier.ldap() as connection:
                return bool(connection.search_s(MAPPING_TREE, ldap.SCOPE_SUBTREE, wanted, ["cn"]))
        except ldap.SERVER_DOWN:
            return False

    wait_for(f"{consumer.fqdn} to be filled by {supplier.fqdn}", begun, limit=300)


def _mend(host: Host, said: CommandResult) -> None:
    """Fill a master by hand, with what the restore's error says to run on it."""
    commands = re.findall(r"(ipa-(?:cs)?replica-manage) re-initialize (--from=[\w.-]+)", said.stderr)
    assert len(commands) == 2, said.describe()
    for tool, source in commands:
        host.run([tool, "-p", host.topology.passwords.directory_manager, "re-initialize", source])


@pytest.mark.row("R14", "R15", "T10")
@pytest.mark.topology("triangle")
def test_a_master_that_dies_while_it_is_filled_is_named_and_can_be_filled_again(realm: Realm) -> None:
    """The other one is filled all the same; the dead one, back with half of the data, is filled by hand."""
    one, two, three = masters = tuple(realm.hosts.values())
    backup = _spoilt_after_backup(masters)

    restoring = _restoring(one, backup)
    with slow_line(one, kbit=SLOW):
        _wait_filling(one, three)
        kill(three)
        said = restoring.wait()

    assert said.status == PEERS_UNREACHABLE, said.describe()
    assert re.search(rf"{re.escape(three.fqdn)} could not be re-initialised with", said.stderr), said.describe()
    assert f"{two.fqdn} has been re-initialised with {one.topology.suffix}" in said.stdout
    wait_users([one, two], ["before"])

    three.boot()
    _mend(three, said)
    three.wait_ready()
    wait_users(masters, ["before"])
    # Its other neighbour it does not supply yet: what is printed switches that on.
    left = troubles(check_realm(one, "--json"))
    assert {(trouble["kind"], *trouble["hosts"]) for trouble in left} == {("off", three.fqdn, two.fqdn)}
    for trouble in left:
        command = re.fullmatch(rf"On {re.escape(three.fqdn)} run: (dsconf .*)", trouble["remedy"])
        assert command, trouble
        three.run(command[1].split())
    add_users(three, ["forth"])
    wait_users(masters, ["before", "forth"])
    assert_one_realm(*masters)


@pytest.mark.row("R8", "R9", "R15")
@pytest.mark.topology("triangle")
def test_a_master_that_comes_back_too_early_changes_nothing_and_is_told_from_the_realm(realm: Realm) -> None:
    """Dead when it should have been switched off, back with its agreements on while the others are being filled."""
    one, two, three = masters = tuple(realm.hosts.values())
    backup = _spoilt_after_backup(masters)
    kill(two)

    restoring = _restoring(one, backup)
    with slow_line(one, kbit=SLOW):
        _wait_filling(one, three)
        two.boot()
        two.wait_ready()
        add_users(two, ["also-unwanted"])
    said = restoring.wait()

    assert said.status == PEERS_UNREACHABLE, said.describe()
    assert two.fqdn in said.stderr
    wait_users([one, three], ["before"])
    split = check_realm(one, "--json", wait=1)
    assert split.status == NOT_ONE_REALM, split.describe()
    told = troubles(split)
    assert {"generation"} <= {trouble["kind"] for trouble in told}
    assert users(one) == users(three) == {"admin", "before"}, "nothing of the early one's came"

    _mend(two, said)
    wait_users(masters, ["before"])
    add_users(two, ["forth"])
    wait_users(masters, ["before", "forth"])
    assert_one_realm(*masters)
