"""Logging in to the masters of a realm, and what one can be asked and told about replication."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import ldap
import ldap.sasl

from ipabackup.directory.agreements import (
    ENABLED,
    MAPPING_TREE,
    Agreement,
    Door,
    Replica,
    Retention,
    find,
    find_replicas,
    find_retention,
    same_suffix,
)
from ipabackup.directory.connection import DIRECTORY_MANAGER, connected, count_below, masters_below
from ipabackup.directory.ldif_scan import RUV_UNIQUE_ID
from ipabackup.directory.refresh import Flow, Refresh, Refreshing
from ipabackup.directory.vectors import parse_vector
from ipabackup.directory.waking import awake
from ipabackup.errors import DirectoryFailure

CA_CERTIFICATE = Path("/etc/ipa/ca.crt")
#: What the entries are called in which each master notes that it is alive, with its replica number behind.
_ALIVE = "repl keep alive"
# The entry that holds a suffix's vector in its database, which only the Directory Manager and root may see.
_RUV = "nsds50ruv"
_VECTOR = f"(&(nsUniqueId={RUV_UNIQUE_ID})(objectClass=nsTombstone))"
# Conflict entries are LDAP subentries since 389 DS 1.4, which a search shows only when it asks for them.
_CONFLICTS = "(&(|(objectClass=*)(objectClass=ldapSubEntry))(nsds5ReplConflict=*))"
#: Seconds for another master to be reached, and for one answer: one that has just been filled is busy for a while.
#: (Switching an agreement off may take as long as the answer that its session waits for: 120 by default.)
_REACHED, _ANSWERED = 15, 150

#: Seconds that a database may take to be opened when it has been filled.
_COMES_ONLINE = 10.0
#: Where masters take connections from each other, and how many seconds one may need to take one and say something.
_PORT, _SHOWS_UP = 389, 10.0
#: Who may supply a replica, whom an unknown supplier is taken for, and where names of Kerberos lead to entries.
_MAY_SUPPLY = "nsDS5ReplicaBindDN"
_GUEST_NAME = "ipabackup supplier"
_GUEST = f"cn={_GUEST_NAME},cn=config"
_SASL_MAPPINGS = "cn=mapping,cn=sasl,cn=config"

# python-ldap's own time limit comes without a word.
_NAMELESS = "no answer in time"


class PeerFailure(DirectoryFailure):
    """Another master could not be reached, or did not do what it was asked."""


class Master(Protocol):
    """A master that has been logged in to.  Deeds raise PeerFailure."""

    def disable(self) -> list[Agreement]:
        """Switch off every agreement; returns those that were on."""
        ...

    def enable(self, but: Collection[str] = ()) -> list[Agreement]:
        """Switch on every agreement, `but` not those to these masters; returns those that were off."""
        ...

    def agreements(self) -> list[Agreement]:
        """Every agreement of this master."""
        ...

    def replicas(self) -> list[Replica]:
        """Every suffix that this master replicates, with its agreements."""
        ...

    def retention(self) -> dict[str, Retention]:
        """How long this master keeps changes: normalised suffix → limits."""
        ...

    def begin_refresh(self, agreement: Agreement) -> Refreshing:
        """Begin to send all data of the agreement's suffix to its consumer (a total update), unless one goes on.

        Returns which of the two, and the flow control that the agreement had: to be put back when the update has ended.
        """
        ...

    def refreshed(self, agreement: Agreement) -> str | None:
        """What the agreement says of its total update once that has ended; None before."""
        ...

    def last_refresh(self, agreement: Agreement) -> str:
        """When the agreement's last total update began (Generalized Time); "" for never."""
        ...

    def fills(self, agreement: Agreement) -> bool:
        """Whether the agreement is about a total update, or has an order for one."""
        ...

    def fills_again(self, agreement: Agreement, since: str) -> bool:
        """Whether an agreement that was just switched on begins with a total update that nobody has asked for.

        It does so each time when its server was started with an order for one, after a loss of power for example.  The
        last one began at `since`.
        """
        ...

    def set_flow(self, agreement: Agreement, flow: Flow) -> None:
        """Set the agreement's flow control."""
        ...

    def switch(self, agreement: Agreement, state: str) -> None:
        """Switch one agreement ``on`` or ``off``."""
        ...

    def stored_generation(self, suffix: str) -> str | None:
        """The generation of `suffix` in this master's database, with which it would begin again; None when unknown.

        A master that has been filled has another one there until it writes the vector, which may take half a minute.
        """
        ...

    def write_own_change(self, suffix: str) -> None:
        """Make a change of this master's own below `suffix`; nothing where it keeps no note to change, or forbids it.

        For as long as a master's own element of its update vector is half written, which it is during its first change
        after it was filled, it sends a vector that begins with another's: the one it is about to supply then finds its
        own number there, and the agreement stops for good ("duplicate replica ID detected").
        """
        ...

    def holds(self, suffix: str) -> bool:
        """Whether there is an entry for `suffix` itself: not when the database is empty."""
        ...

    def admit(self, supplier: str) -> None:
        """Let the master `supplier` send data although this one's database, with all masters' accounts, is empty."""
        ...

    def dismiss(self) -> None:
        """Take back what `admit` did.  A session that goes on stays as it began."""
        ...

    def count(self, suffix: str) -> int:
        """The number of entries below `suffix` that are not tombstones."""
        ...

    def conflicts(self, suffix: str) -> list[str]:
        """The names of entries below `suffix` that replication could not bring together."""
        ...

    def masters(self, basedn: str) -> dict[str, frozenset[str]]:
        """The realm's masters as this one knows them, and which services each has enabled."""
        ...


class Masters(Protocol):
    """Logs in to masters: to the one here by its socket, to others by their name."""

    def here(self, uri: str) -> AbstractContextManager[Master]:
        """The directory here, as root; raises DirectoryFailure."""
        ...

    def at(self, host: str, password: str | None, authority: Path | None = None) -> AbstractContextManager[Master]:
        """The master `host`.

        `password` is the Directory Manager's; without one the caller's Kerberos ticket has to do.  A password goes only
        to a host that the certificates in the file `authority` vouch for (default: those of this host's realm).  Raises
        PeerFailure.
        """
        ...

    def through(
        self, door: Door, password: str | None, authority: Path | None = None
    ) -> AbstractContextManager[Master]:
        """A further instance of a master; otherwise as `at`.  Raises PeerFailure also where it shows nothing of its
        replication: it may know nobody by a ticket.
        """
        ...

    def answers(self, host: str) -> bool:
        """Whether the directory server of `host` says anything: one that hangs takes connections, and is silent."""
        ...

    def awake(self, agreements: Iterable[Agreement]) -> AbstractContextManager[None]:
        """Keep the consumers of these agreements from letting their suppliers wait, as long as the context lasts."""
        ...


class LdapMasters:
    """Masters by LDAP."""

    @contextmanager
    def here(self, uri: str) -> Iterator[Master]:
        """See Masters."""
        with connected(uri) as connection:
            yield LdapMaster("this master", connection)

    @contextmanager
    def at(self, host: str, password: str | None, authority: Path | None = None) -> Iterator[Master]:
        """See Masters."""
        uri = f"ldap://{host}" if password is None else f"ldaps://{host}"
        with _connected(host, uri, password, authority or CA_CERTIFICATE) as connection:
            yield LdapMaster(host, connection)

    @contextmanager
    def through(self, door: Door, password: str | None, authority: Path | None = None) -> Iterator[Master]:
        """See Masters."""
        name = f"{door.host}:{door.port}"
        uri = f"{'ldaps' if door.ldaps else 'ldap'}://{name}"
        with _connected(name, uri, password, authority or CA_CERTIFICATE) as connection:
            master = LdapMaster(name, connection)
            if not master.replicas():
                raise PeerFailure(
                    f"{name} shows nothing of its replication: give the Directory Manager's password (-p)."
                )
            yield master

    def answers(self, host: str) -> bool:
        """See Masters."""
        connection = ldap.initialize(f"ldap://{host}:{_PORT}")
        connection.set_option(ldap.OPT_NETWORK_TIMEOUT, _SHOWS_UP)
        connection.set_option(ldap.OPT_TIMEOUT, _SHOWS_UP)
        try:
            connection.simple_bind_s()
        except (ldap.SERVER_DOWN, ldap.CONNECT_ERROR, ldap.TIMEOUT):
            return False
        except ldap.LDAPError:
            # It lets nobody in who does not tell a name, and says so.
            pass
        finally:
            with suppress(ldap.LDAPError):
                connection.unbind_s()
        return True

    def awake(self, agreements: Iterable[Agreement]) -> AbstractContextManager[None]:
        """See Masters."""
        doors = (one.door or Door(one.consumer, _PORT) for one in agreements)
        return awake((door.host, door.port) for door in doors if not door.ldaps)


class LdapMaster:
    """A master behind an LDAP connection."""

    def __init__(self, name: str, connection: Any) -> None:
        self._name = name
        self._connection = connection

    def disable(self) -> list[Agreement]:
        """See Master."""
        return self._switch("off", self.agreements())

    def enable(self, but: Collection[str] = ()) -> list[Agreement]:
        """See Master."""
        return self._switch("on", (one for one in self.agreements() if one.consumer not in but))

    def agreements(self) -> list[Agreement]:
        """See Master."""
        with self._asked("tell its agreements"):
            return find(self._connection)

    def replicas(self) -> list[Replica]:
        """See Master."""
        with self._asked("tell its replication state"):
            return find_replicas(self._connection)

    def retention(self) -> dict[str, Retention]:
        """See Master."""
        with self._asked("tell how long it keeps changes"):
            return find_retention(self._connection)

    def begin_refresh(self, agreement: Agreement) -> Refreshing:
        """See Master."""
        with self._asked(f"re-initialise {agreement.consumer}"):
            return Refresh(self._connection, agreement).begin()

    def refreshed(self, agreement: Agreement) -> str | None:
        """See Master."""
        with self._asked(f"tell how {agreement.consumer} is re-initialised"):
            return Refresh(self._connection, agreement).outcome()

    def last_refresh(self, agreement: Agreement) -> str:
        """See Master."""
        with self._asked(f"tell when it last re-initialised {agreement.consumer}"):
            return Refresh(self._connection, agreement).last_begun()

    def fills(self, agreement: Agreement) -> bool:
        """See Master."""
        with self._asked(f"tell whether it re-initialises {agreement.consumer}"):
            return Refresh(self._connection, agreement).is_wanted()

    def fills_again(self, agreement: Agreement, since: str) -> bool:
        """See Master."""
        with self._asked(f"tell whether it re-initialises {agreement.consumer} again"):
            return Refresh(self._connection, agreement).begins_by_itself(since)

    def set_flow(self, agreement: Agreement, flow: Flow) -> None:
        """See Master."""
        with self._asked(f"put back the flow control of its agreement with {agreement.consumer}"):
            Refresh(self._connection, agreement).set_flow(flow)

    def switch(self, agreement: Agreement, state: str) -> None:
        """See Master."""
        with self._asked(f"switch its agreement with {agreement.consumer} {state}"):
            self._connection.modify_s(agreement.dn, [(ldap.MOD_REPLACE, ENABLED, [state.encode()])])

    def write_own_change(self, suffix: str) -> None:
        """See Master.

        The note is the one by which 389 DS itself keeps replication alive when agreements leave all changes out.
        """
        numbers = [replica.number for replica in self.replicas() if same_suffix(replica.suffix, suffix)]
        now = datetime.now(timezone.utc).strftime("%Y%m%d%H%M%SZ").encode()
        with self._asked("note that it is alive"), suppress(ldap.NO_SUCH_OBJECT, ldap.INSUFFICIENT_ACCESS):
            for number in numbers:
                note = f"cn={_ALIVE} {number},{suffix}"
                self._connection.modify_s(note, [(ldap.MOD_REPLACE, "keepalivetimestamp", [now])])

    def stored_generation(self, suffix: str) -> str | None:
        """See Master."""
        with self._asked("tell the vector in its database"), suppress(ldap.NO_SUCH_OBJECT, ldap.REFERRAL):
            for dn, values in self._connection.search_s(suffix, ldap.SCOPE_SUBTREE, _VECTOR, [_RUV]):
                if dn:
                    told = {name.lower(): texts for name, texts in values.items()}.get(_RUV, [])
                    return parse_vector(text.decode("utf-8", "replace") for text in told).generation or None
        return None

    def holds(self, suffix: str) -> bool:
        """See Master."""
        limit = time.monotonic() + _COMES_ONLINE
        with self._asked("tell what it holds"):
            while True:
                try:
                    return bool(self._connection.search_s(suffix, ldap.SCOPE_BASE, attrlist=["1.1"]))
                except (ldap.NO_SUCH_OBJECT, ldap.REFERRAL):
                    return False
                except ldap.OPERATIONS_ERROR:
                    if time.monotonic() > limit:
                        raise
                # Its database is being closed or opened, which it does not tell.
                time.sleep(0.1)

    def admit(self, supplier: str) -> None:
        """See Master.

        Suppliers log in by Kerberos, and are known by their principal's entry in the domain's data.  As long as that is
        not there, the principal is mapped to an entry of the configuration, which has no password and may supply every
        suffix.
        """
        mapping = {
            "objectClass": [b"top", b"nsSaslMapping"],
            "nsSaslMapRegexString": [f"^ldap/{re.escape(supplier)}(@.*)?$".encode()],
            "nsSaslMapBaseDNTemplate": [_GUEST.encode()],
            "nsSaslMapFilterTemplate": [b"(objectClass=*)"],
            "nsSaslMapPriority": [b"1"],
        }
        with self._asked(f"let {supplier} in"):
            self._add(_GUEST, {"objectClass": [b"top", b"person"], "sn": [_GUEST_NAME.encode()]})
            self._add(f"cn={_GUEST_NAME} {supplier},{_SASL_MAPPINGS}", mapping)
            for dn in self._replica_entries():
                with suppress(ldap.TYPE_OR_VALUE_EXISTS):
                    self._connection.modify_s(dn, [(ldap.MOD_ADD, _MAY_SUPPLY, [_GUEST.encode()])])

    def dismiss(self) -> None:
        """See Master."""
        with self._asked("forget whom it let in"):
            for dn in self._replica_entries():
                with suppress(ldap.NO_SUCH_ATTRIBUTE):
                    self._connection.modify_s(dn, [(ldap.MOD_DELETE, _MAY_SUPPLY, [_GUEST.encode()])])
            found = self._connection.search_s(_SASL_MAPPINGS, ldap.SCOPE_ONELEVEL, f"(cn={_GUEST_NAME} *)", ["1.1"])
            for dn in [*(dn for dn, _ in found if dn), _GUEST]:
                with suppress(ldap.NO_SUCH_OBJECT):
                    self._connection.delete_s(dn)

    def _add(self, dn: str, entry: Mapping[str, list[bytes]]) -> None:
        with suppress(ldap.ALREADY_EXISTS):
            self._connection.add_s(dn, list(entry.items()))

    def _replica_entries(self) -> list[str]:
        found = self._connection.search_s(MAPPING_TREE, ldap.SCOPE_SUBTREE, "(objectClass=nsds5replica)", ["1.1"])
        return [dn for dn, _ in found if dn]

    def count(self, suffix: str) -> int:
        """See Master."""
        with self._asked("count its entries"):
            return count_below(self._connection, suffix)

    def conflicts(self, suffix: str) -> list[str]:
        """See Master."""
        found = []
        with self._asked("tell its conflict entries"), suppress(ldap.NO_SUCH_OBJECT):
            found = self._connection.search_s(suffix, ldap.SCOPE_SUBTREE, _CONFLICTS, ["1.1"])
        return sorted(dn for dn, _ in found if dn)

    def masters(self, basedn: str) -> dict[str, frozenset[str]]:
        """See Master."""
        with self._asked("tell the masters of the realm"):
            return masters_below(self._connection, basedn)

    def _switch(self, state: str, agreements: Iterable[Agreement]) -> list[Agreement]:
        with self._asked(f"switch its agreements {state}"):
            changed = [agreement for agreement in agreements if agreement.enabled != (state == "on")]
            change = [(ldap.MOD_REPLACE, ENABLED, [state.encode()])]
            # All at once: the answer comes when the agreement's session has ended, which with a host that is cut off
            # takes minutes.
            for request in [self._connection.modify(agreement.dn, change) for agreement in changed]:
                self._connection.result(request)
        return changed

    @contextmanager
    def _asked(self, deed: str) -> Iterator[None]:
        try:
            yield
        except ldap.LDAPError as error:
            raise PeerFailure(f"{self._name} does not {deed}: {_told(error)}.") from error


@contextmanager
def _connected(name: str, uri: str, password: str | None, authority: Path) -> Iterator[Any]:
    """A connection to another master, bound; a password goes over TLS that the realm's authority vouches for only."""
    connection = ldap.initialize(uri)
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, _REACHED)
    connection.set_option(ldap.OPT_TIMEOUT, _ANSWERED)
    # One that is being filled refers to its supplier, whose answer is not the one that was asked for.
    connection.set_option(ldap.OPT_REFERRALS, 0)
    try:
        _log_in(connection, uri, password, authority)
    except ldap.LOCAL_ERROR as error:
        raise PeerFailure(f"{name}: there is neither a password (-p) nor a Kerberos ticket to log in with.") from error
    except ldap.INVALID_CREDENTIALS as error:
        whose = "whose ticket this is: give the Directory Manager's password (-p)"
        raise PeerFailure(f"{name} does not know {whose if password is None else 'this password'}.") from error
    except ldap.LDAPError as error:
        raise PeerFailure(f"{name} cannot be reached: {_told(error)}.") from error
    try:
        yield connection
    finally:
        connection.unbind_s()


def _log_in(connection: Any, uri: str, password: str | None, authority: Path) -> None:
    secure = uri.startswith("ldaps:")
    if secure or password is not None:
        connection.set_option(ldap.OPT_X_TLS_CACERTFILE, str(authority))
        connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
        connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    if password is None:
        connection.sasl_interactive_bind_s("", ldap.sasl.gssapi())
        return
    if not secure:
        connection.start_tls_s()
    connection.simple_bind_s(DIRECTORY_MANAGER, password)


def _told(error: ldap.LDAPError) -> str:
    details = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    return ": ".join(str(details[key]) for key in ("desc", "info") if details.get(key)) or str(error) or _NAMELESS
