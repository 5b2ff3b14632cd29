"""Writing files whole, with their owner and mode, also where a container mounts over them."""

from __future__ import annotations

import errno
import os
import shutil
import string
import tempfile
from pathlib import Path

MOUNTED_OVER = (errno.EBUSY, errno.EXDEV)


def render(template: str, **values: object) -> str:
    """`template` with its ${names} replaced; a name without a value is a KeyError, so no half-filled file
    is ever written.
    """
    return string.Template(template).substitute({name: str(value) for name, value in values.items()})


def write_file(
    path: str | Path,
    content: str | bytes,
    *,
    mode: int = 0o644,
    owner: str | int | None = None,
    group: str | int | None = None,
) -> None:
    """Replace `path` by a file with this content, mode, owner and group: by a rename, no reader sees half of it.

    Without an owner or a group it is that of the process.
    A path that is a mount point (a container's /etc/resolv.conf, hosts, hostname) is written in place.
    """
    target = Path(path)
    data = content.encode() if isinstance(content, str) else content
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            os.fchmod(stream.fileno(), mode)
        if owner is not None:
            shutil.chown(draft, owner)
        if group is not None:
            shutil.chown(draft, group=group)
        try:
            draft.replace(target)
        except OSError as error:
            if error.errno not in MOUNTED_OVER:
                raise
            target.write_bytes(data)
    finally:
        draft.unlink(missing_ok=True)


def remove_file(path: str | Path) -> None:
    """Remove `path` if it is there; a mount point is emptied instead."""
    target = Path(path)
    try:
        target.unlink(missing_ok=True)
    except OSError as error:
        if error.errno not in MOUNTED_OVER:
            raise
        target.write_bytes(b"")


def remove_tree(path: str | Path) -> None:
    """Remove a folder and what is in it, if it is there."""
    if Path(path).is_dir():
        shutil.rmtree(path)
