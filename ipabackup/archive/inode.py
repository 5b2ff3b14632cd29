"""Reading what a file system knows of a path into a Member."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from ipabackup.archive import acl
from ipabackup.archive.member import Kind, Member

SELINUX = "security.selinux"

# Kept out: what overlayfs and EVM write for themselves means nothing on another file system or host.
_FOREIGN = ("trusted.overlay.", "user.overlay.", "security.evm")
_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
}


@lru_cache(maxsize=4096)
def user_name(uid: int) -> str:
    """The name of a uid, empty when it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


@lru_cache(maxsize=4096)
def group_name(gid: int) -> str:
    """The name of a gid, empty when it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""


def kind_of(status: os.stat_result) -> Kind | None:
    """The kind of an inode; None for a socket."""
    return _KINDS.get(stat.S_IFMT(status.st_mode))


def describe(path: Path, name: str, status: os.stat_result, handle: int | None = None) -> Member:
    """The member ``name`` for ``path``, whose lstat (or, of an open file ``handle``, fstat) is ``status``.

    Raises OSError when link or attributes cannot be read, ValueError for an unreadable access control list,
    and for a socket.
    """
    kind = kind_of(status)
    if kind is None:
        raise ValueError("a socket cannot be archived")
    raw = _attributes(path, handle)
    access = raw.get(acl.ACCESS, b"")
    default = raw.get(acl.DEFAULT, b"")
    return Member(
        name=name,
        kind=kind,
        size=status.st_size if kind is Kind.FILE else 0,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        uname=user_name(status.st_uid),
        gname=group_name(status.st_gid),
        mtime_ns=status.st_mtime_ns,
        link_target=os.fspath(path.readlink()) if kind is Kind.SYMLINK else "",
        xattrs={key: value for key, value in sorted(raw.items()) if _kept(key)},
        acl_access=acl.to_text(access, user_name, group_name) if access else "",
        acl_default=acl.to_text(default, user_name, group_name) if default else "",
        selinux=raw.get(SELINUX, b"").rstrip(b"\0").decode("utf-8", "surrogateescape"),
        device=(os.major(status.st_rdev), os.minor(status.st_rdev)) if kind in (Kind.CHARACTER, Kind.BLOCK) else (0, 0),
    )


def data_map(handle: int, status: os.stat_result) -> tuple[tuple[int, int], ...] | None:
    """Where an open regular file holds data, as (offset, length); None when it has no holes worth keeping.

    The file's offset is 0 afterwards.
    """
    size = status.st_size
    if size == 0 or status.st_blocks * 512 >= size:
        return None
    found = []
    offset = 0
    try:
        while offset < size:
            try:
                start = os.lseek(handle, offset, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    break
                raise
            end = min(os.lseek(handle, start, os.SEEK_HOLE), size)
            if start >= end:
                break
            found.append((start, end - start))
            offset = end
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
        return None
    finally:
        os.lseek(handle, 0, os.SEEK_SET)
    return None if found == [(0, size)] else tuple(found)


def _attributes(path: Path, handle: int | None) -> Mapping[str, bytes]:
    source: int | Path = path if handle is None else handle
    follow = handle is not None  # an attribute of an open file has no link to follow; asking not to is an error
    try:
        names = os.listxattr(source, follow_symlinks=follow)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
            return {}
        raise
    values = {}
    for name in names:
        try:
            values[name] = os.getxattr(source, name, follow_symlinks=follow)
        except OSError as error:
            # Removed between the two calls, or listed but not for us to read: as getfattr(1), go on without
            # it.
            if error.errno not in (errno.ENODATA, errno.EOPNOTSUPP):
                raise
    return values


def _kept(name: str) -> bool:
    return not name.startswith(("system.", *_FOREIGN)) and name != SELINUX
