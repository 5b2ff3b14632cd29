"""Bringing other masters to the data of this one without a restore: after one that did not reach them, for instance."""

from __future__ import annotations

from collections.abc import Collection

from ipabackup.directory.masters import PeerFailure
from ipabackup.errors import Incomplete, Refused, UsageError
from ipabackup.restore.peers import PEERS_TITLE, Peers
from ipabackup.restore.plan import RestorePlan, check_given_password
from ipabackup.restore.reinitialize import reinitialize
from ipabackup.server import Machine, Server, realm_masters, running_instances
from ipabackup.steps import Plan, Reporter, Step


def plan_refill(server: Server, named: Collection[str], password: str | None, machine: Machine) -> RestorePlan:
    """The plan for filling the `named` masters of the realm (none: all other ones) with what this one has.

    Masters that are not named, and have this one's replication generation, supply them where this one does not.  Raises
    Refused, UsageError (a name that is no master's) and WrongPassword; changes nothing.
    """
    masters = realm_masters(server, running_instances(server, machine), machine)
    if not masters:
        raise Refused("The directory server is not running, so it can send nothing.", remedy="Start it: ipactl start")
    others = {name.lower(): name for name in masters if name != server.host}
    if not others:
        raise Refused("There are no other masters in this realm.")
    strangers = sorted(name for name in named if name.lower() not in others)
    if strangers:
        raise UsageError(
            f"No other master of this realm: {', '.join(strangers)}.", remedy=f"These are: {', '.join(sorted(others))}."
        )
    wanted = {name.lower() for name in named} or set(others)
    names = tuple(sorted(others[name] for name in wanted))
    left = sorted(name for key, name in others.items() if key not in wanted)
    check_given_password(password, server, machine)
    peers = Peers(server.host, names, password, machine)
    peers.doors |= server.doors
    suffixes = [backend.suffix for instance in server.instances for backend in instance.backends]

    def fill(report: Reporter) -> None:
        _learn(peers, server, left, machine)
        state = "Nothing else was changed."
        reinitialize(peers, server.basedn, server.instances, suffixes, machine, report, others=left, state=state)

    steps = (peers.step(), Step("reinitialize-peers", PEERS_TITLE, fill), Step("check", "Looking back", _check))
    overwrites = tuple(f"all data of {suffix} on {name}" for name in names for suffix in suffixes)
    facts = {"host": server.host, "overwrites": list(overwrites), "masters": list(names)}
    title = f"Bringing {', '.join(names)} to the data of {server.host}"
    return RestorePlan(Plan("reinitialize", title, steps, lambda: None, facts, goes_on=True), overwrites)


def _learn(peers: Peers, server: Server, others: Collection[str], machine: Machine) -> None:
    """Whom this master supplies, and whom those do that are not to be filled: the ways to the ones that are."""
    for instance in server.instances:
        with machine.masters.here(instance.ldapi_uri) as master:
            peers.learn(server.host, master.agreements())
    for name in others:
        try:
            with peers.opened(name) as masters:
                for master in masters:
                    peers.learn(name, master.agreements())
        except PeerFailure:
            continue


def _check(report: Reporter) -> None:
    if report.warnings:
        raise Incomplete("The masters are filled, with warnings: " + "; ".join(report.warnings))
