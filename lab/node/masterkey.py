"""The Kerberos master key: in the KDC's stash file, and in the directory beside the keys that it encrypts.

A directory that comes back from a backup brings the principals' keys; without their master key nobody could read them.
FreeIPA therefore keeps it in krbMKey on the realm's entry, which only the Directory Manager reads. The KDC of MIT
Kerberos wants a stash file: `python3 -m lab.node.masterkey` writes it from the directory and runs before each start.

krbMKey is DER, as FreeIPA writes it: SEQUENCE { INTEGER kvno, SEQUENCE { INTEGER enctype, OCTET STRING key } }.
The stash is a keytab (file format 5.2 of MIT's documentation) with one entry, of K/M.
"""

from __future__ import annotations

import logging
import struct
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from lab.node.facts import NotConfigured, RealmFacts, read_facts
from lab.node.files import write_file
from lab.node.ldapi import Directory, DirectoryError, directory

STASH = Path("/etc/krb5kdc/stash")
ATTRIBUTE = "krbMKey"
KEYTAB_VERSION = 0x0502
NAME_COMPONENTS = (b"K", b"M")
NT_PRINCIPAL = 1
INTEGER, OCTETS, SEQUENCE = 0x02, 0x04, 0x30
LIMIT = 10.0
log = logging.getLogger(__name__)


class BadKey(ValueError):
    """Neither a stash nor an encoded master key."""


@dataclass(frozen=True)
class MasterKey:
    """Version number, encryption type (RFC 3961's number) and the key itself."""

    kvno: int
    enctype: int
    key: bytes = field(repr=False)


def encode(master: MasterKey) -> bytes:
    """The value of krbMKey."""
    inner = _tagged(INTEGER, _integer(master.enctype)) + _tagged(OCTETS, master.key)
    return _tagged(SEQUENCE, _tagged(INTEGER, _integer(master.kvno)) + _tagged(SEQUENCE, inner))


def decode(data: bytes) -> MasterKey:
    """The master key of a value of krbMKey. Raises BadKey."""
    outer, rest = _take(data, SEQUENCE)
    kvno, inner = _take(outer, INTEGER)
    pair, after = _take(inner, SEQUENCE)
    enctype, last = _take(pair, INTEGER)
    key, left = _take(last, OCTETS)
    if rest or after or left:
        raise BadKey(f"{ATTRIBUTE} has something behind its end")
    return MasterKey(int.from_bytes(kvno, "big", signed=True), int.from_bytes(enctype, "big", signed=True), key)


def read_stash(data: bytes) -> MasterKey:
    """The master key with the highest version in a stash file. Raises BadKey."""
    if data[:2] != struct.pack(">H", KEYTAB_VERSION):
        raise BadKey("the stash is not a keytab")
    found: list[MasterKey] = []
    place = 2
    try:
        while place < len(data):
            (size,) = struct.unpack_from(">i", data, place)
            place += 4
            if place + abs(size) > len(data):
                raise BadKey("the stash ends within an entry")
            # Negative sizes are holes that deleted entries left.
            if size > 0:
                found.append(_keytab_entry(data[place : place + size]))
            place += abs(size)
    except (struct.error, IndexError) as error:
        raise BadKey(f"the stash is damaged: {error}") from error
    if not found:
        raise BadKey("the stash has no key")
    return max(found, key=lambda master: master.kvno)


def stash(master: MasterKey, realm: str, written: int) -> bytes:
    """The content of a stash file; `written` is a time in seconds since 1970."""
    entry = struct.pack(">H", len(NAME_COMPONENTS)) + _counted(realm.encode())
    entry += b"".join(_counted(part) for part in NAME_COMPONENTS)
    entry += struct.pack(">IIB", NT_PRINCIPAL, written & 0xFFFFFFFF, master.kvno & 0xFF)
    entry += struct.pack(">H", master.enctype) + _counted(master.key) + struct.pack(">I", master.kvno)
    return struct.pack(">Hi", KEYTAB_VERSION, len(entry)) + entry


def store(server: Directory, facts: RealmFacts, path: Path = STASH) -> None:
    """Put the key of the stash file into the directory. Raises BadKey, OSError, and LDAP's errors."""
    server.replace(facts.realm_dn, {ATTRIBUTE: encode(read_stash(path.read_bytes()))})


def refresh(server: Directory, facts: RealmFacts, path: Path = STASH) -> bool:
    """Make the stash file the directory's key; False when it was that already, or the directory has none.

    Raises BadKey, OSError, and LDAP's errors.
    """
    entry = server.get(facts.realm_dn, [ATTRIBUTE]) or {}
    values = entry.get(ATTRIBUTE, [])
    if not values:
        return False
    master = decode(values[0])
    if path.exists():
        try:
            if read_stash(path.read_bytes()) == master:
                return False
        except BadKey as damage:
            log.warning("%s is replaced: %s", path, damage)
    write_file(path, stash(master, facts.realm, int(time.time())), mode=0o600)
    return True


def main() -> int:
    """What runs before the KDC: a directory that does not answer is no reason not to start with the stash as it is."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    try:
        facts = read_facts()
        with directory(facts.ldapi_uri, limit=LIMIT) as server:
            if refresh(server, facts):
                log.info("the master key in %s was replaced by the directory's", STASH)
    except (NotConfigured, DirectoryError) as error:
        log.info("the master key stays as it is, the directory cannot be asked: %s", error)
    except (BadKey, OSError) as error:
        log.error("the master key stays as it is: %s", error)
    return 0


def _keytab_entry(data: bytes) -> MasterKey:
    (components,) = struct.unpack_from(">H", data, 0)
    place = 2
    for _ in range(components + 1):
        (length,) = struct.unpack_from(">H", data, place)
        place += 2 + length
    place += 8
    kvno, enctype, length = struct.unpack_from(">BHH", data, place)
    place += 5
    key = data[place : place + length]
    if len(key) < length:
        raise BadKey("the stash ends within a key")
    place += length
    if len(data) >= place + 4:
        (long_kvno,) = struct.unpack_from(">I", data, place)
        kvno = long_kvno or kvno
    return MasterKey(kvno, enctype, key)


def _counted(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def _integer(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)


def _tagged(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _take(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the first element, and what follows it."""
    if len(data) < 2 or data[0] != tag:
        raise BadKey(f"{ATTRIBUTE} is not an encoded key")
    size, start = data[1], 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(data[2:start], "big")
    if len(data) < start + size:
        raise BadKey(f"{ATTRIBUTE} ends too early")
    return data[start : start + size], data[start + size :]


if __name__ == "__main__":
    sys.exit(main())
