"""Online tasks of 389 Directory Server: entries below ``cn=tasks,cn=config`` that the running server works off.

Attribute names and exit codes are those of the 389 DS administration guide, "Task entries"; -1 is a missing right, 53 a
missing folder.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import ldap
import ldap.modlist

from ipabackup.directory.connection import GONE, connected
from ipabackup.errors import DirectoryDied, DirectoryFailure

TASKS = "cn=tasks,cn=config"
#: Seconds that one task may take: an import of a million entries takes about a quarter of an hour.
LIMIT = 6 * 3600.0
_POLL = 0.01
_SLOWEST_POLL = 0.5


def backup_online(uri: str, target: Path) -> None:
    """Have the server write its binary backup into the new folder `target`.

    Raises DirectoryFailure, of which DirectoryDied says that the server ended before the task did.
    """
    _run(uri, "backup", {"nsArchiveDir": str(target), "nsDatabaseType": "ldbm database"})


def restore_online(uri: str, source: Path) -> None:
    """Have the server take all its databases from the binary backup in `source`; raises as `backup_online` does."""
    _run(uri, "restore", {"nsArchiveDir": str(source), "nsDatabaseType": "ldbm database"})


def import_online(uri: str, backend: str, source: Path) -> None:
    """Have the server replace `backend` by the LDIF `source`; raises as `backup_online` does."""
    _run(uri, "import", {"nsInstance": backend, "nsFilename": str(source)})


def _run(uri: str, kind: str, attributes: Mapping[str, str]) -> None:
    dn = f"cn=ipabackup-{uuid.uuid4()},cn={kind},{TASKS}"
    entry = {
        "objectClass": [b"top", b"extensibleObject"],
        "cn": [dn.partition(",")[0].partition("=")[2].encode()],
        **{name: [value.encode()] for name, value in attributes.items()},
    }
    with connected(uri) as connection:
        try:
            connection.add_s(dn, ldap.modlist.addModlist(entry))
        except GONE as error:
            raise _died(kind) from error
        except ldap.LDAPError as error:
            raise DirectoryFailure(f"The directory server does not take the {kind} task: {error}.") from error
        limit = time.monotonic() + LIMIT
        pause = _POLL
        while True:
            code, log = _state(connection, dn, kind)
            if code is not None:
                break
            if time.monotonic() > limit:
                raise DirectoryFailure(f"The {kind} task did not end within {LIMIT / 3600:g} hours: {log}")
            # There is no event for the end of a task; it is asked for, less and less often.
            time.sleep(pause)
            pause = min(pause * 1.3, _SLOWEST_POLL)
    if code != 0:
        raise DirectoryFailure(f"The {kind} task failed with code {code}: {log}")


def _state(connection: ldap.ldapobject.LDAPObject, dn: str, kind: str) -> tuple[int | None, str]:
    try:
        found = connection.search_s(dn, ldap.SCOPE_BASE, attrlist=["nsTaskExitCode", "nsTaskLog", "nsTaskStatus"])
    except ldap.NO_SUCH_OBJECT as error:
        raise DirectoryFailure(f"The {kind} task vanished before it said how it ended.") from error
    except GONE as error:
        raise _died(kind) from error
    values = found[0][1]
    log = " / ".join(b"\n".join(values.get("nsTaskLog", [])).decode("utf-8", "replace").splitlines()[-4:])
    codes = values.get("nsTaskExitCode")
    return (int(codes[0]) if codes else None), log


def _died(kind: str) -> DirectoryDied:
    return DirectoryDied(
        f"The directory server ended in the middle of the {kind} task.",
        remedy="Its errors log or the journal may say why.",
    )
