"""POSIX access control lists: between the kernel's attribute and the text that tar archives hold.

The kernel shows a list as the extended attribute ``system.posix_acl_access`` or ``…_default``: a
little-endian version (2), then entries of tag, permissions and id (linux/posix_acl_xattr.h).  The text is
that of acl(5) with a fourth field, the number, as star writes it and GNU tar accepts it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

ACCESS = "system.posix_acl_access"
DEFAULT = "system.posix_acl_default"

_VERSION = 2
_NO_ID = 0xFFFFFFFF
_TAGS = {0x01: "user", 0x02: "user", 0x04: "group", 0x08: "group", 0x10: "mask", 0x20: "other"}
_NAMED = {"user": 0x02, "group": 0x08}
_UNNAMED = {"user": 0x01, "group": 0x04, "mask": 0x10, "other": 0x20}
_SIGNS = ((4, "r"), (2, "w"), (1, "x"))

NameOf = Callable[[int], str]
NumberOf = Callable[[str, int], "int | None"]


def to_text(attribute: bytes, user_name: NameOf, group_name: NameOf) -> str:
    """The list in text; a number without a name stands in the name's place too.  Raises ValueError."""
    if len(attribute) < 4 or (len(attribute) - 4) % 8 or struct.unpack_from("<I", attribute)[0] != _VERSION:
        raise ValueError("not an access control list of version 2")
    entries = []
    for tag, permissions, number in struct.iter_unpack("<HHI", attribute[4:]):
        word = _TAGS.get(tag)
        if word is None:
            raise ValueError(f"unknown tag {tag:#x} in an access control list")
        allowed = "".join(sign if permissions & bit else "-" for bit, sign in _SIGNS)
        if tag in (0x02, 0x08):
            name = (user_name if tag == 0x02 else group_name)(number) or str(number)
            entries.append(f"{word}:{name}:{allowed}:{number}")
        else:
            entries.append(f"{word}::{allowed}")
    return ",".join(entries)


def to_attribute(text: str, uid: NumberOf, gid: NumberOf) -> bytes:
    """The kernel's form of a list in text, names turned into numbers by ``uid`` and ``gid``.

    Those get the name and the recorded number (the name itself where it is one, else -1).  Raises
    ValueError for text that is no such list, and for a name that has no number here.
    """
    entries: list[tuple[int, int, int]] = []
    for raw in text.replace("\n", ",").split(","):
        entry = raw.split("#")[0].strip()
        if not entry:
            continue
        fields = entry.split(":")
        if len(fields) not in (3, 4) or fields[0] not in _UNNAMED:
            raise ValueError(f"not an entry of an access control list: {entry!r}")
        word, name, allowed = fields[:3]
        permissions = sum(bit for bit, sign in _SIGNS if sign in allowed)
        if not name:
            entries.append((_UNNAMED[word], permissions, _NO_ID))
            continue
        if word not in _NAMED:
            raise ValueError(f"not an entry of an access control list: {entry!r}")
        recorded = fields[3] if len(fields) == 4 else name
        number = int(recorded) if recorded.isascii() and recorded.isdigit() else -1
        known = (uid if word == "user" else gid)("" if name.isascii() and name.isdigit() else name, number)
        if known is None or known < 0:
            raise ValueError(f"no {word} {name} on this host")
        entries.append((_NAMED[word], permissions, known))
    # The kernel wants them by tag, then by number; numbers may have changed places since.
    entries.sort(key=lambda entry: (entry[0], entry[2]))
    return struct.pack("<I", _VERSION) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
