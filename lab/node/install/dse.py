"""Changes of a stopped instance's dse.ldif: what ipa-server-install's --dirsrv-config-file is for."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import ldap
import ldif

from lab.node.install.checks import Refused

Attributes = dict[str, list[bytes]]
DATABASE = "cn=config,cn=ldbm database,cn=plugins,cn=config"
IMPLEMENTATION = "nsslapd-backend-implement"
LONGEST_LINE = 1_000_000
TEMPLATES = Path("/usr/share/dirsrv/data")
TEMPLATE = "template-dse.ldif"
# What tuning itself to the machine costs on each of many small hosts: a cache file of 1.5 GB, and 8 seconds.
SMALL_BDB = f"""\
dn: {DATABASE}
changetype: modify
replace: nsslapd-cache-autosize
nsslapd-cache-autosize: 0
-
replace: nsslapd-dbcachesize
nsslapd-dbcachesize: 10485760
-
"""
# Every bind with a password costs a tenth of a second of processor time with the server's own choice, PBKDF2 with a
# hundred thousand rounds: a sixth of all that the hosts of a busy machine did.
QUICK_SCHEME = "SSHA512"


@dataclass(frozen=True)
class Change:
    """One record of an LDIF: entries to add whole, or (operation, attribute, values) to do to one.

    An operation is python-ldap's MOD_ADD, MOD_DELETE or MOD_REPLACE; no values stand for all of them.
    """

    dn: str
    entry: Attributes | None
    modifications: tuple[tuple[int, str, tuple[bytes, ...]], ...] = ()


def read_changes(text: str, source: str) -> list[Change]:
    """The changes of an LDIF text; a record without a changetype adds its entry. Raises Refused naming the source."""
    found: list[Change] = []
    # One record at a time: python-ldap's parser takes files of one kind only.
    for record in re.split(r"\n(?:[ \t]*\n)+", text.replace("\r\n", "\n").strip()):
        if not _says_something(record):
            continue
        parser = ldif.LDIFRecordList(io.StringIO(record + "\n"))
        try:
            if "\nchangetype:" in f"\n{record}".lower():
                parser.parse_change_records()
            else:
                parser.parse_entry_records()
        except (ValueError, KeyError, EOFError) as error:
            raise Refused(f"{source} is not LDIF: {error}") from error
        if not parser.all_records and not parser.all_modify_changes:
            raise Refused(f"{source}: only entries and changes with changetype modify can be applied")
        found += [Change(dn, entry) for dn, entry in parser.all_records]
        for dn, modifications, _controls in parser.all_modify_changes:
            for kind, name, values in modifications:
                # The parser also loses values whose attribute is spelled otherwise than in the line above them.
                if kind != ldap.MOD_DELETE and not values:
                    raise Refused(f"{source}: {dn}: {name} has no values; spell it the same in each line")
            done = tuple((kind, name, tuple(values or ())) for kind, name, values in modifications)
            found.append(Change(dn, None, done))
    return found


def read_changes_file(path: str) -> list[Change]:
    """The changes of an LDIF file. Raises Refused."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"Failed to open {path}: {error}") from error
    return read_changes(text, path)


def database_library(changes: Iterable[Change]) -> str:
    """bdb or mdb, as the changes ask for; mdb when they do not say. Raises Refused for any other."""
    library = "mdb"
    for change in changes:
        if _same_dn(change.dn, DATABASE):
            for _, name, values in change.modifications:
                if name.lower() == IMPLEMENTATION and values:
                    library = values[-1].decode()
    if library not in ("bdb", "mdb"):
        raise Refused(f"{IMPLEMENTATION}: there is no database library '{library}', only bdb and mdb")
    return library


def changed(dse: str, changes: Iterable[Change]) -> str:
    """The text of a dse.ldif after the changes. Raises Refused when one cannot be done."""
    parser = ldif.LDIFRecordList(io.StringIO(dse))
    parser.parse_entry_records()
    entries = cast("list[tuple[str, Attributes]]", parser.all_records)
    for change in changes:
        present = next((entry for dn, entry in entries if _same_dn(dn, change.dn)), None)
        if change.entry is not None:
            if present is not None:
                raise Refused(f"there is an entry {change.dn} already: change it with changetype: modify")
            entries.append((change.dn, change.entry))
            continue
        if present is None:
            raise Refused(f"there is no entry {change.dn} to change")
        for modification in change.modifications:
            _modify(change.dn, present, *modification)
    out = io.StringIO()
    # In one piece: the placeholders of a template must not be broken over two lines.
    writer = ldif.LDIFWriter(out, cols=LONGEST_LINE)
    for dn, entry in entries:
        writer.unparse(dn, entry)
    return out.getvalue()


def changed_templates(folder: Path, changes: Iterable[Change], templates: Path = TEMPLATES) -> Path:
    """A copy of 389 DS' templates whose dse.ldif has the changes from its first moment; dscreate's data_dir."""
    data = folder / "dirsrv" / "data"
    shutil.copytree(templates, data)
    template = data / TEMPLATE
    template.write_text(changed(template.read_text(encoding="utf-8"), changes), encoding="utf-8")
    return folder


def quick_passwords(manager: str) -> list[Change]:
    """What makes an instance check passwords without effort, the Directory Manager's among them."""
    salt = secrets.token_bytes(8)
    digest = hashlib.sha512(manager.encode() + salt).digest()
    values = {
        "nsslapd-rootpw": f"{{{QUICK_SCHEME}}}{base64.b64encode(digest + salt).decode()}",
        "nsslapd-rootpwstoragescheme": QUICK_SCHEME,
        "passwordStorageScheme": QUICK_SCHEME,
    }
    changes = tuple((ldap.MOD_REPLACE, name, (value.encode(),)) for name, value in values.items())
    return [Change("cn=config", None, changes)]


def _modify(dn: str, entry: Attributes, kind: int, name: str, values: tuple[bytes, ...]) -> None:
    key = next((present for present in entry if present.lower() == name.lower()), name)
    present = entry.get(key, [])
    if kind == ldap.MOD_REPLACE:
        left = list(values)
    elif kind == ldap.MOD_ADD:
        left = present + [value for value in values if value not in present]
    else:
        if not present or not set(values) <= set(present):
            raise Refused(f"{dn} has no such value of {name} to delete")
        left = [value for value in present if value not in values] if values else []
    if left:
        entry[key] = left
    else:
        entry.pop(key, None)


def _same_dn(one: str, other: str) -> bool:
    """Whether two names are the same but for case and spaces."""

    def plain(dn: str) -> list[list[tuple[str, str]]]:
        return [[(name.lower(), value.lower()) for name, value, _ in part] for part in ldap.dn.str2dn(dn)]

    return plain(one) == plain(other)


def _says_something(record: str) -> bool:
    lines = [line for line in record.splitlines() if not line.startswith("#")]
    return any(line.strip() and not line.lower().startswith("version:") for line in lines)
