"""How long it takes to bring all other masters to a restored one's data.

By ``ipa-restore --reinitialize-peers``, and by the same program where it leaves agreements the flow control that they
have of themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks import users
from benchmarks.sides import events, step_seconds
from lab import owner
from lab.engine import Engine
from lab.errors import TimedOut
from lab.host import Host
from lab.product import TARGET, install_product
from lab.realm import Realm
from lab.topology import load

TOPOLOGY = "triangle"
#: What must hold at this number of users: seconds, and the share of what the agreements' own flow control takes.
FULL_SIZE, MOST_SECONDS, MOST_SHARE = 10_000, 30.0, 0.5
#: The other side is not waited for any longer than this times ours: the verdict is clear by then.
_PATIENCE = 4.0
#: How often each side is measured.
_TIMES = 3
_STEP = "reinitialize-peers"
_PASSWORD_FILE = "/root/dm-password"
_FILL = ("-U", "--reinitialize-peers", "--json", "--password-file", _PASSWORD_FILE)
#: ipa-restore, where an agreement's flow control stays as it is.
_USUAL = """
import sys

sys.path.insert(0, "/{target}")
from ipabackup.cli.restore import main
from ipabackup.directory import refresh

refresh.FLOW_OPEN = refresh.FLOW_DEFAULT
sys.exit(main())
"""

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
            made = first.run(["ipa-backup", "--data", "--online", "--json"], timeout=3600)
            backup = str(next(event["path"] for event in events(made) if event["kind"] == "backup"))
            yield Filled(count, len(realm.hosts) - 1, *_by_turns(first, backup, say))


def _by_turns(host: Host, backup: str, say: Say) -> tuple[float, float, bool]:
    """Fill the peers by turns, ours after a restore of the backup: the medians of the two, and whether one was broken
    off.
    """
    all_ours: list[float] = []
    all_usual: list[float] = []
    broken_off = False
    while len(all_usual) < _TIMES and not broken_off:
        restored = host.run(["ipa-restore", *_FILL, backup], timeout=3600)
        all_ours.append(step_seconds(restored)[_STEP])
        usual, broken_off = _usual(host, limit=_PATIENCE * all_ours[-1])
        all_usual.append(usual)
        say(f"  ours {all_ours[-1]:.1f} s, with the agreements' own flow control {usual:.1f} s")
    return median(all_ours), max(all_usual) if broken_off else median(all_usual), broken_off


def _usual(host: Host, *, limit: float) -> tuple[float, bool]:
    """Have the same program fill the peers again, and leave the agreements' flow control as it is; also whether it was
    broken off.
    """
    begun = time.monotonic()
    try:
        filled = host.run(["/usr/bin/python3", "-I", "-c", _USUAL.format(target=TARGET), *_FILL], timeout=limit)
    except TimedOut:
        return time.monotonic() - begun, True
    return step_seconds(filled)[_STEP], False
