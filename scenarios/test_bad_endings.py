"""What becomes of a realm after a careless restore with agreements left on, and what ipa-restore does about it."""

from __future__ import annotations

import pytest

from lab.execute import CommandResult
from lab.host import Host
from lab.realm import Realm
from lab.waiting import wait_for
from scenarios.deeds import back_up, restore
from scenarios.masters import assert_one_realm, check_realm, password_options
from scenarios.users import add_users, users, wait_users

NOT_ONE_REALM = 10
DIVERGED = "Can't locate CSN"


def _tool(host: Host, *words: str) -> CommandResult:
    """dsconf on the realm's instance, as Directory Manager."""
    secret = host.topology.passwords.directory_manager
    return host.run(["dsconf", "-D", "cn=Directory Manager", "-w", secret, host.instance, *words])


def _errors(host: Host) -> str:
    return host.read_file(f"/var/log/dirsrv/slapd-{host.instance}/errors")


def _assert_told(one: Host) -> None:
    """That the masters differ is seen by who asks all of them."""
    asked = check_realm(one, wait=1)
    assert asked.status == NOT_ONE_REALM, asked.describe()


def _wait_idle(pair: tuple[Host, ...]) -> None:
    """Wait until no master sends anything: a session that a restore breaks is made up for, and undoes the restore."""

    def idle() -> bool:
        states = [state for host in pair for name, state in host.agreement_states().items() if name.startswith("meTo")]
        return all(state.endswith("Incremental update succeeded") for state in states)

    wait_for("the masters to have nothing to send", idle, limit=60)


@pytest.mark.row("R8", "R9")
@pytest.mark.topology("pair")
def test_the_four_bad_endings_of_a_careless_restore_and_the_good_one(realm: Realm) -> None:
    """Each is seen to happen with the directory's own tools; then the same backup's restore by ipa-restore."""
    one, two = pair = tuple(realm.hosts.values())
    add_users(one, ["before"])
    wait_users(pair, ["before"])
    backup = back_up(one, "--data")
    raw = f"/var/lib/dirsrv/slapd-{one.instance}/bak/raw"
    _tool(one, "backup", "create", raw)
    # The peer knows changes of the restored master's own that this one will have forgotten.
    add_users(one, ["own"])
    add_users(two, ["unwanted"])
    wait_users(pair, ["before", "own", "unwanted"])

    # Nobody writes: the two stay different, and all agreements say that all is well.
    _wait_idle(pair)
    _tool(one, "backup", "restore", raw)
    assert users(one) == {"admin", "before"}
    assert all(state.startswith("Error (0)") for host in pair for state in host.agreement_states().values())
    _assert_told(one)

    # The other master writes first: the restore is undone.
    add_users(two, ["second"])
    wait_users(pair, ["before", "own", "unwanted", "second"])

    # Stopped, restored, started, while the other one was written to: undone at once.
    one.run(["dsctl", one.instance, "stop"])
    add_users(two, ["third"])
    one.run(["dsctl", one.instance, "bak2db", raw])
    one.run(["dsctl", one.instance, "start"])
    wait_users(pair, ["before", "own", "unwanted", "second", "third"])

    # The restored master writes first: what it writes reaches nobody any more.
    _wait_idle(pair)
    _tool(one, "backup", "restore", raw)
    begun = len(_errors(one))
    add_users(one, ["lonely"])
    wait_for("the restored master to have lost its way", lambda: DIVERGED in _errors(one)[begun:], limit=60)
    wait_for(
        "its agreement to say so",
        lambda: any(state.startswith("Error (18)") for state in one.agreement_states().values()),
        limit=60,
    )
    assert "lonely" not in users(two)
    _assert_told(one)

    # ipa-restore, and then all of it again: the peer writes, the restored one writes, and starts anew.
    restore(one, backup, *password_options(one))
    assert users(one) == {"admin", "before"}
    add_users(two, ["second-again"])
    add_users(one, ["first-again"])
    for host in pair:
        host.run(["systemctl", "restart", f"dirsrv@{host.instance}"])
    _assert_told(one)
    assert users(one) == {"admin", "before", "first-again"}, "nothing of the peer's came"
    assert "first-again" not in users(two)

    restore(one, backup, "--reinitialize-peers", *password_options(one))
    wait_users(pair, ["before"])
    add_users(two, ["forth"])
    add_users(one, ["back"])
    wait_users(pair, ["before", "forth", "back"])
    assert_one_realm(*pair)
