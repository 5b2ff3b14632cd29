"""The local directory server over its socket, bound as whoever runs the process (SASL EXTERNAL, autobind)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ldap
import ldap.dn
import ldap.filter
import ldap.sasl

Values = str | bytes | int | Iterable[str | bytes | int]
Entry = tuple[str, dict[str, list[bytes]]]
NoSuchEntry = ldap.NO_SUCH_OBJECT
DirectoryError = ldap.LDAPError


def encoded(values: Values) -> list[bytes]:
    """One value or many, as the bytes that python-ldap wants."""
    many = [values] if isinstance(values, (str, bytes, int)) else values
    return [value if isinstance(value, bytes) else str(value).encode() for value in many]


def escape_dn(value: str) -> str:
    """`value` safe to stand in a distinguished name."""
    return str(ldap.dn.escape_dn_chars(value))


def escape_filter(value: str) -> str:
    """`value` safe to stand in a filter."""
    return str(ldap.filter.escape_filter_chars(value))


class Directory:
    """A bound connection. `ldap` is the python-ldap object for what has no method here; LDAP errors pass
    through.
    """

    def __init__(self, connection: Any) -> None:
        self.ldap = connection

    def get(self, dn: str, attributes: Iterable[str] | None = None) -> dict[str, list[bytes]] | None:
        """The attributes of one entry, or None when there is no such entry."""
        try:
            found = self.search(dn, "(objectClass=*)", attributes, scope=ldap.SCOPE_BASE)
        except ldap.NO_SUCH_OBJECT:
            return None
        return found[0][1] if found else None

    def exists(self, dn: str) -> bool:
        return self.get(dn, ["1.1"]) is not None

    def search(
        self,
        base: str,
        filter: str = "(objectClass=*)",
        attributes: Iterable[str] | None = None,
        *,
        scope: int = ldap.SCOPE_SUBTREE,
    ) -> list[Entry]:
        """Entries below `base`, referrals left out."""
        wanted = list(attributes) if attributes is not None else None
        return [(dn, attrs) for dn, attrs in self.ldap.search_s(base, scope, filter, wanted) if dn is not None]

    def add(self, dn: str, attributes: Mapping[str, Values]) -> None:
        self.ldap.add_s(dn, [(name, encoded(values)) for name, values in attributes.items()])

    def add_if_missing(self, dn: str, attributes: Mapping[str, Values]) -> bool:
        """Add the entry unless there is one by that name; True when it was added."""
        try:
            self.add(dn, attributes)
        except ldap.ALREADY_EXISTS:
            return False
        return True

    def ensure_values(self, dn: str, attribute: str, values: Values) -> bool:
        """Add the values that the attribute lacks; True when there were any."""
        entry = self.get(dn, [attribute])
        if entry is None:
            raise ldap.NO_SUCH_OBJECT({"desc": "No such object", "info": dn})
        present = next((v for name, v in entry.items() if name.lower() == attribute.lower()), [])
        lacking = [value for value in encoded(values) if value not in present]
        if lacking:
            self.ldap.modify_s(dn, [(ldap.MOD_ADD, attribute, lacking)])
        return bool(lacking)

    def replace(self, dn: str, attributes: Mapping[str, Values]) -> None:
        """Give each attribute exactly these values; an empty list removes it."""
        changes = [(ldap.MOD_REPLACE, name, encoded(values) or None) for name, values in attributes.items()]
        self.ldap.modify_s(dn, changes)

    def remove_values(self, dn: str, attribute: str, values: Values) -> None:
        self.ldap.modify_s(dn, [(ldap.MOD_DELETE, attribute, encoded(values))])

    def delete(self, dn: str) -> bool:
        """Delete an entry; False when there was none."""
        try:
            self.ldap.delete_s(dn)
        except ldap.NO_SUCH_OBJECT:
            return False
        return True

    def delete_tree(self, dn: str) -> None:
        """Delete an entry and everything below it, if it is there."""
        try:
            found = self.search(dn, attributes=["1.1"])
        except ldap.NO_SUCH_OBJECT:
            return
        for name in sorted((name for name, _ in found), key=lambda n: len(ldap.dn.str2dn(n)), reverse=True):
            self.delete(name)


@contextmanager
def directory(uri: str, *, bind_dn: str | None = None, password: str = "", limit: float = 60) -> Iterator[Directory]:
    """A connection to `uri`, closed at the end of the block.

    Without `bind_dn` by SASL EXTERNAL (over ldapi root is Directory Manager); with it by a simple bind.
    `limit` seconds an operation.
    """
    connection = ldap.initialize(uri, bytes_mode=False)
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, limit)
    connection.set_option(ldap.OPT_TIMEOUT, limit)
    if bind_dn is None:
        connection.sasl_interactive_bind_s("", ldap.sasl.external())
    else:
        connection.simple_bind_s(bind_dn, password)
    try:
        yield Directory(connection)
    finally:
        connection.unbind_s()
