"""Users written straight into a master's directory: many of them in no time, and no other service is asked."""

from __future__ import annotations

from collections.abc import Iterable

from lab.host import Host
from lab.waiting import wait_for
from scenarios.masters import ARRIVAL


def _people(host: Host) -> str:
    return f"cn=users,cn=accounts,{host.topology.suffix}"


def add_users(host: Host, names: Iterable[str]) -> None:
    """Add users on this master."""
    with host.ldap() as connection:
        for name in names:
            words = {"objectClass": ["top", "person", "inetOrgPerson"], "uid": [name], "cn": [name], "sn": ["Written"]}
            entry = [(attribute, [value.encode() for value in values]) for attribute, values in words.items()]
            connection.add_s(f"uid={name},{_people(host)}", entry)


def delete_users(host: Host, names: Iterable[str]) -> None:
    """Delete users on this master."""
    with host.ldap() as connection:
        for name in names:
            connection.delete_s(f"uid={name},{_people(host)}")


def users(host: Host) -> set[str]:
    """The names of all users that this master has."""
    import ldap

    with host.ldap() as connection:
        found = connection.search_s(_people(host), ldap.SCOPE_ONELEVEL, "(uid=*)", ["uid"])
    return {entry["uid"][0].decode() for _, entry in found}


def wait_users(hosts: Iterable[Host], names: Iterable[str], limit: float = ARRIVAL) -> None:
    """Wait until each of the masters has these users and no others, but for the administrator."""
    wanted = {*names, "admin"}
    for host in hosts:
        wait_for(
            f"{host.fqdn} to have the users {sorted(wanted)}",
            lambda host=host: users(host) == wanted,  # type: ignore[misc]
            limit=limit,
            details=lambda host=host: f"it has {sorted(users(host))}",  # type: ignore[misc]
        )
