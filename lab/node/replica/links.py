"""Looking after agreements between masters: what ipa-replica-manage and ipa-csreplica-manage do but for deleting.

Outputs and refusals are FreeIPA's. The caller is authenticated to each master by the Directory Manager's password or by
a Kerberos ticket.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timezone

from lab.node.facts import RealmFacts
from lab.node.install.checks import Refused
from lab.node.ldapi import Directory
from lab.node.replica import agreements
from lab.node.replica.agreements import Agreement, InitialisationFailed
from lab.node.replica.remote import master_directory
from lab.node.replica.suffixes import Suffix, lacking, read_update_vector, replicates
from lab.node.services import WaitedTooLong, wait_for

NEVER = "2358-2359 0"
SCHEDULE = "nsDS5ReplicaUpdateSchedule"
SYNC_LIMIT = 60.0


@dataclass(frozen=True)
class Realm:
    """The masters of one realm, for one suffix, as the caller reaches them."""

    facts: RealmFacts
    suffix: Suffix
    dm_password: str = ""
    say: Callable[[str], None] = print

    def open(self, host: str) -> AbstractContextManager[Directory]:
        """A master's directory. Raises MasterUnreachable, Refused."""
        return master_directory(host, dm_password=self.dm_password)

    def masters(self, server: Directory) -> list[str]:
        """The names of all masters, as one of them lists them."""
        base = f"cn=masters,cn=ipa,cn=etc,{self.facts.basedn}"
        return sorted(entry["cn"][0].decode() for _, entry in server.search(base, "(ipaMinDomainLevel=*)", ["cn"]))

    def masters_with(self, server: Directory, service: str) -> list[str]:
        """The masters that run a service (CA, DNS, …)."""
        base = f"cn=masters,cn=ipa,cn=etc,{self.facts.basedn}"
        return [host for host in self.masters(server) if server.exists(f"cn={service},cn={host},{base}")]


def list_masters(realm: Realm, host: str) -> None:
    """Print all masters as `host` knows them; for the CA's suffix those without one are named as such."""
    with realm.open(host) as server:
        having = realm.masters_with(server, "CA") if realm.suffix.prefix == "caTo" else realm.masters(server)
        for master in realm.masters(server):
            realm.say(f"{master}: {'master' if master in having else 'CA not configured'}")


def list_agreements(realm: Realm, host: str, *, verbose: bool) -> None:
    """Print whom `host` supplies, and how that went."""
    with realm.open(host) as server:
        _need_replica(realm, server, host)
        for one in agreements.agreements(server, realm.suffix):
            realm.say(f"{one.host}: replica" if realm.suffix.prefix == "meTo" else one.host)
            if verbose:
                realm.say(f"  last init status: {one.init_status or None}")
                realm.say(f"  last init ended: {shown_time(one.init_ended)}")
                realm.say(f"  last update status: {one.update_status}")
                realm.say(f"  last update ended: {shown_time(one.update_ended)}")


def connect(realm: Realm, one: str, other: str) -> None:
    """Have two masters supply each other. Raises Refused when they do already."""
    if one == other:
        raise Refused("cannot connect a master to itself")
    with realm.open(one) as here, realm.open(other) as there:
        for server, host in ((here, one), (there, other)):
            _need_replica(realm, server, host)
        if here.exists(realm.suffix.agreement_dn(other)) and there.exists(realm.suffix.agreement_dn(one)):
            raise Refused(f"A replication agreement to {other} already exists")
        agreements.connect(there, realm.suffix, one)
        agreements.connect(here, realm.suffix, other)
    realm.say(f"Connected '{one}' to '{other}'")


def disconnect(realm: Realm, one: str, other: str, *, force: bool = False) -> None:
    """Have two masters supply each other no more. Raises Refused for the last link of either."""
    with realm.open(one) as here:
        if not here.exists(realm.suffix.agreement_dn(other)):
            raise Refused(f"'{one}' has no replication agreement for '{other}'")
        _not_the_last(realm, here, one, force=force)
        with realm.open(other) as there:
            _not_the_last(realm, there, other, force=force)
            there.delete(realm.suffix.agreement_dn(one))
        here.delete(realm.suffix.agreement_dn(other))
    realm.say(f"Deleted replication agreement from '{one}' to '{other}'")


def reinitialize(realm: Realm, host: str, source: str) -> None:
    """Replace what `host` has by what `source` has. Raises Refused when that does not come to a good end.

    A restore switches agreements off; between these two they are on again afterwards, in both directions.
    """
    with realm.open(source) as server, realm.open(host) as receiver:
        dn = _agreement_to(realm, server, source, host)
        agreements.enable(server, realm.suffix, host)
        try:
            agreements.initialise(
                server, dn, elapsed=lambda seconds: realm.say(f"Update in progress, {seconds} seconds elapsed")
            )
        except (InitialisationFailed, TimeoutError) as error:
            raise Refused(f"[{source}] reports: Update failed! Status: [{error}]") from error
        agreements.write_own_change(receiver, realm.suffix)
        agreements.enable(receiver, realm.suffix, source)
    realm.say("Update succeeded")


def force_sync(realm: Realm, host: str, source: str, *, limit: float = SYNC_LIMIT) -> None:
    """Have `source` send what `host` lacks now; a schedule that is taken back starts a session."""
    with realm.open(host) as receiver, realm.open(source) as server:
        dn = _agreement_to(realm, server, source, host)
        wanted = read_update_vector(server, realm.suffix)
        before = (server.get(dn, [SCHEDULE]) or {}).get(SCHEDULE, [])
        realm.say(f"ipa: INFO: Setting agreement {dn} schedule to {NEVER} to force synch")
        server.replace(dn, {SCHEDULE: NEVER})
        realm.say(f"ipa: INFO: Deleting schedule {NEVER} from agreement {dn}")
        server.replace(dn, {SCHEDULE: before})
        try:
            wait_for(
                f"{host} to have all that {source} has",
                lambda: not lacking(read_update_vector(receiver, realm.suffix), wanted),
                limit,
            )
        except WaitedTooLong as error:
            raise Refused(f"{error}; the agreement says: {_find(realm, server, host).update_status}") from error
        found = _find(realm, server, host)
    ended = shown_time(found.update_ended)
    realm.say(f"ipa: INFO: Replication Update in progress: FALSE: status: {found.update_status}: end: {ended}")


def shown_time(generalized: str) -> str:
    """A time of the directory as FreeIPA prints it."""
    try:
        when = datetime.strptime(generalized, "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return generalized or "None"
    return when.isoformat(sep=" ")


def _find(realm: Realm, server: Directory, host: str) -> Agreement:
    return next(one for one in agreements.agreements(server, realm.suffix) if one.host == host)


def _agreement_to(realm: Realm, server: Directory, source: str, host: str) -> str:
    dn = realm.suffix.agreement_dn(host)
    if not server.exists(dn):
        raise Refused(f"'{source}' has no replication agreement for '{host}'")
    return dn


def _need_replica(realm: Realm, server: Directory, host: str) -> None:
    if not replicates(server, realm.suffix):
        raise Refused(f"'{host}' does not replicate {realm.suffix.dn}")


def _not_the_last(realm: Realm, server: Directory, host: str, *, force: bool) -> None:
    if not force and len(agreements.agreements(server, realm.suffix)) < 2:
        raise Refused(
            f"Cannot remove the last replication link of '{host}'\n"
            "Please use the 'del' command to remove it from the domain"
        )
