"""One total update: a master sends all that it has of a suffix to another one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ipabackup.directory.agreements import BUSY, Agreement, status_code, succeeded
from ipabackup.directory.masters import Master
from ipabackup.directory.refresh import Flow

#: Seconds that a total update of one suffix may take.
LIMIT = 6 * 3600.0
#: Seconds that the session of another master with one that is to be filled may take.
BUSY_LIMIT = 120.0
#: Seconds between two questions for its end, which the server tells only when asked.
BETWEEN_LOOKS = 0.2


@dataclass
class TotalUpdate:
    """A total update that goes on: who sends (`name`), by which agreement, and the flow control to put back.

    One that was `found` an earlier command had begun and given up: should it fail, it is asked for once more.
    """

    name: str
    supplier: Master
    agreement: Agreement
    flow: Flow
    found: bool
    _begun: float = field(default_factory=time.monotonic)
    _last: str = ""

    @classmethod
    def begin(cls, name: str, supplier: Master, agreement: Agreement) -> TotalUpdate:
        """Have `supplier`, which is called `name`, begin to send by this agreement; raises PeerFailure."""
        return cls(name, supplier, agreement, *supplier.begin_refresh(agreement))

    @property
    def overdue(self) -> bool:
        """Whether it has taken longer than any may."""
        return time.monotonic() - self._begun > LIMIT

    def outcome(self) -> str | None:
        """None as long as it goes on, nothing after a good end, and else what the supplier says; raises PeerFailure.

        One that came to nothing because another master's session went on is asked for again.
        """
        status = self.supplier.refreshed(self.agreement)
        if status is None:
            return None
        if succeeded(status):
            return ""
        busy = status_code(status) == BUSY and time.monotonic() - self._begun < BUSY_LIMIT
        if busy or self.found:
            self.found = self.found and busy
            self.supplier.begin_refresh(self.agreement)
            return None
        return status or "nobody says why"

    def rest(self) -> None:
        """Switch the agreement off, which has done its part; raises PeerFailure."""
        self._last = self.supplier.last_refresh(self.agreement)
        self.supplier.switch(self.agreement, "off")

    def begins_again(self) -> bool:
        """Whether the agreement, which rested and was just switched on, sends all once more; raises PeerFailure."""
        return self.supplier.fills_again(self.agreement, self._last)

    def put_back(self) -> None:
        """Give the agreement the flow control that it had; raises PeerFailure."""
        self.supplier.set_flow(self.agreement, self.flow)
