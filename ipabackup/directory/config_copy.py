"""Copies of an instance's configuration, for processes that work on databases beside the running server."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from ipabackup.directory.instances import DSE, Instance, read_config


@dataclass(frozen=True)
class ExportSource:
    """A configuration to export with (see `export_config`), and the log that the server's tools write with it.

    Where a tool `may_be_ended` as soon as its output is whole, a database is left that the next one can use.
    """

    config_dir: Path
    error_log: Path
    may_be_ended: bool = False


def export_config(instance: Instance, archive: Path, target: Path) -> ExportSource:
    """Make a configuration with which `OfflineTools.export` reads the binary backup in `archive` instead of the live
    database, so that the server can run meanwhile.  It is made in the new folder `target`.

    The export may write to the database that it reads: archive it before exporting from it.
    """
    home = str(archive)
    database = {"nsslapd-directory": home, "nsslapd-db-home-directory": home, "nsslapd-db-logdirectory": home}
    # A Berkeley database that was not closed has to be recovered first.
    return ExportSource(target, copy_config(instance, target, database) / "errors", instance.library == "mdb")


def copy_config(
    instance: Instance, target: Path, changes: dict[str, str], edit: Callable[[bytes], bytes] = lambda dse: dse
) -> Path:
    """Copy the instance's configuration into the new folder `target`, with the attributes in `changes`, and with
    everything that a second process would have in common with the first one (locks, socket, logs) in a folder of its
    own, which is returned.  `edit` may change the configuration further.
    """
    shutil.copytree(instance.config_dir, target, symlinks=True, ignore=shutil.ignore_patterns(f"{DSE}*"))
    state = target / "state"
    state.mkdir()
    moved = {
        "nsslapd-lockdir": str(state),
        "nsslapd-rundir": str(state),
        "nsslapd-tmpdir": str(state),
        "nsslapd-ldapifilepath": str(state / "socket"),
        "nsslapd-errorlog": str(state / "errors"),
        "nsslapd-accesslog": str(state / "access"),
        "nsslapd-auditlog": str(state / "audit"),
        "nsslapd-auditfaillog": str(state / "auditfail"),
        "nsslapd-securitylog": str(state / "security"),
        "nsslapd-schemadir": str(target / "schema"),
        "nsslapd-certdir": str(target),
        "nsslapd-ldifdir": str(state),
        "nsslapd-bakdir": str(state),
        **changes,
    }
    dse = target / DSE
    dse.touch(0o600)
    dse.write_bytes(edit(relocated(read_config(instance.config_dir), moved, instance)))
    owner = instance.config_dir.stat()
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            shutil.chown(path, owner.st_uid, owner.st_gid)
    return state


def relocated(dse: bytes, moved: dict[str, str], instance: Instance) -> bytes:
    """The configuration `dse` with every attribute named in `moved` pointing to its new value.

    A backend's own folder (bdb) moves with the database, if that moves: it keeps its name below the new home.
    """
    text = dse.replace(b"\n ", b"")
    lines = []
    backend_dirs = {str(backend.directory): backend.name for backend in instance.backends}
    for line in text.split(b"\n"):
        name, colon, value = line.partition(b": ")
        key = name.decode("ascii", "replace").lower()
        old = value.decode("utf-8", "surrogateescape")
        if not colon or key not in moved:
            lines.append(line)
        elif key == "nsslapd-directory" and old in backend_dirs and old != str(instance.database_dir):
            lines.append(name + b": " + f"{moved[key]}/{backend_dirs[old]}".encode())
        else:
            lines.append(name + b": " + moved[key].encode())
    return b"\n".join(lines)
