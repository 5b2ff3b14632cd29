"""How many entries a running instance has, asked of its database: at once, where a search reads each of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ldap

from ipabackup.directory import lmdb_tool
from ipabackup.directory.connection import connected
from ipabackup.directory.instances import Backend, Instance

_LIMIT = 60.0


def stored_entries(instance: Instance, backend: Backend) -> int | None:
    """The number of entries of `backend` without tombstones; None where the database does not tell so easily.

    The database counts everything, and its tombstones are found by an index.
    """
    if instance.library != "mdb":
        return None
    name = f"{backend.name.lower()}/id2entry.db"
    argv = [sys.executable, str(Path(lmdb_tool.__file__).resolve()), "entries", str(instance.database_dir), name]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_LIMIT, check=False)
    if done.returncode != 0:
        return None
    with connected(instance.ldapi_uri) as connection:
        found = connection.search_s(backend.suffix, ldap.SCOPE_SUBTREE, "(objectClass=nsTombstone)", ["1.1"])
    return int(done.stdout) - sum(dn is not None for dn, _ in found)
