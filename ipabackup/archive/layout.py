"""Names inside a payload of format 2, and of the files that make up a backup.

A payload is one tar.  Its members, in the order in which they are written:

    record/NAME                          what the backup knows of the server (JSON documents; small, hence
    first) data/INSTANCE/ldif/BACKEND.ldif      LDIF export of one backend, with replication state
    data/INSTANCE/binary/...             binary copy of the instance's database files/...
    the server's files, relative to / MANIFEST.jsonl                       every member with its digest;
    always the last

The reader shows a backup of format 1 under the same names, so that what restores does not care which it is.
"""

from __future__ import annotations

HEADER = "header"
MANIFEST = "MANIFEST.jsonl"
RECORD = "record"
DATA = "data"
FILES = "files"

FULL_PAYLOAD = "ipa-full.tar"
DATA_PAYLOAD = "ipa-data.tar"


def payload_name(full: bool, encrypted: bool) -> str:
    """The payload's file name: ``ipa-full.tar`` or ``ipa-data.tar``, plus ``.gpg`` when encrypted."""
    return (FULL_PAYLOAD if full else DATA_PAYLOAD) + (".gpg" if encrypted else "")


def record_name(name: str) -> str:
    """Member name of the record document ``name``."""
    return f"{RECORD}/{name}"


def ldif_name(instance: str, backend: str) -> str:
    """Member name of the LDIF export of ``backend`` (``userRoot``) in ``instance`` (``EXAMPLE-TEST``)."""
    return f"{DATA}/{instance}/ldif/{backend}.ldif"


def binary_root(instance: str) -> str:
    """Member name of the folder that holds the binary copy of ``instance``."""
    return f"{DATA}/{instance}/binary"


def file_name(path: str) -> str:
    """Member name of the server's file ``path`` (absolute)."""
    return f"{FILES}/{path.strip('/')}" if path.strip("/") else FILES


def file_path(member: str) -> str | None:
    """The absolute path on the server of a member, or None when the member is not one of the server's
    files.
    """
    if member == FILES:
        return "/"
    if member.startswith(FILES + "/"):
        return member[len(FILES) :]
    return None
