"""The directory of another master, bound as Directory Manager over TLS or with the caller's ticket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ldap
import ldap.sasl

from lab.node.facts import IPA_CA_CERT
from lab.node.install.checks import Refused
from lab.node.ldapi import Directory

DIRECTORY_MANAGER = "cn=Directory Manager"
#: Seconds that one operation may take: a busy master has been seen to need more than a minute for a new agreement.
LIMIT = 180.0


class MasterUnreachable(Refused):
    """A master's directory does not answer."""


@contextmanager
def master_directory(host: str, *, dm_password: str = "", authorities: Path = IPA_CA_CERT) -> Iterator[Directory]:
    """A connection to a master's directory, closed at the end of the block.

    With `dm_password` over TLS, trusting `authorities` alone; without it by Kerberos, encrypted by SASL.
    Raises MasterUnreachable, and Refused when the master does not accept the password or the ticket.
    """
    connection = ldap.initialize(f"ldaps://{host}" if dm_password else f"ldap://{host}", bytes_mode=False)
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, LIMIT)
    connection.set_option(ldap.OPT_TIMEOUT, LIMIT)
    try:
        if dm_password:
            connection.set_option(ldap.OPT_X_TLS_CACERTFILE, str(authorities))
            connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
            connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
            connection.simple_bind_s(DIRECTORY_MANAGER, dm_password)
        else:
            connection.sasl_interactive_bind_s("", ldap.sasl.gssapi())
    except ldap.INVALID_CREDENTIALS as error:
        why = "Invalid password" if dm_password else "the Kerberos ticket is not accepted"
        raise Refused(f"Failed to bind to {host}: {why}") from error
    except ldap.LOCAL_ERROR as error:
        raise Refused(f"Failed to bind to {host}: {_said(error)} (is there a Kerberos ticket?)") from error
    except (ldap.SERVER_DOWN, ldap.CONNECT_ERROR, ldap.TIMEOUT) as error:
        raise MasterUnreachable(f"cannot connect to the directory server of {host}: {_said(error)}") from error
    try:
        yield Directory(connection)
    finally:
        connection.unbind_s()


def _said(error: ldap.LDAPError) -> str:
    detail = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    return ": ".join(str(detail[key]).strip() for key in ("desc", "info") if detail.get(key)) or str(error)
