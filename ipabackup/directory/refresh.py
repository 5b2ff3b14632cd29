"""A total update, which 389 DS calls a refresh: how an agreement is told to begin one, and what it tells of it.

What the server does on the way is in docs/decisions/0006-filling-masters.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import ldap

from ipabackup.directory.agreements import ENABLED, INIT_STATUS, REFRESH, UPDATE_STATUS, Agreement, status_code

_INIT_START, _INIT_END = "nsds5replicaLastInitStart", "nsds5replicaLastInitEnd"
#: What an agreement says of its last session as long as its thread has not begun.
_IDLE = ("No replication sessions started", "agreement disabled")
#: What it says of a total update that has not ended yet.
_UNDER_WAY = "in progress"
#: Seconds for that thread, or a total update, to begin, and how often one that did not is asked for again.
_BEGUN, _BETWEEN_LOOKS, _BEGINNINGS = 5.0, 0.05, 3
#: Seconds within which one that failed is tried again (five times, after 1, 2, 3, … seconds).
_RETRIED = 10.0
#: Flow control of a total update, wide open: entries sent without an answer, and the pause (ms) after them.
FLOW_OPEN = {"nsds5ReplicaFlowControlWindow": b"100000", "nsds5ReplicaFlowControlPause": b"1"}
FLOW_DEFAULT = {"nsds5ReplicaFlowControlWindow": b"1000", "nsds5ReplicaFlowControlPause": b"2000"}

#: An agreement's flow control: attribute → values.
Flow = Mapping[str, "list[bytes]"]


class Refreshing(NamedTuple):
    """A total update that goes on: the flow control to put back, and whether it was `found` and not asked for."""

    flow: Flow
    found: bool


class Refresh:
    """The total updates by one agreement of the server behind `connection`.  Deeds raise ldap.LDAPError."""

    def __init__(self, connection: Any, agreement: Agreement) -> None:
        self._connection = connection
        self._dn = agreement.dn

    def begin(self) -> Refreshing:
        """Begin one, unless one goes on.

        By default a total update pauses for two seconds whenever its consumer is a thousand entries behind.  For its
        time the agreement's flow control is opened.
        """
        known = self._read(*FLOW_OPEN)
        since = self.last_begun()
        # The server refuses to have them removed, so one that was not there gets the default.
        before = {name: known.get(name.lower(), [FLOW_DEFAULT[name]]) for name in FLOW_OPEN}
        try:
            opened = [(ldap.MOD_REPLACE, name, [value]) for name, value in FLOW_OPEN.items()]
            self._connection.modify_s(self._dn, [*opened, (ldap.MOD_REPLACE, ENABLED, [b"on"])])
            # What an earlier command gave up may still go on, and is waited for: a second one would only begin when it
            # has ended, and its end would be taken for that of the second.
            found = self.begins_by_itself(since) or self._tries_again()
            for _ in range(0 if found else _BEGINNINGS):
                began = self._read(_INIT_START)
                self._connection.modify_s(self._dn, [(ldap.MOD_REPLACE, REFRESH, [b"start"])])
                if _wait(partial(self._has_begun, began)):
                    break
        except BaseException:
            self.set_flow(before)
            raise
        return Refreshing(before, found)

    def last_begun(self) -> str:
        """When the last one began (Generalized Time); "" for never."""
        return self._first(_INIT_START)

    def is_wanted(self) -> bool:
        """Whether one goes on, or there is an order for one, be it forgotten."""
        return REFRESH.lower() in self._read(REFRESH) or self._goes_on()

    def begins_by_itself(self, since: str) -> bool:
        """Whether the agreement, which was just switched on, begins with one; waits until it has begun with something.

        The last one began at `since` when the agreement was still off.  One has to end the session that goes on.  Asked
        for while the agreement's thread is just about to begin, it is forgotten, or the server waits two minutes for an
        end that does not come.
        """
        _wait(lambda: self._goes_on() or not self._waits_for_its_thread())
        # When it began is noted before anything else, also where the consumer is busy, and asked again and again.
        return self._goes_on() or self.last_begun() != since

    def outcome(self) -> str | None:
        """What is said of it once it has ended; None before."""
        # In one look: these change while it is asked.
        names = (INIT_STATUS, _INIT_START, _INIT_END, ENABLED)
        now = self._read(REFRESH, *names)
        told, began, ended, enabled = (now.get(name.lower(), [b""])[0].decode("utf-8", "replace") for name in names)
        # One that a server takes up from before it was started has no order.
        if REFRESH.lower() in now or _UNDER_WAY in told.lower():
            return None
        if ended < began and status_code(told) == 0:
            # Said of the one before: the consumer has not let this one begin yet.
            return "the agreement was switched off meanwhile" if enabled.lower() == "off" else None
        return told or "it says nothing"

    def set_flow(self, flow: Flow) -> None:
        """Set the agreement's flow control."""
        self._connection.modify_s(self._dn, [(ldap.MOD_REPLACE, name, list(flow[name])) for name in flow])

    def _read(self, *names: str) -> dict[str, list[bytes]]:
        found = self._connection.search_s(self._dn, ldap.SCOPE_BASE, attrlist=list(names))[0][1]
        return {name.lower(): values for name, values in found.items()}

    def _first(self, name: str) -> str:
        return self._read(name).get(name.lower(), [b""])[0].decode("utf-8", "replace")

    def _waits_for_its_thread(self) -> bool:
        """Whether the agreement has not done anything yet since it was switched on."""
        told = self._first(UPDATE_STATUS)
        return any(text in told for text in _IDLE)

    def _goes_on(self) -> bool:
        """Whether a total update is under way: not where one was asked for and forgotten."""
        return _UNDER_WAY in self._first(INIT_STATUS).lower()

    def _tries_again(self) -> bool:
        """Whether an order from before was still being carried out: pauses between attempts get longer by a second."""
        before = self._read(_INIT_START, REFRESH)
        if REFRESH.lower() not in before:
            return False
        return _wait(lambda: self._goes_on() or self._read(_INIT_START, REFRESH) != before, _RETRIED)

    def _has_begun(self, before: Mapping[str, list[bytes]]) -> bool:
        """Whether one that was asked for has begun or ended; when it began is told in seconds, and may be as before."""
        now = self._read(_INIT_START, REFRESH)
        return now.pop(REFRESH.lower(), None) is None or now != before or self._goes_on()


def _wait(state: Callable[[], bool], seconds: float | None = None) -> bool:
    """Look until the server has come to a `state`, which it tells only when asked; False when it took too long."""
    limit = time.monotonic() + (_BEGUN if seconds is None else seconds)
    while not state():
        if time.monotonic() > limit:
            return False
        time.sleep(_BETWEEN_LOOKS)
    return True
