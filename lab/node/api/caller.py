"""One call: who makes it, and the directory as it answers to them.

httpd hands over a credential cache with which a ticket for the directory can be had in the caller's name
(constrained delegation), so the directory itself decides what the caller may do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ldap
import ldap.sasl

from lab.node.api.errors import AccessDenied, DirectoryTrouble, NetworkTrouble
from lab.node.facts import RealmFacts
from lab.node.ldapi import Directory

Options = Mapping[str, Any]
Attributes = dict[str, Any]
Result = dict[str, Any]
Handler = Callable[["Caller", list[Any], Options], Result]
LIMIT = 20
# Longer than httpd's sessions (SessionMaxAge), whose credential caches must be there.
CCACHE_LIFETIME = 3600.0


@dataclass(frozen=True)
class Caller:
    """The principal that called, the realm, and a connection bound as that principal."""

    principal: str
    facts: RealmFacts
    directory: Directory

    @property
    def dn(self) -> str:
        """The caller's entry. Raises AccessDenied when the principal has none."""
        name = self.directory.ldap.whoami_s().removeprefix("dn: ")
        if not name:
            raise AccessDenied(f"{self.principal} has no entry")
        return str(name)

    def is_admin(self) -> bool:
        """Whether the caller is a member of admins."""
        entry = self.directory.get(self.dn, ["memberOf"]) or {}
        admins = f"cn=admins,cn=groups,cn=accounts,{self.facts.basedn}"
        return any(name.decode().lower() == admins.lower() for name in entry.get("memberOf", []))


def sweep(folder: Path) -> None:
    """Remove credential caches that no session uses any more: httpd makes one for every call."""
    old = time.time() - CCACHE_LIFETIME
    for path in folder.glob("*@*"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < old:
                path.unlink()


@contextmanager
def calling(principal: str, ccache: str, facts: RealmFacts) -> Iterator[Caller]:
    """A connection to the directory in the caller's name. Raises NetworkTrouble when it cannot be had."""
    os.environ["KRB5CCNAME"] = ccache
    connection = ldap.initialize(facts.ldapi_uri, bytes_mode=False)
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, LIMIT)
    connection.set_option(ldap.OPT_TIMEOUT, LIMIT)
    try:
        connection.sasl_interactive_bind_s("", ldap.sasl.gssapi())
    except ldap.SERVER_DOWN as error:
        raise NetworkTrouble(f"cannot connect to '{facts.ldapi_uri}': the directory server is down") from error
    except ldap.LDAPError as error:
        raise AccessDenied(f"the directory refuses {principal}: {said(error)}") from error
    try:
        yield Caller(principal, facts, Directory(connection))
    finally:
        connection.unbind_s()


def said(error: ldap.LDAPError) -> str:
    """What an LDAP error says, in one line."""
    detail = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    return ": ".join(str(detail[key]).strip() for key in ("desc", "info") if detail.get(key)) or str(error)


def refusal(error: ldap.LDAPError) -> AccessDenied | DirectoryTrouble | NetworkTrouble:
    """An LDAP error that nobody caught, as the API's own."""
    if isinstance(error, ldap.INSUFFICIENT_ACCESS):
        return AccessDenied(str(error.args[0].get("info", "")).strip() or said(error))
    if isinstance(error, ldap.SERVER_DOWN):
        return NetworkTrouble("cannot connect to the directory server")
    return DirectoryTrouble(said(error))


def text(entry: Mapping[str, list[bytes]], name: str) -> str:
    """The first value of an attribute, or nothing."""
    values = entry.get(name) or [b""]
    return values[0].decode()
