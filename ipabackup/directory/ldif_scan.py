"""Reading an LDIF export as a stream: how many entries, is it whole, what does it say of the masters.

A scanner of our own rather than python-ldap's parser: it has to keep up with the copying of the data (a 195 MB export
takes python-ldap 6.5 s and this a fraction of a second), and it needs to know only where entries begin.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

RUV_UNIQUE_ID = "ffffffff-ffffffff-ffffffff-ffffffff"

_RECORD = b"\ndn:"
# 389 DS puts nsuniqueid= in front of a deleted entry's DN; the second form is the same in base64.
_TOMBSTONES = (b"\ndn: nsuniqueid=", b"\ndn:: bnN1bmlxdWVp")
_STATE = re.compile(r"(?:adcsn|mdcsn|vdcsn|vucsn)-[0-9a-f]+\Z|deleted\Z|deletedattribute\Z")
_KEEP = max(len(marker) for marker in _TOMBSTONES) - 1


@dataclass(frozen=True)
class LdifSummary:
    """What an export holds: `entries` without tombstones, `tombstones` (the RUV entry is one), and whether the text
    ended at the end of an entry (`whole`).
    """

    entries: int
    tombstones: int
    whole: bool

    @property
    def total(self) -> int:
        """All records, tombstones included: what the export tool counts as processed."""
        return self.entries + self.tombstones


class LdifCounter:
    """Counts entries in an LDIF that is fed to it in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""
        self._records = 0
        self._tombstones = 0
        self._last = b""
        self._seen = False

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""
        if not piece:
            return
        self._last = (self._last + piece)[-2:]
        text = self._rest + piece if self._seen else b"\n" + piece
        self._seen = True
        # A marker may lie across two pieces; the longest one is kept back.
        end = len(text) - min(len(text), _KEEP)
        self._count(text, end)
        self._rest = text[end:]

    def _count(self, text: bytes, end: int) -> None:
        """Count the markers that begin before `end`."""
        records = text.count(_RECORD, 0, end + len(_RECORD) - 1)
        if records:
            self._records += records
            self._tombstones += sum(text.count(marker, 0, end + len(marker) - 1) for marker in _TOMBSTONES)

    def close(self) -> LdifSummary:
        """The verdict, once everything has been fed."""
        self._count(self._rest, len(self._rest))
        self._rest = b""
        return LdifSummary(self._records - self._tombstones, self._tombstones, self._last == b"\n\n")


def count_entries(pieces: Iterable[bytes]) -> LdifSummary:
    """Count the entries of an LDIF given in pieces."""
    counter = LdifCounter()
    for piece in pieces:
        counter.feed(piece)
    return counter.close()


def _plain(name: str) -> tuple[str, bool]:
    """An attribute's name without replication state (``cn;vucsn-6b02…``), and whether that state says deleted."""
    base, *options = name.split(";")
    state = [option for option in options if _STATE.match(option)]
    kept = [option for option in options if option not in state]
    return ";".join([base, *kept]), any(option.startswith("deleted") for option in state)


def records(lines: Iterable[bytes]) -> Iterator[tuple[str, dict[str, list[bytes]]]]:
    """The entries of an LDIF as (DN, attribute in lower case → values), one at a time, folded lines joined.

    The marks of replication state are taken off, and values that they call deleted are left out.  Values given by URL
    are left as they stand.  Lines that are not ``name: value`` are passed over.
    """
    logical: list[bytes] = []

    def record() -> tuple[str, dict[str, list[bytes]]] | None:
        attributes: dict[str, list[bytes]] = {}
        dn = ""
        for line in logical:
            name, colon, value = line.partition(b":")
            if not colon or line.startswith(b"#"):
                continue
            content = base64.b64decode(value[1:].strip()) if value.startswith(b":") else value.lstrip(b" ")
            key, deleted = _plain(name.decode("ascii", "replace").lower())
            if key == "dn" and not dn:
                dn = content.decode("utf-8", "surrogateescape")
            elif dn and not deleted:
                attributes.setdefault(key, []).append(content)
        return (dn, attributes) if dn else None

    for raw in lines:
        line = raw.rstrip(b"\r\n")
        if line.startswith(b" ") and logical:
            logical[-1] += line[1:]
        elif line:
            logical.append(line)
        else:
            found = record()
            logical = []
            if found:
                yield found
    found = record()
    if found:
        yield found


def ruv_of(pieces: Iterable[bytes]) -> list[str]:
    """The values of nsds50ruv in an export's RUV entry; empty when it has none.  Reads on to its end and no further."""
    beginning = f"\ndn: nsuniqueid={RUV_UNIQUE_ID},".encode()
    text = b"\n"
    found = False
    for piece in pieces:
        text += piece
        if not found:
            at = text.lower().find(beginning)
            found = at >= 0
            text = text[at:] if found else text[-len(beginning) :]
        if found and b"\n\n" in text:
            break
    if not found:
        return []
    _, attributes = next(records(text.partition(b"\n\n")[0].split(b"\n")[1:]))
    return [value.decode("utf-8", "replace") for value in attributes.get("nsds50ruv", [])]


def without_ruv(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of an LDIF export without the RUV entry, so that its import begins a new replication generation."""
    beginning = f"dn: nsuniqueid={RUV_UNIQUE_ID}".encode()
    leaving_out = False
    # The server writes a comment above each entry.  Left alone at the end, it counts as an entry without a name, and
    # the import is called a failure.
    comments: list[bytes] = []
    for line in lines:
        if leaving_out:
            leaving_out = bool(line.strip())
        elif line.startswith(b"#"):
            comments.append(line)
        elif line.lower().startswith(beginning):
            comments.clear()
            leaving_out = True
        else:
            yield from comments
            comments.clear()
            yield line
    yield from comments
