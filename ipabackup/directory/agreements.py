"""Replication agreements: in a configuration file, in the running directory here, and on other masters.

Attributes and their meaning are 389 DS's (configuration reference, "cn=ReplicationAgreementName").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import ldap
import ldap.sasl

from ipabackup.directory.connection import DIRECTORY_MANAGER, connected
from ipabackup.errors import DirectoryFailure

MAPPING_TREE = "cn=mapping tree,cn=config"
CA_CERTIFICATE = Path("/etc/ipa/ca.crt")
_AGREEMENT = "nsds5replicationagreement"
_ENABLED = "nsds5ReplicaEnabled"
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


class Agreements(Protocol):
    """Switches agreements off: `host` is another master's name, or None for the directory here, by its socket."""

    def disable_here(self, uri: str) -> list[Agreement]:
        """Switch off every agreement of the instance behind `uri`; returns those that were on."""
        ...

    def disable_at(self, host: str, password: str | None) -> list[Agreement]:
        """Switch off every agreement of the master `host`; returns those that were on.

        `password` is the Directory Manager's; without one the caller's Kerberos ticket has to do.  Raises PeerFailure.
        """
        ...


class LdapAgreements:
    """Agreements by LDAP."""

    def disable_here(self, uri: str) -> list[Agreement]:
        """See Agreements."""
        with connected(uri) as connection:
            return disable(connection)

    def disable_at(self, host: str, password: str | None) -> list[Agreement]:
        """See Agreements."""
        connection = _connect(host, password)
        try:
            return disable(connection)
        except ldap.LDAPError as error:
            raise PeerFailure(f"{host} does not let its agreements be switched off: {error}.") from error
        finally:
            connection.unbind_s()


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


def disable(connection: Any) -> list[Agreement]:
    """Switch off every agreement of the server behind `connection`; returns those that were on."""
    on = [agreement for agreement in find(connection) if agreement.enabled]
    for agreement in on:
        connection.modify_s(agreement.dn, [(ldap.MOD_REPLACE, _ENABLED, [b"off"])])
    return on


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
