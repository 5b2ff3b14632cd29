"""Talking to a running instance over its local socket.

Root is mapped to Directory Manager there (autobind), so nobody is asked for a password.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import Any
from urllib.parse import unquote

import ldap
import ldap.dn
import ldap.sasl
from ldap.controls import SimplePagedResultsControl
from ldap.ldapobject import SimpleLDAPObject

from ipabackup.directory.vectors import seconds_of
from ipabackup.errors import DirectoryDied, DirectoryFailure, WrongPassword

DIRECTORY_MANAGER = "cn=Directory Manager"
#: What the library says when the other end of the socket is gone.
GONE = (ldap.SERVER_DOWN, ldap.CONNECT_ERROR, ldap.UNAVAILABLE)
#: Seconds for one LDAP operation.
LIMIT = 600
#: Seconds that the first answer may take, however little patience is left.
_LEAST = 30.0
_PAGE = 5000
#: Seconds after which a server that has not answered is woken: again and again, for it may have much to do.
_WAKE_AFTER = (0.01, 0.01, 0.02, 0.05, 0.1)
#: Values of ipaConfigString, in lower case, that say that a master runs a service.
ENABLED = frozenset({b"enabledservice", b"hiddenservice"})


class LocalConnection(SimpleLDAPObject):  # type: ignore[misc]
    """A connection over the local socket `uri` (``ldapi://…``), on which no answer is late for nothing.

    389 DS polls all its connections but those that are locked.  A thread that has answered says so while it still has
    its connection locked: when the poll begins anew just then, it leaves that one out, for a quarter of a second or
    until there is something to do for another.  Seen with 3.1.2 for one connection in seven, after its bind.  So
    another one is opened here, and closed.
    """

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self._path = unquote(uri.partition("://")[2])

    def result4(self, msgid: int = ldap.RES_ANY, all: int = 1, timeout: float | None = None, **more: Any) -> Any:
        """As that of python-ldap, by which all operations get their results; it may wait a fifth of a second longer."""
        for seconds in _WAKE_AFTER:
            try:
                return super().result4(msgid, all, seconds, **more)
            except ldap.TIMEOUT:
                self._wake()
        return super().result4(msgid, all, timeout, **more)

    def _wake(self) -> None:
        with socket.socket(socket.AF_UNIX) as other, suppress(OSError):
            other.setblocking(False)
            other.connect(self._path)


@contextmanager
def connected(uri: str, *, patience: float = 60.0) -> Iterator[Any]:
    """A connection bound as root's identity (SASL EXTERNAL), waited for up to `patience` seconds.

    Raises DirectoryFailure when the instance does not answer in time, and DirectoryDied when it ends meanwhile.
    """
    connection = _waited_for(uri, patience)
    try:
        yield connection
    except GONE as error:
        raise DirectoryDied(
            "The directory server ended in the middle of a question.",
            remedy="Its errors log or the journal may say why.",
        ) from error
    finally:
        connection.unbind_s()


def _waited_for(uri: str, patience: float) -> Any:
    limit = time.monotonic() + patience
    while True:
        connection = LocalConnection(uri)
        connection.set_option(ldap.OPT_NETWORK_TIMEOUT, 10)
        # The system takes connections for a server that does not get round to them.
        connection.set_option(ldap.OPT_TIMEOUT, max(limit - time.monotonic(), _LEAST))
        try:
            connection.sasl_interactive_bind_s("", ldap.sasl.external())
            connection.set_option(ldap.OPT_TIMEOUT, LIMIT)
        except (ldap.SERVER_DOWN, ldap.BUSY, ldap.UNAVAILABLE, ldap.CONNECT_ERROR, ldap.TIMEOUT) as error:
            if time.monotonic() > limit:
                raise DirectoryFailure(f"The directory server at {uri} does not answer: {error}.") from error
            # The socket appears some tenths of a second after the process; there is no event to wait for.
            time.sleep(0.1)
        except ldap.LDAPError as error:
            raise DirectoryFailure(f"The directory server at {uri} refuses root: {error}.") from error
        else:
            return connection


def check_password(uri: str, password: str) -> None:
    """Bind as Directory Manager; raises WrongPassword when `password` is not theirs, DirectoryFailure when the instance
    does not answer.
    """
    connection = ldap.initialize(uri)
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, 10)
    connection.set_option(ldap.OPT_TIMEOUT, 30)
    try:
        connection.simple_bind_s(DIRECTORY_MANAGER, password)
    except (ldap.INVALID_CREDENTIALS, ldap.UNWILLING_TO_PERFORM) as error:
        raise WrongPassword(
            "The Directory Manager password is wrong.",
            remedy="Leave out -p: as root no password is needed.",
        ) from error
    except ldap.LDAPError as error:
        raise DirectoryFailure(f"The directory server at {uri} does not answer: {error}.") from error
    finally:
        connection.unbind_s()


def count_entries(uri: str, suffix: str, created_before: datetime | None = None) -> int:
    """The number of entries below `suffix` that are not tombstones; with `created_before` (aware), only older ones."""
    with connected(uri) as connection:
        return count_below(connection, suffix, created_before)


def count_below(connection: Any, suffix: str, created_before: datetime | None = None) -> int:
    """As `count_entries`, over a connection that is there.  LDAP subentries count too, as they do in an LDIF export."""
    filters = "(|(objectClass=*)(objectClass=ldapSubEntry))"
    if created_before is not None:
        filters = f"(&{filters}{_older_than(created_before)})"
    count = 0
    page = SimplePagedResultsControl(True, size=_PAGE, cookie="")
    while True:
        request = connection.search_ext(suffix, ldap.SCOPE_SUBTREE, filters, ["1.1"], serverctrls=[page], timeout=LIMIT)
        _, found, _, controls = connection.result3(request, timeout=LIMIT)
        count += sum(1 for dn, _ in found if dn is not None)
        cookies = [
            control.cookie for control in controls if control.controlType == SimplePagedResultsControl.controlType
        ]
        if not cookies or not cookies[0]:
            return count
        page.cookie = cookies[0]


def count_deleted(uri: str, suffix: str, since: datetime) -> int:
    """The number of entries below `suffix` that are older than `since` (aware) and were deleted after that.

    Known where the suffix is replicated: a tombstone is left of each there, with the number of that change.  Numbers of
    changes may be ahead of the clock, so it may be some too many.
    """
    moment = int(since.timestamp())
    with connected(uri) as connection:
        filters = f"(&(objectClass=nsTombstone)(nsTombstoneCSN=*){_older_than(since)})"
        found = connection.search_s(suffix, ldap.SCOPE_SUBTREE, filters, ["nsTombstoneCSN"])
    changes = [value.decode() for dn, entry in found if dn for value in next(iter(entry.values()), [])[:1]]
    return sum(seconds_of(change) >= moment for change in changes)


def _older_than(moment: datetime) -> str:
    return f"(!(createTimestamp>={moment.astimezone(timezone.utc):%Y%m%d%H%M%SZ}))"


def masters(uri: str, basedn: str) -> dict[str, frozenset[str]]:
    """The masters below ``cn=masters``, and which services each has enabled (or hidden); raises DirectoryFailure."""
    with connected(uri) as connection:
        try:
            return masters_below(connection, basedn)
        except ldap.LDAPError as error:
            raise DirectoryFailure(f"The masters of the realm cannot be read: {error}.") from error


def masters_below(connection: Any, basedn: str) -> dict[str, frozenset[str]]:
    """As `masters`, over a connection that is there; raises LDAPError."""
    base = f"cn=masters,cn=ipa,cn=etc,{basedn}"
    found: dict[str, set[str]] = {}
    try:
        entries = connection.search_s(base, ldap.SCOPE_SUBTREE, "(cn=*)", ["cn", "ipaConfigString"])
    except ldap.NO_SUCH_OBJECT:
        return {}
    depth = len(ldap.dn.str2dn(base))
    for dn, values in entries:
        parts = ldap.dn.str2dn(dn)
        if len(parts) == depth + 1:
            found.setdefault(parts[0][0][1], set())
        elif len(parts) == depth + 2 and {value.lower() for value in values.get("ipaConfigString", [])} & ENABLED:
            found.setdefault(parts[1][0][1], set()).add(parts[0][0][1])
    return {host: frozenset(services) for host, services in found.items()}
