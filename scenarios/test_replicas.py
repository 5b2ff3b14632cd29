"""Replica set-up as the replica document has it, and replicas and clients of a restored server."""

from __future__ import annotations

import pytest

from lab.execute import CommandResult
from lab.host import Host
from lab.realm import Realm
from lab.waiting import wait_for
from scenarios.deeds import back_up, restore, uninstall
from scenarios.masters import (
    assert_one_realm,
    assert_replicate,
    check_realm,
    conflicts,
    disconnect,
    enrol_client,
    entry_exists,
    install_from_file,
    prepare,
    replica_file,
    troubles,
    wait_seen,
    write_user,
)

PREPARED = """\
Determining current realm name
Getting domain name from LDAP
Preparing replica for ipa2.example.test from ipa1.example.test
Creating SSL certificate for the Directory Server
Creating SSL certificate for the Web Server
Copying additional files
Finalizing configuration
Packaging the replica into /var/lib/ipa/replica-info-ipa2.example.test.gpg
"""
CHECKED = """\
Run connection check to master
Check connection from replica to remote master '{master}':
   Directory Service: Unsecure port (389): OK
   Directory Service: Secure port (636): OK
   Kerberos KDC: TCP (88): OK
   Kerberos Kpasswd: TCP (464): OK
   HTTP Server: Unsecure port (80): OK
   HTTP Server: Secure port (443): OK
The following list of ports use UDP protocol and would need to be
checked manually:
   Kerberos KDC: UDP (88): SKIPPED
   Kerberos Kpasswd: UDP (464): SKIPPED
Connection from replica to master is OK.
Start listening on required ports for remote master check
Get credentials to log in to remote master
Execute check on remote master
Check connection from master to remote replica '{replica}':
   Directory Service: Unsecure port (389): OK
   Directory Service: Secure port (636): OK
   Kerberos KDC: TCP (88): OK
   Kerberos KDC: UDP (88): OK
   Kerberos Kpasswd: TCP (464): OK
   Kerberos Kpasswd: UDP (464): OK
   HTTP Server: Unsecure port (80): OK
   HTTP Server: Secure port (443): OK
Connection from master to replica is OK.
Connection check OK
"""
SERVICE_RECORDS = {
    "_ldap._tcp": 389,
    "_kerberos._tcp": 88,
    "_kerberos._udp": 88,
    "_kerberos-master._tcp": 88,
    "_kerberos-master._udp": 88,
    "_kpasswd._tcp": 464,
    "_kpasswd._udp": 464,
    "_ntp._udp": 123,
}
LISTENER = """
import socket
taken = socket.create_server(("", 7389))
print("taken", flush=True)
taken.accept()
"""


def services_of(host: Host, resolver: Host) -> set[str]:
    """The service records that name a host, as a DNS server gives them."""
    found = set()
    for name in SERVICE_RECORDS:
        said = resolver.run(["dig", "+short", f"{name}.{host.topology.domain}", "SRV", f"@{resolver.address}"])
        found |= {f"{name} {line}" for line in said.lines if line.endswith(f" {host.fqdn}.")}
    return found


@pytest.mark.row("P1", "P2")
@pytest.mark.topology("spare")
def test_a_replica_file_is_for_one_host_and_for_who_knows_the_password(realm: Realm) -> None:
    """The file is made with the documented progress, is root's alone, and opens with one password."""
    master, spare, other = realm.master, realm.host("ipa2"), realm.host("client1")
    for bad in ("ipa_2.example.test", "IPA2.example.test", "ipa2"):
        refused = master.run(["ipa-replica-prepare", "-p", "Secret123", bad], check=False)
        assert refused.status == 1
        assert bad in refused.stderr
    assert prepare(master, spare, "--ip-address", spare.address).stdout.startswith(PREPARED)

    file = master.testinfra.file(replica_file(spare))
    assert (file.user, file.mode) == ("root", 0o600)
    wait_for(
        "the replica's records in DNS",
        lambda: spare.fqdn in master.run(["host", spare.address, "localhost"], check=False).stdout,
        limit=10,
    )
    assert spare.address in master.run(["host", spare.fqdn, "localhost"]).stdout

    wrong = install_from_file(spare, dm_password="Secret124", check=False)
    assert wrong.status == 1
    assert "Directory Manager password" in wrong.stderr
    other.write_file(replica_file(spare), master.read_bytes(replica_file(spare)), mode=0o600)
    elsewhere = install_from_file(other, file=replica_file(spare), check=False)
    assert elsewhere.status == 1
    assert "This replica was created for 'ipa2.example.test' but this machine is named" in elsewhere.stderr


@pytest.mark.row("P2", "P3", "P4", "P5", "T15")
@pytest.mark.topology("spare")
def test_a_replica_from_its_file_after_the_authoritys_port_was_taken(realm: Realm) -> None:
    """Refused while port 7389 is taken; uninstalled, tried again, checked as documented, and used up then."""
    master, replica = tuple(realm.hosts.values())[:2]
    dns = "dns" in master.member.capabilities
    services = ["--setup-ca", *(("--setup-dns", "--no-forwarders") if dns else ())]
    prepare(master, replica)
    listener = replica.start(["python3", "-c", LISTENER])
    wait_for("port 7389 to be taken", lambda: ":7389" in replica.run(["ss", "-Hltn"]).stdout, limit=10)
    refused = install_from_file(replica, *services, check=False)
    assert refused.status == 1
    assert "Port 7389 is in use" in refused.stderr
    replica.run(["ipa-server-install", "--uninstall", "-U"])
    listener.signal("TERM")
    listener.wait()

    installed = install_from_file(replica, *services)
    assert CHECKED.format(master=master.fqdn, replica=replica.fqdn) in installed.stdout
    assert_replicate(master, replica)
    expected = {f"{name} 0 100 {port} {replica.fqdn}." for name, port in SERVICE_RECORDS.items()}
    for server in (master, replica) if dns else ():
        wait_for(
            f"{server.fqdn}'s DNS to name the replica",
            lambda server=server: services_of(replica, server) == expected,  # type: ignore[misc]
            limit=20,
        )

    uninstall(replica)
    exists = install_from_file(replica, check=False)
    assert exists.status == 1
    assert "used already" in exists.stderr
    prepared = prepare(master, replica, check=False)
    assert "ipa-replica-manage del" in prepared.stderr
    # It is gone, and the master does not know that yet.
    assert {trouble["kind"] for trouble in troubles(check_realm(master, "--json", wait=0))} == {"unreachable"}


@pytest.mark.row("T8", "L3")
@pytest.mark.topology("spare")
def test_a_restored_server_gets_a_replica_and_a_client(realm: Realm) -> None:
    """Backup, restore; then a replica, a client, agreements looked after, the client unenrolled, both replicate."""
    master, replica, client = realm.hosts.values()
    dns = "dns" in master.member.capabilities
    backup = back_up(master)
    uninstall(master)
    restore(master, backup)

    prepare(master, replica)
    install_from_file(replica, "--setup-ca", *(("--setup-dns", "--no-forwarders") if dns else ()))
    enrol_client(client, *(() if dns else (master,)))
    assert "admin" in client.run(["id", "admin"]).stdout
    client.kinit()
    assert_replicate(master, replica, tag="before")

    assert _managed(master, "list").lines == [f"{host.fqdn}: master" for host in (master, replica)]
    shown = _managed(master, "-v", "list", master.fqdn).stdout
    assert f"{replica.fqdn}: replica" in shown
    assert "Error (0) Total update succeeded" in shown
    _managed(master, "re-initialize", f"--from={replica.fqdn}")
    _managed(replica, "force-sync", f"--from={master.fqdn}", tool="ipa-csreplica-manage")
    last = _managed(master, "disconnect", master.fqdn, replica.fqdn, check=False)
    assert last.status == 1
    assert "Cannot remove the last replication link" in last.stderr

    client.run(["ipa-client-install", "--uninstall", "-U"])
    assert client.run(["id", "admin"], check=False).status != 0
    master.kinit()
    assert "Keytab: False" in master.run(["ipa", "host-show", client.fqdn]).stdout
    assert_replicate(replica, master, tag="after")

    _managed(master, "del", "--force", replica.fqdn)
    assert _managed(master, "list").lines == [f"{master.fqdn}: master"]
    assert not master.agreement_states()
    assert_one_realm(master)


def _managed(host: Host, *words: str, tool: str = "ipa-replica-manage", check: bool = True) -> CommandResult:
    """Look after a master's agreements, as Directory Manager."""
    return host.run([tool, "-p", host.topology.passwords.directory_manager, *words], check=check)


@pytest.mark.row("P6", "T15")
@pytest.mark.topology("pair")
def test_replication_by_tickets_resumes_by_itself_once_there_is_a_kdc(realm: Realm) -> None:
    """The directory starts before the KDC: its binds fail, which its error log says, and resume."""
    import ldap

    master, replica = tuple(realm.hosts.values())[:2]
    log = f"/var/log/dirsrv/slapd-{replica.instance}/errors"
    # 389 DS takes a missing ticket for something that passes, and tells of it only at the level of replication.
    with replica.ldap() as connection:
        connection.modify_s("cn=config", [(ldap.MOD_REPLACE, "nsslapd-errorlog-level", [b"8192"])])
    replica.run(["systemctl", "stop", "krb5-kdc"])
    begun = len(replica.read_file(log))
    replica.run(["systemctl", "restart", f"dirsrv@{replica.instance}"])
    dn = f"cn=late,cn=hostgroups,cn=accounts,{realm.topology.suffix}"
    with replica.ldap() as connection:
        connection.add_s(dn, [("objectClass", [b"top", b"nsContainer"]), ("cn", [b"late"])])
    wait_for(
        "the error log to tell of GSSAPI",
        lambda: "GSSAPI auth failed" in replica.read_file(log)[begun:],
        limit=60,
    )
    assert not entry_exists(master, dn)
    replica.run(["systemctl", "start", "krb5-kdc"])
    wait_seen(master, dn, limit=120)
    wait_for(
        "the error log to tell of the bind",
        lambda: "GSSAPI auth resumed" in replica.read_file(log)[begun:],
        limit=60,
    )
    assert_one_realm(*realm.hosts.values())


@pytest.mark.row("P4", "L5")
@pytest.mark.topology("line")
def test_a_replica_of_a_replica_has_what_its_grandmaster_writes(realm: Realm) -> None:
    """Three masters in a row replicate domain and authority, end to end in both directions."""
    assert set(realm.master.agreement_states()) == {"meToipa2.example.test", "caToipa2.example.test"}
    assert_replicate(*realm.hosts.values())
    assert_one_realm(*realm.hosts.values())


@pytest.mark.row("L3", "L5")
@pytest.mark.topology("triangle")
def test_a_triangle_replicates_with_one_side_less(realm: Realm) -> None:
    """Made with an administrator's credentials; agreements come and go, and nothing conflicts after a common boot."""
    one, two, three = realm.hosts.values()
    assert_replicate(one, two, three, tag="all")
    disconnect(two, three)
    assert set(three.agreement_states()) == {"meToipa1.example.test", "caToipa1.example.test"}
    assert_replicate(two, three, authority=False, tag="some")
    three.run(["ipa-replica-manage", "-p", "Secret123", "connect", three.fqdn, two.fqdn])
    wait_seen(three, write_user(two, "again"))
    assert [conflicts(host) for host in (one, two, three)] == [[], [], []]
    # For the authority's records these two were parted and not brought together again: over the first one they are.
    assert_one_realm(one, two, three)
