"""How long it takes to bring all other masters to a restored one's data.

By ``ipa-restore --reinitialize-peers``, and by the same total updates with the flow control that agreements have of
themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks import users
from benchmarks.sides import events, step_seconds
from lab import owner
from lab.engine import Engine
from lab.errors import LabError
from lab.host import Host
from lab.product import install_product
from lab.realm import Realm
from lab.topology import load
from lab.waiting import wait_for

TOPOLOGY = "triangle"
#: What must hold at this number of users: seconds, and the share of what the agreements' own flow control takes.
FULL_SIZE, MOST_SECONDS, MOST_SHARE = 10_000, 30.0, 0.5
#: The other side is not waited for any longer than this times ours: the verdict is clear by then.
_PATIENCE = 4.0
_STEP = "reinitialize-peers"
_PASSWORD_FILE = "/root/dm-password"
_REFRESH = "nsds5BeginReplicaRefresh"
#: The defaults that 389 DS documents.
_USUAL = {"nsds5ReplicaFlowControlWindow": b"1000", "nsds5ReplicaFlowControlPause": b"2000"}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Filled:
    """Seconds that filling all peers took: `ours`, and `usual` with the usual flow control.

    That was at least so much where it was `broken_off`.
    """

    users: int
    peers: int
    ours: float
    usual: float
    broken_off: bool

    @property
    def holds(self) -> bool:
        """Whether the limits hold, where there are any."""
        return self.users != FULL_SIZE or (self.ours < MOST_SECONDS and self.ours <= MOST_SHARE * self.usual)

    def __str__(self) -> str:
        more = "more than " if self.broken_off else ""
        share = f"{'under ' if self.broken_off else ''}{self.ours / self.usual:.2f}"
        limits = f" (< {MOST_SECONDS:g} s, <= {MOST_SHARE:g})" if self.users == FULL_SIZE else ""
        return (
            f"{self.users} users, {self.peers} peers, both suffixes: {self.ours:.1f} s; with the agreements' own flow "
            f"control {more}{self.usual:.1f} s; ratio {share}{limits} {'holds' if self.holds else 'DOES NOT HOLD'}"
        )


def measure(engine: Engine, counts: Sequence[int], say: Say) -> Iterator[Filled]:
    """Measure with so many users each, one after the other; yields results as they come.  Raises LabError."""
    for count in counts:
        with Realm.up(engine, load(TOPOLOGY), owner=owner.this_process(), say=say) as realm:
            first = realm.master
            install_product(first, say=say)
            first.write_file(_PASSWORD_FILE, f"{realm.topology.passwords.directory_manager}\n", mode=0o600)
            say(f"Importing {count} users")
            users.add_users(first, range(count))
            ours = _ours(first)
            say(f"  ours: {ours:.1f} s")
            usual, broken_off = _usual(first, limit=_PATIENCE * ours)
            yield Filled(count, len(realm.hosts) - 1, ours, usual, broken_off)


def _ours(host: Host) -> float:
    """Back up, restore, and fill the peers: the seconds of the last."""
    made = host.run(["ipa-backup", "--data", "--online", "--json"], timeout=3600)
    backup = str(next(event["path"] for event in events(made) if event["kind"] == "backup"))
    restored = host.run(
        ["ipa-restore", "-U", "--reinitialize-peers", "--json", "--password-file", _PASSWORD_FILE, backup], timeout=3600
    )
    return step_seconds(restored)[_STEP]


def _usual(host: Host, *, limit: float) -> tuple[float, bool]:
    """Fill the peers again with the usual flow control, at once, one suffix after the other; also whether it was broken
    off.
    """
    import ldap

    begun = time.monotonic()
    for suffix in (host.topology.suffix, "o=ipaca"):
        agreements = _agreements(host, suffix)
        with host.ldap() as connection:
            changes = [(ldap.MOD_REPLACE, name, [value]) for name, value in _USUAL.items()]
            for dn in agreements:
                connection.modify_s(dn, [*changes, (ldap.MOD_REPLACE, _REFRESH, [b"start"])])
        left = limit - (time.monotonic() - begun)
        try:
            wait_for("the peers to be filled", lambda dns=agreements: not _going_on(host, dns), limit=left)  # type: ignore[misc]
        except LabError:
            return time.monotonic() - begun, True
    return time.monotonic() - begun, False


def _agreements(host: Host, suffix: str) -> list[str]:
    import ldap

    wanted = f"(&(objectClass=nsds5replicationagreement)(nsDS5ReplicaRoot={suffix}))"
    with host.ldap() as connection:
        found = connection.search_s("cn=mapping tree,cn=config", ldap.SCOPE_SUBTREE, wanted, ["cn"])
    return [dn for dn, _ in found]


def _going_on(host: Host, agreements: Sequence[str]) -> bool:
    import ldap

    with host.ldap() as connection:
        return any(_REFRESH in connection.search_s(dn, ldap.SCOPE_BASE, attrlist=[_REFRESH])[0][1] for dn in agreements)
