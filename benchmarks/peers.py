"""How long it takes to bring all other masters to a restored one's data.

By ``ipa-restore --reinitialize-peers``, and by the same program where it leaves the masters to themselves: agreements
keep their flow control, and nobody is kept awake.  With nobody else talking to the masters, and with clients that are
connected and silent, as those of a realm are most of the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from statistics import median

from benchmarks import users
from benchmarks.sides import events, step_seconds
from lab import owner
from lab.engine import Engine
from lab.errors import LabError, TimedOut
from lab.host import Host
from lab.product import TARGET, install_product
from lab.realm import Realm
from lab.topology import load

TOPOLOGY = "triangle"
#: How many clients are connected to each master that is filled.
CLIENTS = (0, 200)
#: What must hold at this number of users: seconds, and the share of what masters take that are left to themselves.
FULL_SIZE, MOST_SECONDS, MOST_SHARE = 10_000, 30.0, 0.5
#: The other side is not waited for any longer than this times ours: the verdict is clear by then.
_PATIENCE = 4.0
#: How often each side is measured, and how often a master left to itself may fail before that is given up.
_TIMES, _FAILURES = 3, 2
_STEP = "reinitialize-peers"
_PASSWORD_FILE = "/root/dm-password"
_FILL = ("-U", "--reinitialize-peers", "--json", "--password-file", _PASSWORD_FILE)
#: ipa-restore, where the masters are left to themselves.
_LEFT = """
import sys
from contextlib import nullcontext

sys.path.insert(0, "/{target}")
from ipabackup.cli.restore import main
from ipabackup.directory import masters, refresh

refresh.FLOW_OPEN = refresh.FLOW_DEFAULT
masters.LdapMasters.awake = lambda *_: nullcontext()
sys.exit(main())
"""
#: Connections to the LDAP port of each host that is named, held until the program is ended.
_SILENT_CLIENTS = """
import signal, socket, sys

number, *hosts = sys.argv[1:]
held = [socket.create_connection((host, 389)) for host in hosts for _ in range(int(number))]
signal.pause()
"""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Filled:
    """Seconds that filling all peers took: `ours`, and `left` to themselves.

    That was at least so much where it was `broken_off`.  Each peer had `clients` that were connected and silent.
    """

    users: int
    peers: int
    clients: int
    ours: float
    left: float
    broken_off: bool

    @property
    def holds(self) -> bool:
        """Whether the limits hold, where there are any."""
        return self.users != FULL_SIZE or (self.ours < MOST_SECONDS and self.ours <= MOST_SHARE * self.left)

    def __str__(self) -> str:
        more = "more than " if self.broken_off else ""
        share = f"{'under ' if self.broken_off else ''}{self.ours / self.left:.2f}"
        limits = f" (< {MOST_SECONDS:g} s, <= {MOST_SHARE:g})" if self.users == FULL_SIZE else ""
        return (
            f"{self.users} users, {self.peers} peers with {self.clients} clients each, both suffixes: {self.ours:.1f} "
            f"s; left to themselves {more}{self.left:.1f} s; ratio {share}{limits} "
            f"{'holds' if self.holds else 'DOES NOT HOLD'}"
        )


def measure(engine: Engine, counts: Sequence[int], say: Say) -> Iterator[Filled]:
    """Measure with so many users each, one after the other; yields results as they come.  Raises LabError."""
    for count in counts:
        for clients in CLIENTS:
            with Realm.up(engine, load(TOPOLOGY), owner=owner.this_process(), say=say) as realm:
                first = realm.master
                install_product(first, say=say)
                first.write_file(_PASSWORD_FILE, f"{realm.topology.passwords.directory_manager}\n", mode=0o600)
                say(f"Importing {count} users")
                users.add_users(first, range(count))
                made = first.run(["ipa-backup", "--data", "--online", "--json"], timeout=3600)
                backup = str(next(event["path"] for event in events(made) if event["kind"] == "backup"))
                peers = [host for host in realm.hosts.values() if host is not first]
                with _silent(first, peers, clients):
                    yield Filled(count, len(peers), clients, *_by_turns(first, backup, say))


@contextmanager
def _silent(host: Host, peers: Sequence[Host], number: int) -> Iterator[None]:
    """Have that many clients on `host` be connected to each of the peers."""
    clients = host.start(["/usr/bin/python3", "-c", _SILENT_CLIENTS, str(number), *(one.fqdn for one in peers)])
    try:
        yield
    finally:
        if clients.running:
            clients.signal("TERM")


def _by_turns(host: Host, backup: str, say: Say) -> tuple[float, float, bool]:
    """Fill the peers by turns, ours after a restore of the backup: the medians of the two, and whether the second is at
    least so much, since one was broken off.
    """
    all_ours: list[float] = []
    all_left: list[float] = []
    broken_off = False
    failures = 0
    while len(all_left) < _TIMES and not broken_off:
        restored = host.run(["ipa-restore", *_FILL, backup], timeout=3600)
        all_ours.append(step_seconds(restored)[_STEP])
        try:
            left, broken_off = _left(host, limit=_PATIENCE * all_ours[-1])
        except LabError as error:
            failures += 1
            if failures > _FAILURES:
                raise
            say(f"  left to themselves it failed, and is done again: {str(error).strip().splitlines()[-1]}")
            continue
        all_left.append(left)
        say(f"  ours {all_ours[-1]:.1f} s, left to themselves {left:.1f} s")
    return median(all_ours), *_middle(all_left, broken_off)


def _middle(seconds: Sequence[float], broken_off: bool) -> tuple[float, bool]:
    """The median, and whether it is at least so much: where the last one was `broken_off`, and its end matters."""
    at_most = median([*seconds[:-1], inf if broken_off else seconds[-1]])
    return median(seconds), at_most != median(seconds)


def _left(host: Host, *, limit: float) -> tuple[float, bool]:
    """Have the same program fill the peers again, left to themselves; also whether it was broken off."""
    begun = time.monotonic()
    try:
        filled = host.run(["/usr/bin/python3", "-I", "-c", _LEFT.format(target=TARGET), *_FILL], timeout=limit)
    except TimedOut:
        return time.monotonic() - begun, True
    return step_seconds(filled)[_STEP], False
