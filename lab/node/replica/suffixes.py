"""The replicated suffixes: their entries below cn=config, and the numbers that tell their masters apart.

Names, settings and excluded attributes are those of FreeIPA 4.13 (its agreements and replica entries).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.node.facts import RealmFacts
from lab.node.ldapi import Directory

CA_SUFFIX = "o=ipaca"
# The first master's; the directory hands out those of the others.
DOMAIN_REPLICA_ID = 4
CA_REPLICA_ID = 96
MANAGERS_CHECK_SECONDS = 60
# The entry of the database that keeps its update vector.
TOMBSTONE = "(&(objectClass=nsTombstone)(nsUniqueId=ffffffff-ffffffff-ffffffff-ffffffff))"
MAPPING_TREE = "cn=mapping tree,cn=config"


@dataclass(frozen=True)
class Suffix:
    """A suffix that masters replicate; `prefix` begins the names of its agreements."""

    dn: str
    prefix: str

    @property
    def replica_dn(self) -> str:
        """The entry that makes this server a replica of the suffix."""
        escaped = self.dn.replace("=", r"\3D").replace(",", r"\2C")
        return f"cn=replica,cn={escaped},{MAPPING_TREE}"

    def agreement_name(self, host: str) -> str:
        return f"{self.prefix}{host}"

    def agreement_dn(self, host: str) -> str:
        """The agreement by which this server supplies `host`."""
        return f"cn={self.agreement_name(host)},{self.replica_dn}"


def domain_suffix(facts: RealmFacts) -> Suffix:
    return Suffix(facts.basedn, "meTo")


AUTHORITY_SUFFIX = Suffix(CA_SUFFIX, "caTo")


def managers_dn(facts: RealmFacts) -> str:
    """The group whose members may replicate to every master: the masters' directory servers."""
    return f"cn=replication managers,cn=sysaccounts,cn=etc,{facts.basedn}"


def add_replica(server: Directory, facts: RealmFacts, suffix: Suffix, number: int) -> None:
    """Make this server a replica (a master, with a changelog) of the suffix under this number."""
    server.add_if_missing(
        suffix.replica_dn,
        {
            "objectClass": ["top", "nsds5replica", "extensibleobject"],
            "cn": "replica",
            "nsDS5ReplicaRoot": suffix.dn,
            "nsDS5ReplicaId": number,
            "nsDS5ReplicaType": 3,
            "nsDS5Flags": 1,
            "nsDS5ReplicaBindDN": "cn=replication manager,cn=config",
            "nsDS5ReplicaBindDNGroup": managers_dn(facts),
            "nsDS5ReplicaBindDnGroupCheckInterval": MANAGERS_CHECK_SECONDS,
            "nsds5ReplicaReleaseTimeout": 60,
            # Masters that boot together find each other's KDC a moment later: after 1 second, not after 3.
            "nsds5ReplicaBackoffMin": 1,
            "nsds5ReplicaBackoffMax": 300,
        },
    )


def reread_managers(server: Directory, facts: RealmFacts, suffix: Suffix) -> None:
    """Have the server look into the group of managers now and not only when its interval is over."""
    server.replace(suffix.replica_dn, {"nsDS5ReplicaBindDNGroup": managers_dn(facts)})


def replicates(server: Directory, suffix: Suffix) -> bool:
    """Whether this server is a replica of the suffix."""
    return server.exists(suffix.replica_dn)


def update_vector(values: list[bytes]) -> dict[int, str]:
    """The newest change number of each replica that an update vector (nsds50ruv) knows; "" where there is none yet.

    Change numbers of one replica compare as text does.
    """
    found = (re.match(rb"\{replica (\d+)[^}]*\}(?: [0-9a-f]+ ([0-9a-f]+))?", value) for value in values)
    return {int(match[1]): (match[2] or b"").decode() for match in found if match}


def lacking(have: dict[int, str], wanted: dict[int, str]) -> dict[int, str]:
    """What of one update vector another one does not reach."""
    return {number: change for number, change in wanted.items() if change > have.get(number, "")}


def read_update_vector(server: Directory, suffix: Suffix) -> dict[int, str]:
    """The update vector in a server's database; empty when it has none."""
    found = server.search(suffix.dn, TOMBSTONE, ["nsds50ruv"])
    return update_vector([value for _, entry in found for value in entry.get("nsds50ruv", [])])


def next_number(counter: int, used: set[int]) -> int:
    """The number for a new replica: the counter's, or the next one that nobody ever had.

    The counter alone is not enough: it goes back when data of a backup is restored.
    """
    while counter in used or counter in (DOMAIN_REPLICA_ID, CA_REPLICA_ID):
        counter += 1
    return counter
