"""What scenarios with several masters do: make replicas, write on one master, see it on another."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from lab.execute import CommandResult
from lab.host import Host
from lab.waiting import wait_for

#: Seconds that a change has for its way to a master, over others if need be.
ARRIVAL = 60.0

#: Seconds that a change has for its way when a master died or was cut off before: a supplier waits half a minute for
#: the answer of one that was killed in a session (lab.host.TCP_PATIENCE), and after failures an agreement waits longer
#: and longer before it tries again, up to nsds5ReplicaBackoffMax (300 s).
ARRIVAL_AFTER_FAULT = 310.0

#: Seconds that a master's session with another one may be in the way of a new one: where that was killed in it, until
#: 389 DS asks whether anybody is there (nsslapd-tcp-keepalive-time, 300 s).
BUSY_LIMIT = 400.0

CA_SUFFIX = "o=ipaca"
_ELEMENT_WITH_CHANGES = re.compile(r"\{replica \d+ ldap://([^:}]+):\d+\} [0-9a-f]{20} [0-9a-f]{20}")


def prepare(master: Host, replica: Host, *options: str, check: bool = True) -> CommandResult:
    """Make a replica's file on a master and, when it was made, bring it to the replica."""
    secret = replica.topology.passwords.directory_manager
    result = master.run(["ipa-replica-prepare", "-p", secret, *options, replica.fqdn], check=check)
    if result.status == 0:
        replica.write_file(replica_file(replica), master.read_bytes(replica_file(replica)), mode=0o600)
    return result


def replica_file(replica: Host) -> str:
    """Where a replica's file is, on the master and on the replica."""
    return f"/var/lib/ipa/replica-info-{replica.fqdn}.gpg"


def install_from_file(
    replica: Host, *options: str, file: str = "", check: bool = True, dm_password: str = ""
) -> CommandResult:
    """Run ipa-replica-install on the replica's file, or on another one."""
    passwords = replica.topology.passwords
    secrets = ["-p", dm_password or passwords.directory_manager, "-w", passwords.admin]
    argv = ["ipa-replica-install", "-U", *secrets, *options, file or replica_file(replica)]
    return replica.run(argv, check=check, timeout=900)


def enrol_client(host: Host, *servers: Host) -> CommandResult:
    """Enrol a host into its realm: with servers that DNS names, or, where there is none, with these."""
    topology = host.topology
    where = ["--domain", topology.domain]
    if servers:
        where += ["--realm", topology.realm, *(f"--server={server.fqdn}" for server in servers)]
    return host.run(["ipa-client-install", "-U", *where, "-p", "admin", "-w", topology.passwords.admin])


def entry_exists(host: Host, dn: str, port: int = 389) -> bool:
    """Whether a master's directory (the instance on this port) has an entry."""
    import ldap

    with host.ldap(port) as connection:
        try:
            connection.search_s(dn, ldap.SCOPE_BASE, "(objectClass=*)", ["1.1"])
        except ldap.NO_SUCH_OBJECT:
            return False
    return True


def wait_seen(host: Host, dn: str, limit: float = ARRIVAL) -> None:
    """Wait until a change that was written elsewhere is here."""
    wait_for(f"{host.fqdn} to have {dn}", lambda: entry_exists(host, dn), limit=limit)


def write_user(host: Host, name: str) -> str:
    """Add a user through this master's API; returns the entry's name."""
    host.kinit()
    host.run(["ipa", "user-add", name, "--first", "Marker", "--last", name])
    return f"uid={name},cn=users,cn=accounts,{host.topology.suffix}"


def write_certificate(host: Host, name: str) -> str:
    """Have this master's authority sign a certificate for the host itself; returns the record's name."""
    host.kinit()
    key = ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={host.fqdn}"]
    host.run([*key, "-keyout", f"/root/{name}.key", "-out", f"/root/{name}.csr"])
    result = host.run(["ipa", "cert-request", f"/root/{name}.csr", "--principal", f"host/{host.fqdn}"])
    found = re.search(r"Serial number: (\d+)", result.stdout)
    assert found, result.describe()
    return f"cn={found[1]},ou=certificateRepository,ou=ca,{CA_SUFFIX}"


def assert_replicate(*hosts: Host, authority: bool = True, tag: str = "m") -> None:
    """Write on each master and see it on all the others, for the domain and for the authority's records."""
    written = [write_user(host, f"{tag}{position}") for position, host in enumerate(hosts)]
    if authority:
        written += [write_certificate(host, f"{tag}{position}") for position, host in enumerate(hosts)]
    for dn in written:
        for host in hosts:
            wait_seen(host, dn)


def conflicts(host: Host) -> list[str]:
    """The entries that replication could not bring together."""
    import ldap

    with host.ldap() as connection:
        found = connection.search_s(host.topology.suffix, ldap.SCOPE_SUBTREE, "(nsds5ReplConflict=*)", ["1.1"])
    return sorted(dn for dn, _ in found if dn)


def disconnect(one: Host, other: Host) -> None:
    """Have two masters replicate no more."""
    for tool in ("ipa-replica-manage", "ipa-csreplica-manage"):
        one.run([tool, "-p", one.topology.passwords.directory_manager, "disconnect", one.fqdn, other.fqdn])


def reinitialize_by_hand(host: Host, source: Host) -> None:
    """Fill a master's directory from another one's, by FreeIPA's commands for the domain and for the authority."""
    for tool in ("ipa-replica-manage", "ipa-csreplica-manage"):
        argv = [tool, "-p", host.topology.passwords.directory_manager, "re-initialize", f"--from={source.fqdn}"]
        wait_for(f"{tool} to re-initialise {host.fqdn}", partial(_done_unless_busy, host, argv), limit=BUSY_LIMIT)


def _done_unless_busy(host: Host, argv: Sequence[str]) -> bool:
    """Whether a command was done; not while a master's session is in its way, which may be one of before it died."""
    done = host.run(argv, check=False)
    assert done.status == 0 or "busy" in f"{done.stdout}{done.stderr}", done.describe()
    return done.status == 0


def password_options(host: Host) -> list[str]:
    """Options of ipa-backup and ipa-restore by which they log in to other masters: the Directory Manager's password."""
    host.write_file("/root/dm-password", f"{host.topology.passwords.directory_manager}\n", mode=0o600)
    return ["--password-file", "/root/dm-password"]


def check_realm(host: Host, *options: str, wait: float = ARRIVAL) -> CommandResult:
    """Ask all masters, from one of them, whether they are one realm; the status is the command's."""
    argv = ["ipa-restore", "--check-realm", "--wait", f"{wait:g}", *password_options(host), *options]
    return host.run(argv, check=False, timeout=wait + 120)


def troubles(result: CommandResult) -> list[dict[str, Any]]:
    """What ``--check-realm --json`` found wrong: kind, suffix, hosts, message, remedy of each."""
    found: list[dict[str, Any]] = _told(result)["troubles"]
    return found


def _told(result: CommandResult) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in map(json.loads, result.lines) if item["kind"] == "realm")
    return found


def change_something(host: Host) -> None:
    """Have a master change something of its own in each suffix: its note that it is alive, where it has one.

    Its very first change after it was filled may be on another master and not in that one's update vector.
    """
    import ldap

    now = time.strftime("%Y%m%d%H%M%SZ", time.gmtime()).encode()
    wanted = ["nsDS5ReplicaRoot", "nsDS5ReplicaId"]
    with host.ldap() as connection:
        found = connection.search_s(
            "cn=mapping tree,cn=config", ldap.SCOPE_SUBTREE, "(objectClass=nsds5replica)", wanted
        )
        for _, entry in found:
            values = {name.lower(): texts[0].decode() for name, texts in entry.items()}
            note = f"cn=repl keep alive {values['nsds5replicaid']},{values['nsds5replicaroot']}"
            with suppress(ldap.NO_SUCH_OBJECT):
                connection.modify_s(note, [(ldap.MOD_REPLACE, "keepalivetimestamp", [now])])


def assert_all_know_of_all(*hosts: Host) -> None:
    """See that these masters have a change of each of them in the vector of each suffix.

    One that is restarted without throws its changelog away, when that has such a change.
    """
    import ldap

    wanted = sorted(host.fqdn for host in hosts)
    for host in hosts:
        with host.ldap() as connection:
            found = connection.search_s(
                "cn=mapping tree,cn=config", ldap.SCOPE_SUBTREE, "(objectClass=nsds5replica)", ["nsds50ruv"]
            )
        assert found
        for dn, entry in found:
            vector = [value.decode() for values in entry.values() for value in values]
            changed = [_ELEMENT_WITH_CHANGES.match(value) for value in vector]
            assert sorted(one[1] for one in changed if one) == wanted, f"{host.fqdn}, {dn}: {vector}"


def assert_one_realm(*hosts: Host) -> None:
    """See that these hosts, and no others, are the masters of one realm: the same data, and every change arrives."""
    for host in hosts:
        change_something(host)
    result = check_realm(hosts[0], "--json", wait=ARRIVAL_AFTER_FAULT)
    assert result.status == 0, check_realm(hosts[0], wait=0).describe()
    named = sorted(master["host"] for master in _told(result)["masters"])
    assert named == sorted(host.fqdn for host in hosts), f"other masters than expected: {named}"
