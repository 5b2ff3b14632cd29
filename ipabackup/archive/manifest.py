"""The list of a payload's members with their digests: JSON, a line each, the payload's last member."""

from __future__ import annotations

import base64
import json
from typing import Any

from ipabackup.archive.member import Kind, Member


def line(member: Member, sha256: str = "") -> bytes:
    """One line, without its line break: everything that the archive keeps of the member, so that nothing
    can differ unseen.

    ``sha256`` is the hexadecimal digest of a regular file's content, holes read as zeros.
    """
    values: dict[str, Any] = {
        "name": member.name,
        "kind": member.kind.value,
        "mode": f"{member.mode:04o}",
        "uid": member.uid,
        "gid": member.gid,
        "uname": member.uname,
        "gname": member.gname,
        "mtime_ns": member.mtime_ns,
    }
    if member.kind is Kind.FILE:
        values["size"] = member.size
        values["sha256"] = sha256
    if member.link_target:
        values["link"] = member.link_target
    if member.device != (0, 0):
        values["device"] = list(member.device)
    if member.xattrs:
        values["xattrs"] = {
            name: base64.b64encode(value).decode("ascii") for name, value in sorted(member.xattrs.items())
        }
    for key, text in (
        ("acl_access", member.acl_access),
        ("acl_default", member.acl_default),
        ("selinux", member.selinux),
    ):
        if text:
            values[key] = text
    return json.dumps(values, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def render(lines: list[bytes]) -> bytes:
    """The manifest's content."""
    return b"".join(entry + b"\n" for entry in lines)


def name_in(entry: bytes) -> str:
    """The member's name in a line, for a message; a line that is none says so."""
    try:
        return str(json.loads(entry)["name"])
    except (ValueError, KeyError, TypeError):
        return "a line that cannot be read"


def difference(recorded: bytes, found: list[bytes]) -> str:
    """What is wrong when a payload's members are ``found`` (lines) and its manifest is ``recorded``; empty
    when nothing.
    """
    if recorded == render(found):
        return ""
    lines = recorded.split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    for expected, actual in zip(lines, found):
        if expected != actual:
            first, second = name_in(expected), name_in(actual)
            if first == second:
                return f"{first} is not what was archived"
            return f"the manifest lists {first} where {second} stands"
    if len(lines) != len(found):
        return f"the manifest lists {len(lines)} members, {len(found)} are there"
    return "the manifest is altered"
