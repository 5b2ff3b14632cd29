"""Masters that fail while others are brought to a restored one's data: named, and mended by what is said to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import pytest

from lab.background import BackgroundCommand
from lab.execute import CommandResult
from lab.faults import kill, partition, paused, slow_line
from lab.host import Host
from lab.realm import Realm
from lab.waiting import wait_for
from scenarios.deeds import back_up, restore
from scenarios.masters import ARRIVAL_AFTER_FAULT, assert_one_realm, check_realm, password_options, troubles
from scenarios.users import add_users, users, wait_users

Fault = Callable[[Host, Host], AbstractContextManager[None]]

PEERS_UNREACHABLE, INCOMPLETE, NOT_ONE_REALM = 8, 9, 10

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


def _wait_half_filled(host: Host) -> None:
    """Wait until a master's own data of the domain is gone, and the new one on its way."""
    import ldap

    def taken() -> bool:
        with host.ldap() as connection:
            try:
                connection.search_s(host.topology.suffix, ldap.SCOPE_BASE, attrlist=["1.1"])
            except (ldap.BUSY, ldap.UNAVAILABLE, ldap.UNWILLING_TO_PERFORM, ldap.OPERATIONS_ERROR, ldap.REFERRAL):
                return True
            return False

    wait_for(f"{host.fqdn} to be filled", taken, limit=120)


def _mend(host: Host, said: CommandResult, *named: Host) -> CommandResult:
    """Do what a restore's error says about the masters that it could not fill; they are those that are `named`."""
    command = re.search(rf"run on {re.escape(host.fqdn)}: ipa-restore (--reinitialize-peers .*)", said.stderr)
    assert command, said.describe()
    options = command[1].split()
    assert options == ["--reinitialize-peers", *(word for one in named for word in ("--peer", one.fqdn))]
    return host.run(["ipa-restore", "-U", "-v", *options, *password_options(host)], check=False)


@pytest.mark.row("R14", "R15", "T10")
@pytest.mark.topology("triangle")
def test_a_master_that_dies_while_it_is_filled_is_named_and_can_be_filled_again(realm: Realm) -> None:
    """The other one is filled all the same; the dead one, which comes back with nothing, by what the error says."""
    one, two, three = masters = tuple(realm.hosts.values())
    backup = _spoilt_after_backup(masters)

    restoring = _restoring(one, backup)
    with slow_line(one, kbit=SLOW):
        _wait_half_filled(three)
        kill(three)
        said = restoring.wait()

    assert said.status == PEERS_UNREACHABLE, said.describe()
    # Its supplier notices that the connection has broken, or waits for answers and is given up.
    told = rf"{re.escape(three.fqdn)} (could not be re-initialised|does not answer any more)"
    assert re.search(told, said.stderr), said.describe()
    assert f"{two.fqdn} has been re-initialised with {one.topology.suffix}" in said.stdout
    wait_users([one, two], ["before"])

    three.boot()
    mended = _mend(one, said, three)
    # It knew no supplier, and its KDC and what needs one did not start.
    assert mended.status == INCOMPLETE, mended.describe()
    assert f"{three.fqdn} had none of the domain's data" in mended.stderr
    assert "Run on it: ipactl restart." in mended.stderr
    three.run(["ipactl", "restart"])
    three.wait_ready()
    wait_users(masters, ["before"])
    left = three.run(["grep", "-rl", "--include=dse.ldif", "ipabackup supplier", "/etc/dirsrv"], check=False)
    assert left.stdout == "", "what let its supplier in is gone again"
    add_users(three, ["forth"])
    wait_users(masters, ["before", "forth"], ARRIVAL_AFTER_FAULT)
    assert_one_realm(*masters)


@pytest.mark.row("R14", "R15", "T10")
@pytest.mark.topology("line")
def test_a_restored_master_that_loses_power_while_it_fills_another_one_fills_it_when_told_again(realm: Realm) -> None:
    """It has kept its order, and takes it up each time the agreement is switched on: all behind are filled again."""
    one, two, three = masters = tuple(realm.hosts.values())
    backup = _spoilt_after_backup(masters)

    _restoring(one, backup)
    with slow_line(one, kbit=SLOW):
        _wait_half_filled(two)
        kill(one)
    one.boot()
    one.wait_ready()
    assert users(one) >= {"before"}, "its own data was restored before"

    filled = one.run(["ipa-restore", "-U", "-v", "--reinitialize-peers", *password_options(one)], check=False)
    assert filled.status == INCOMPLETE, filled.describe()
    assert f"{two.fqdn} had none of the domain's data" in filled.stderr
    assert f"started with an order to fill {two.fqdn}, does so once more" in filled.stdout
    assert f"{three.fqdn} is filled once more, as {two.fqdn} was" in filled.stdout
    two.run(["ipactl", "restart"])
    two.wait_ready()
    wait_users(masters, ["before"])
    for host in masters[1:]:
        add_users(host, [f"forth-{host.name}"])
    wait_users(masters, ["before", *(f"forth-{host.name}" for host in masters[1:])], ARRIVAL_AFTER_FAULT)
    assert_one_realm(*masters)


def _start_with_order(supplier: Host, consumer: Host) -> None:
    """Have a master's directory server start as after a loss of power while it filled another one; wait for the end."""
    import ldap

    unit, configuration = f"dirsrv@{supplier.instance}", f"/etc/dirsrv/slapd-{supplier.instance}/dse.ldif"
    supplier.run(["systemctl", "stop", unit])
    order = f"/^cn: meTo{consumer.fqdn}$/a nsds5BeginReplicaRefresh: start"
    supplier.run(["sed", "-i", order, configuration])
    supplier.run(["systemctl", "start", unit])

    def filled() -> bool:
        with supplier.ldap() as connection:
            name, wanted = f"(cn=meTo{consumer.fqdn})", "nsds5replicaLastInitStatus"
            ((_, told),) = connection.search_s(MAPPING_TREE, ldap.SCOPE_SUBTREE, name, [wanted])
            return b"Total update succeeded" in told.get(wanted, [b""])[0]

    wait_for(f"{consumer.fqdn} to have been filled by {supplier.fqdn}", filled, limit=120)


@pytest.mark.row("R9")
@pytest.mark.topology("pair")
def test_a_server_catches_up_with_one_that_fills_it_each_time_it_is_told_to_look(realm: Realm) -> None:
    """That one was started with an order: its total update is waited for, and not interrupted."""
    one, two = masters = tuple(realm.hosts.values())
    backup = back_up(one, "--data")
    add_users(two, ["news"])
    wait_users(masters, ["news"])
    _start_with_order(two, one)

    said = restore(one, backup, "-v", "--replication=catch-up", *password_options(one))
    assert f"{two.fqdn}, which was started with an order to fill this server, has done so" in said.stdout
    for host in masters:
        add_users(host, [f"forth-{host.name}"])
    wait_users(masters, ["news", *(f"forth-{host.name}" for host in masters)])
    assert_one_realm(*masters)


def _cut_off(one: Host, other: Host) -> AbstractContextManager[None]:
    return partition(one, other)


def _hung(one: Host, other: Host) -> AbstractContextManager[None]:
    """The kernel of the other host goes on, and takes connections."""
    return paused(other)


@pytest.mark.row("R14", "R15", "T10")
@pytest.mark.topology("triangle")
@pytest.mark.parametrize("fault", [_cut_off, _hung])
def test_a_master_that_falls_silent_while_it_is_filled_is_not_waited_for(realm: Realm, fault: Fault) -> None:
    """Its supplier's connection stays open, and nobody answers: it is given up, and filled when it is back."""
    one, two, three = masters = tuple(realm.hosts.values())
    backup = _spoilt_after_backup(masters)

    restoring = _restoring(one, backup)
    with slow_line(one, kbit=SLOW):
        _wait_half_filled(three)
        with fault(one, three):
            said = restoring.wait()
            assert said.status == PEERS_UNREACHABLE, said.describe()
            assert f"{three.fqdn} does not answer any more" in said.stderr
            wait_users([one, two], ["before"])

    # The open connection may bring the rest before anybody asks for it.
    mended = _mend(one, said, three)
    assert mended.status in (0, INCOMPLETE), mended.describe()
    three.run(["ipactl", "restart"])
    wait_users(masters, ["before"], ARRIVAL_AFTER_FAULT)
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

    mended = _mend(one, said, two)
    assert mended.status == 0, mended.describe()
    wait_users(masters, ["before"])
    add_users(two, ["forth"])
    wait_users(masters, ["before", "forth"], ARRIVAL_AFTER_FAULT)
    assert_one_realm(*masters)
