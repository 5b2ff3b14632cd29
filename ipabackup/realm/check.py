"""Looking at all masters until they are one realm, or until it is clear that they are not."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ipabackup.realm.state import Look, RealmState, Viewpoint
from ipabackup.realm.verdict import Trouble, judge

#: Seconds that masters which are merely behind have to catch up.
PATIENCE = 30.0
_BETWEEN_LOOKS = 0.5


@dataclass(frozen=True)
class Verdict:
    """What the last look saw, and what is wrong with it; `seconds` is how long it took."""

    state: RealmState
    troubles: tuple[Trouble, ...]
    seconds: float

    @property
    def one_realm(self) -> bool:
        """Whether all masters were reached, and are one realm."""
        return not self.troubles

    @property
    def split(self) -> tuple[Trouble, ...]:
        """What is wrong beside that masters were not reached."""
        return tuple(trouble for trouble in self.troubles if trouble.kind != "unreachable")


def check_realm(
    view: Viewpoint,
    *,
    wait: float = PATIENCE,
    only: Collection[str] | None = None,
    away: Collection[str] = (),
    silent: Collection[str] = (),
    contents: bool = True,
) -> Verdict:
    """Ask all masters of the realm, or `only` some, and judge what they say (see `judge` for `away` and `silent`).

    Troubles that may pass by themselves (a master that is behind) have `wait` seconds to do so; 0 looks once.  Without
    `contents` nothing is counted.  Raises DirectoryFailure when the directory here does not answer.
    """
    began = time.monotonic()
    with Look(view) as look:
        while True:
            state = look.read(only)
            troubles = judge(state, away, silent)
            over = time.monotonic() - began >= wait
            settled = over or not _may_pass(troubles)
            if settled and contents:
                # Counting takes longer than the rest, and what is on its way would be counted on one side only.
                state = look.with_contents(state)
                troubles = judge(state, away, silent)
                settled = over or not _may_pass(troubles)
            if settled:
                return Verdict(state, tuple(troubles), time.monotonic() - began)
            # Nobody tells when a change arrives.
            time.sleep(_BETWEEN_LOOKS)


def _may_pass(troubles: Iterable[Trouble]) -> bool:
    """Whether waiting can lead to one realm: there is something to wait for, and nothing that stays."""
    return any(trouble.passing for trouble in troubles) and all(
        trouble.passing or trouble.kind == "unreachable" for trouble in troubles
    )
