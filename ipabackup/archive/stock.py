"""Format 1: the layout that FreeIPA's own ipa-backup writes.

The payload is a gzip'd tar (whatever its name says) with ``INSTANCE-BACKEND.ldif`` for every backend, the
folder ``INSTANCE`` with the binary copy, and in a full backup ``files.tar``, itself a gzip'd tar of paths
relative to /.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ipabackup.archive import layout
from ipabackup.archive.member import Kind, Member
from ipabackup.errors import IpaBackupError

FILES = "files.tar"
ROOT = "."
_BACKENDS = ("userRoot", "ipaca")


def translate(member: Member, instances: Collection[str] = ()) -> Member | None:
    """The member of the outer archive under its name in ``layout``; None for what has no place there.

    ``instances`` are those whose binary copies came before it.
    """
    top, slash, rest = member.name.partition("/")
    if not slash and member.kind is Kind.FILE:
        if not top.endswith(".ldif"):
            return None
        instance, backend = split_ldif(top, instances)
        return replace(member, name=layout.ldif_name(instance, backend))
    name = layout.binary_root(top) + (f"/{rest}" if rest else "")
    if member.kind is Kind.HARDLINK:
        first, _, below = member.link_target.partition("/")
        return replace(member, name=name, link_target=f"{layout.binary_root(first)}/{below}")
    return replace(member, name=name)


def as_file(member: Member) -> Member:
    """A member of ``files.tar`` under its name in ``layout``."""
    name = f"{layout.FILES}/{member.name}"
    if member.kind is Kind.HARDLINK:
        return replace(member, name=name, link_target=f"{layout.FILES}/{member.link_target}")
    return replace(member, name=name)


def split_ldif(name: str, instances: Collection[str] = ()) -> tuple[str, str]:
    """Instance and backend from ``EXAMPLE-TEST-userRoot.ldif``, by the names of known ``instances`` where one fits.

    Otherwise by the usual backends, or else at the last hyphen: instances have hyphens in their names, backends rarely.
    """
    stem = name[: -len(".ldif")]
    for instance in sorted(instances, key=len, reverse=True):
        if stem.startswith(instance + "-"):
            return instance, stem[len(instance) + 1 :]
    for backend in _BACKENDS:
        if stem.endswith("-" + backend):
            return stem[: -len(backend) - 1], backend
    instance, _, backend = stem.rpartition("-")
    return (instance, backend) if instance else (stem, stem)


def spelled(name: str) -> str:
    """How format 1 calls the member that has this name in ``layout``: the reverse of the above.

    Raises IpaBackupError for what has no place in it.
    """
    if name == ROOT:
        return ROOT
    if name == FILES:
        return f"./{FILES}"
    top, _, rest = name.partition("/")
    if top == layout.FILES and rest:
        return rest
    parts = name.split("/")
    if top == layout.DATA and len(parts) >= 3 and parts[2] == "binary":
        return "/".join([".", parts[1], *parts[3:]])
    if top == layout.DATA and len(parts) == 4 and parts[2] == "ldif":
        return f"./{parts[1]}-{parts[3]}"
    raise IpaBackupError(f"{name} has no place in format 1")
