"""Which services a server has, from an export that goes by."""

from __future__ import annotations

from ipabackup.directory.connection import ENABLED
from ipabackup.directory.ldif_scan import records

_MARK = b"\nipaconfigstring"
_END = b"\n\n"


class ServiceScan:
    """Finds the services that an export says are enabled on `host`.

    They are the entries below ``cn=HOST,cn=masters`` whose ipaConfigString says ``enabledService`` (or, for one that is
    in use but hidden, ``hiddenService``).  Only entries that have such an attribute are looked at closely.
    """

    def __init__(self, host: str) -> None:
        self._below = f",cn={host},cn=masters,".lower()
        self.begin()

    def begin(self) -> None:
        """Forget what was seen: the export begins anew."""
        self._rest = b""
        self._found: set[str] = set()

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the export."""
        text = self._rest + piece
        end = text.rfind(_END)
        if end < 0:
            self._rest = text
            return
        self._scan(text[:end])
        self._rest = text[end + 1 :]

    def close(self) -> list[str]:
        """The services' names, sorted, once everything has been fed."""
        self._scan(self._rest)
        return sorted(self._found)

    def _scan(self, text: bytes) -> None:
        if _MARK not in text.lower():
            return
        for record in text.split(_END):
            if _MARK in record.lower():
                self._look(record)

    def _look(self, record: bytes) -> None:
        for dn, attributes in records(record.split(b"\n")):
            if self._below not in dn.lower() or dn.lower().startswith("nsuniqueid="):
                continue
            states = {value.lower() for value in attributes.get("ipaconfigstring", ())}
            if states & ENABLED and "cn" in attributes:
                self._found.add(attributes["cn"][0].decode("utf-8", "replace"))
