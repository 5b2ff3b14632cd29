"""Format 1: the layout that FreeIPA's own ipa-backup writes.

The payload is a gzip'd tar (whatever its name says) with ``INSTANCE-BACKEND.ldif`` for every backend, the
folder ``INSTANCE`` with the binary copy, and in a full backup ``files.tar``, itself a gzip'd tar of paths
relative to /.
"""

from __future__ import annotations

from dataclasses import replace

from ipabackup.archive import layout
from ipabackup.archive.member import Kind, Member

FILES = "files.tar"
_BACKENDS = ("userRoot", "ipaca")


def translate(member: Member) -> Member | None:
    """The member of the outer archive under its name in ``layout``; None for what has no place there."""
    top, slash, rest = member.name.partition("/")
    if not slash and member.kind is Kind.FILE:
        if not top.endswith(".ldif"):
            return None
        instance, backend = split_ldif(top)
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


def split_ldif(name: str) -> tuple[str, str]:
    """Instance and backend from ``EXAMPLE-TEST-userRoot.ldif``: instances have hyphens in their names,
    backends rarely.
    """
    stem = name[: -len(".ldif")]
    for backend in _BACKENDS:
        if stem.endswith("-" + backend):
            return stem[: -len(backend) - 1], backend
    instance, _, backend = stem.rpartition("-")
    return (instance, backend) if instance else (stem, stem)
