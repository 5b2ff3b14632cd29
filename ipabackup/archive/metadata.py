"""Giving an extracted file its owner, mode, lists, attributes, label and time."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Protocol

from ipabackup.archive import acl
from ipabackup.archive.inode import SELINUX
from ipabackup.archive.member import Kind, Member
from ipabackup.archive.tarformat import raw

_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS)
_NOT_FOR_US = (errno.EPERM, errno.EACCES)


class Owners(Protocol):
    """Turns a recorded owner into a number on this host; the name counts, not the number."""

    def uid(self, name: str, number: int) -> int | None:
        """The uid to own a file of user ``name``; None when nobody here may."""
        ...

    def gid(self, name: str, number: int) -> int | None:
        """The gid to own a file of group ``name``; None when nobody here may."""
        ...


class Recorded:
    """Owners by their recorded numbers, for an extraction whose names mean nothing here."""

    def uid(self, name: str, number: int) -> int | None:
        """See Owners."""
        return number

    def gid(self, name: str, number: int) -> int | None:
        """See Owners."""
        return number


def apply(
    target: int | str,
    member: Member,
    owners: Owners,
    complain: Callable[[str], None],
    note: Callable[[str], None],
) -> None:
    """Give ``target`` (an open file or folder, or the path of a link or device) the member's metadata.

    ``complain`` hears what makes the restored file wrong, ``note`` what this host or file system cannot
    do.  Raises nothing but for a target that is gone.
    """
    root = os.geteuid() == 0
    link = member.kind is Kind.SYMLINK
    follow = isinstance(target, int)

    def attempt(deed: Callable[[], None], what: str, *, strict: bool) -> None:
        try:
            deed()
        except (OSError, ValueError) as error:
            expected = isinstance(error, OSError) and (
                error.errno in _UNSUPPORTED or (not root and error.errno in _NOT_FOR_US)
            )
            reason = error.strerror if isinstance(error, OSError) else str(error)
            (note if expected or not strict else complain)(f"{what}: {reason}")

    uid = owners.uid(member.uname, member.uid)
    gid = owners.gid(member.gname, member.gid)
    if uid is None:
        complain(f"there is no user {member.uname or member.uid} here: owned by root")
    if gid is None:
        complain(f"there is no group {member.gname or member.gid} here: owned by root's")
    if root:
        # chown drops set-id bits and capabilities, hence it comes first.
        attempt(lambda: os.chown(target, uid or 0, gid or 0, **_path_only(follow)), "owner", strict=True)
    elif uid != os.geteuid():
        note("owner: only root can give files away")
    if not link:
        mode = member.mode
        if uid is None or gid is None:
            mode &= 0o1777
        attempt(lambda: os.chmod(target, mode), "mode", strict=True)  # noqa: PTH101
        for name, text in ((acl.ACCESS, member.acl_access), (acl.DEFAULT, member.acl_default)):
            if not text:
                # One that the folder's default list gave to the new file, or that an older folder had.
                attempt(lambda name=name: _drop(target, name), "access control list", strict=True)  # type: ignore[misc]
            else:
                attempt(
                    lambda name=name, text=text: os.setxattr(  # type: ignore[misc]
                        target, name, acl.to_attribute(text, owners.uid, owners.gid)
                    ),
                    "access control list",
                    strict=True,
                )
    for name, value in member.xattrs.items():
        attempt(
            lambda name=name, value=value: os.setxattr(  # type: ignore[misc]
                target, name, value, **_path_only(follow)
            ),
            f"attribute {name}",
            # Without a capability the product cannot run as before; what else is in these spaces, this host
            # may forbid.
            strict=name == "security.capability" or not name.startswith(("security.", "trusted.")),
        )
    if member.selinux:
        label = raw(member.selinux) + b"\0"
        attempt(lambda: os.setxattr(target, SELINUX, label, **_path_only(follow)), "SELinux label", strict=False)
    times = (member.mtime_ns, member.mtime_ns)
    attempt(
        lambda: os.utime(target, ns=times) if follow else os.utime(target, ns=times, follow_symlinks=False),
        "time",
        strict=True,
    )


def _path_only(follow: bool) -> dict[str, bool]:
    """Functions take an open file and ``follow_symlinks=False`` only one at a time."""
    return {} if follow else {"follow_symlinks": False}


def _drop(target: int | str, name: str) -> None:
    try:
        os.removexattr(target, name)
    except OSError as error:
        if error.errno not in (errno.ENODATA, *_UNSUPPORTED):
            raise
