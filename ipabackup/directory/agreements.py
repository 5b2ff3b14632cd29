"""Replication agreements: in a configuration file, in the running directory here, and on other masters.

Attributes and their meaning are 389 DS's (configuration reference, "cn=ReplicationAgreementName").
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import ldap
import ldap.sasl

from ipabackup.directory.connection import DIRECTORY_MANAGER, connected, count_below
from ipabackup.directory.ldif_scan import RUV_UNIQUE_ID
from ipabackup.errors import DirectoryFailure

MAPPING_TREE = "cn=mapping tree,cn=config"
CA_CERTIFICATE = Path("/etc/ipa/ca.crt")
_AGREEMENT = "nsds5replicationagreement"
_ENABLED = "nsds5ReplicaEnabled"
_REFRESH = "nsds5BeginReplicaRefresh"
_STATUS = "nsds5replicaLastInitStatus"
#: Flow control of a total update, wide open: entries sent without an answer, and the pause (ms) after them.
_FLOW = {"nsds5ReplicaFlowControlWindow": b"100000", "nsds5ReplicaFlowControlPause": b"1"}
_DEFAULT_FLOW = {"nsds5ReplicaFlowControlWindow": b"1000", "nsds5ReplicaFlowControlPause": b"2000"}
#: Seconds that a total update of one suffix may take.
REFRESH_LIMIT = 6 * 3600.0
_SECONDS = 15


@dataclass(frozen=True)
class Agreement:
    """One direction of replication, as the sending master has it."""

    dn: str
    suffix: str
    consumer: str
    enabled: bool


class PeerFailure(DirectoryFailure):
    """Another master could not be reached, or did not do what it was asked."""


class Master(Protocol):
    """A master that has been logged in to.  Deeds raise PeerFailure."""

    def disable(self) -> list[Agreement]:
        """Switch off every agreement; returns those that were on."""
        ...

    def enable(self) -> list[Agreement]:
        """Switch on every agreement; returns those that were off."""
        ...

    def agreements(self) -> list[Agreement]:
        """Every agreement of this master."""
        ...

    def refresh(self, agreement: Agreement) -> None:
        """Send all data of the agreement's suffix to its consumer (a total update), and wait for the end."""
        ...

    def generation(self, suffix: str) -> str:
        """The replication generation of `suffix`; empty when it is not replicated."""
        ...

    def count(self, suffix: str) -> int:
        """The number of entries below `suffix` that are not tombstones."""
        ...


class Masters(Protocol):
    """Logs in to masters: to the one here by its socket, to others by their name."""

    def here(self, uri: str) -> AbstractContextManager[Master]:
        """The directory here, as root; raises DirectoryFailure."""
        ...

    def at(self, host: str, password: str | None) -> AbstractContextManager[Master]:
        """The master `host`.

        `password` is the Directory Manager's; without one the caller's Kerberos ticket has to do.  Raises PeerFailure.
        """
        ...


class LdapMasters:
    """Masters by LDAP."""

    @contextmanager
    def here(self, uri: str) -> Iterator[Master]:
        """See Masters."""
        with connected(uri) as connection:
            yield LdapMaster("this master", connection)

    @contextmanager
    def at(self, host: str, password: str | None) -> Iterator[Master]:
        """See Masters."""
        connection = _connect(host, password)
        try:
            yield LdapMaster(host, connection)
        finally:
            connection.unbind_s()


class LdapMaster:
    """A master behind an LDAP connection."""

    def __init__(self, name: str, connection: Any) -> None:
        self._name = name
        self._connection = connection

    def disable(self) -> list[Agreement]:
        """See Master."""
        return self._switch("off")

    def enable(self) -> list[Agreement]:
        """See Master."""
        return self._switch("on")

    def agreements(self) -> list[Agreement]:
        """See Master."""
        with self._asked("tell its agreements"):
            return find(self._connection)

    def refresh(self, agreement: Agreement) -> None:
        """See Master.

        A total update is throttled by default: it pauses 0.2 s every 50-odd entries.  For its time the agreement's flow
        control is opened, and put back whatever happens.
        """
        with self._asked(f"re-initialise {agreement.consumer}"):
            before = self._connection.search_s(agreement.dn, ldap.SCOPE_BASE, attrlist=list(_FLOW))[0][1]
            known = {name.lower(): values for name, values in before.items()}
            try:
                self._connection.modify_s(
                    agreement.dn,
                    [
                        *((ldap.MOD_REPLACE, name, [value]) for name, value in _FLOW.items()),
                        (ldap.MOD_REPLACE, _ENABLED, [b"on"]),
                    ],
                )
                self._connection.modify_s(agreement.dn, [(ldap.MOD_REPLACE, _REFRESH, [b"start"])])
                status = self._refreshed(agreement)
            finally:
                # The server refuses to have them removed, so one that was not there gets the default.
                back = [(ldap.MOD_REPLACE, name, known.get(name.lower(), [_DEFAULT_FLOW[name]])) for name in _FLOW]
                self._connection.modify_s(agreement.dn, back)
        if not re.match(r"Error \(0\)", status):
            raise PeerFailure(f"{agreement.consumer} could not be re-initialised with {agreement.suffix}: {status}")

    def _refreshed(self, agreement: Agreement) -> str:
        """Wait for the end of a total update; returns what the agreement says of it."""
        limit = time.monotonic() + REFRESH_LIMIT
        while True:
            found = self._connection.search_s(agreement.dn, ldap.SCOPE_BASE, attrlist=[_REFRESH, _STATUS])[0][1]
            values: dict[str, str] = {
                name.lower(): texts[0].decode("utf-8", "replace") for name, texts in found.items()
            }
            if _REFRESH.lower() not in values:
                return values.get(_STATUS.lower(), "it says nothing")
            if time.monotonic() > limit:
                raise PeerFailure(
                    f"The re-initialisation of {agreement.consumer} did not end within {REFRESH_LIMIT:g} s."
                )
            # The server tells the end only when asked.
            time.sleep(0.2)

    def generation(self, suffix: str) -> str:
        """See Master."""
        ruv = f"(&(nsUniqueId={RUV_UNIQUE_ID})(objectClass=nsTombstone))"
        with self._asked("tell its replication state"):
            found = self._connection.search_s(suffix, ldap.SCOPE_SUBTREE, ruv, ["nsds50ruv"])
        texts = [value.decode() for dn, values in found if dn for value in values.get("nsds50ruv", [])]
        told: list[str] = [text.split()[1] for text in texts if text.startswith("{replicageneration}")]
        return told[0] if told else ""

    def count(self, suffix: str) -> int:
        """See Master."""
        with self._asked("count its entries"):
            return count_below(self._connection, suffix)

    def _switch(self, state: str) -> list[Agreement]:
        with self._asked(f"switch its agreements {state}"):
            changed = [agreement for agreement in find(self._connection) if agreement.enabled != (state == "on")]
            for agreement in changed:
                self._connection.modify_s(agreement.dn, [(ldap.MOD_REPLACE, _ENABLED, [state.encode()])])
        return changed

    @contextmanager
    def _asked(self, deed: str) -> Iterator[None]:
        try:
            yield
        except ldap.LDAPError as error:
            raise PeerFailure(f"{self._name} does not {deed}: {_told(error)}.") from error


def _connect(host: str, password: str | None) -> Any:
    """A connection to another master, bound; a password goes over TLS that the realm's authority vouches for only."""
    try:
        if password is not None:
            connection = ldap.initialize(f"ldaps://{host}")
            _patience(connection)
            connection.set_option(ldap.OPT_X_TLS_CACERTFILE, str(CA_CERTIFICATE))
            connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
            connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
            connection.simple_bind_s(DIRECTORY_MANAGER, password)
        else:
            connection = ldap.initialize(f"ldap://{host}")
            _patience(connection)
            connection.sasl_interactive_bind_s("", ldap.sasl.gssapi())
    except ldap.LOCAL_ERROR as error:
        raise PeerFailure(f"{host}: there is neither a password (-p) nor a Kerberos ticket to log in with.") from error
    except ldap.LDAPError as error:
        raise PeerFailure(f"{host} cannot be reached: {_told(error)}.") from error
    return connection


def _patience(connection: Any) -> None:
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, _SECONDS)
    connection.set_option(ldap.OPT_TIMEOUT, _SECONDS)


def _told(error: ldap.LDAPError) -> str:
    details = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    return ": ".join(str(details[key]) for key in ("desc", "info") if details.get(key)) or str(error)


def find(connection: Any) -> list[Agreement]:
    """Every agreement of the server behind `connection`."""
    entries = connection.search_s(
        MAPPING_TREE,
        ldap.SCOPE_SUBTREE,
        f"(objectClass={_AGREEMENT})",
        ["nsds5replicaroot", "nsds5replicahost", _ENABLED],
    )
    found = []
    for dn, attributes in entries:
        values = {name.lower(): texts[0].decode("utf-8", "replace") for name, texts in attributes.items()}
        enabled = values.get(_ENABLED.lower(), "on").lower() != "off"
        found.append(Agreement(dn, values.get("nsds5replicaroot", ""), values.get("nsds5replicahost", ""), enabled))
    return found


def disabled_in(dse: bytes) -> tuple[bytes, int]:
    """The configuration `dse` with every agreement switched off, and how many there are."""
    count = 0
    records = []
    for record in re.split(rb"\n\n+", dse.rstrip(b"\n")):
        lines = record.replace(b"\n ", b"").split(b"\n")
        if f"objectclass: {_AGREEMENT}".encode() in [line.lower() for line in lines]:
            count += 1
            kept = [line for line in lines if not line.lower().startswith(f"{_ENABLED}:".lower().encode())]
            records.append(b"\n".join([*kept, f"{_ENABLED}: off".encode()]))
        else:
            records.append(record)
    return b"\n\n".join(records) + b"\n\n", count
