"""A further directory instance on masters, as the authority of a server that began with Dogtag 9 has one.

Made with the tools of 389 Directory Server: with a suffix of its own that replicates from port to port, logged in to by
a password, while the authority of these masters has its records where it has them today.
"""

from __future__ import annotations

from functools import partial

from lab.host import Host
from lab.waiting import wait_for
from scenarios.masters import entry_exists

INSTANCE, SUFFIX, PORT = "RECORDS", "o=records", 7389
UNIT = f"dirsrv@{INSTANCE}.service"

_MANAGER = "cn=replication manager,cn=config"
_ANSWERS = """[general]
config_version = 2
full_machine_name = {host}
selinux = False

[slapd]
instance_name = {instance}
port = {port}
secure_port = 7390
root_password = {password}
self_sign_cert = True

[backend-records]
suffix = {suffix}
create_suffix_entry = True
"""
#: Keys and certificates of the realm, by which masters know each other, in the place of those that are made with it.
_KEYS = ("cert9.db", "key4.db", "pin.txt", "pwdfile.txt")


def add_instances(*masters: Host) -> None:
    """Give each master one, and have neighbours supply each other, beginning with what the first one has."""
    for number, host in enumerate(masters, start=1):
        _create(host, number)
    for one, other in zip(masters, masters[1:]):
        _supply(one, other, "--init")
        wait_for(f"{other.fqdn} to have {SUFFIX}", partial(_filled, other), limit=60)
        _supply(other, one)


def write(host: Host, name: str) -> str:
    """Add an entry on this master; returns its name."""
    dn = f"cn={name},{SUFFIX}"
    with host.ldap(PORT) as connection:
        connection.add_s(dn, [("objectClass", [b"top", b"nsContainer"]), ("cn", [name.encode()])])
    return dn


def delete(host: Host, dn: str) -> None:
    """Delete an entry on this master."""
    with host.ldap(PORT) as connection:
        connection.delete_s(dn)


def wait_entry(dn: str, *masters: Host, there: bool = True) -> None:
    """Wait until all these have an entry, or none of them."""
    for host in masters:
        wait_for(f"{dn} on {host.fqdn}: {there}", partial(_has, host, dn, there), limit=60)


def _has(host: Host, dn: str, there: bool) -> bool:
    return entry_exists(host, dn, PORT) == there


def _create(host: Host, number: int) -> None:
    password = host.topology.passwords.directory_manager
    answers = _ANSWERS.format(host=host.fqdn, instance=INSTANCE, port=PORT, password=password, suffix=SUFFIX)
    host.write_file("/root/further.inf", answers, mode=0o600)
    host.run(["dscreate", "from-file", "/root/further.inf"], timeout=300)
    host.run(["systemctl", "stop", UNIT])
    for name in _KEYS:
        host.run(["cp", "-p", f"/etc/dirsrv/slapd-{host.instance}/{name}", f"/etc/dirsrv/slapd-{INSTANCE}/{name}"])
    host.run(["systemctl", "start", UNIT])
    role = ["--role", "supplier", "--replica-id", str(number), "--bind-dn", _MANAGER, "--bind-passwd", password]
    _dsconf(host, "replication", "enable", "--suffix", SUFFIX, *role)


def _supply(host: Host, consumer: Host, *more: str) -> None:
    password = host.topology.passwords.directory_manager
    where = ["--host", consumer.fqdn, "--port", str(PORT), "--conn-protocol", "StartTLS"]
    login = ["--bind-method", "SIMPLE", "--bind-dn", _MANAGER, "--bind-passwd", password]
    _dsconf(host, "repl-agmt", "create", "--suffix", SUFFIX, *where, *login, *more, f"recordsTo{consumer.fqdn}")


def _filled(host: Host) -> bool:
    """Whether a total update has come to its end: nobody can write before."""
    import ldap

    with host.ldap(PORT) as connection:
        try:
            found = connection.search_s(
                SUFFIX, ldap.SCOPE_SUBTREE, "(&(objectClass=nsTombstone)(nsds50ruv=*))", ["nsds50ruv"]
            )
        except ldap.LDAPError:
            return False
    return any(b"replica 1 " in value for _, entry in found for value in entry.get("nsds50ruv", []))


def _dsconf(host: Host, *words: str) -> None:
    login = ["-D", "cn=Directory Manager", "-w", host.topology.passwords.directory_manager]
    host.run(["dsconf", *login, f"ldap://{host.fqdn}:{PORT}", *words])
