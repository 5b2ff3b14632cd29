"""Replication: this master becomes a supplier of each suffix."""

from __future__ import annotations

from lab.node.component import Install
from lab.node.ldapi import directory

CA_SUFFIX = "o=ipaca"
# Replica ids have to differ between all masters of a suffix: the directory hands them out from this one on.
DOMAIN_REPLICA_ID = 4
CA_REPLICA_ID = 96


class Replication:
    """Exports carry state from now on, and other masters can join later.

    It comes last because each stop of a replicating directory waits about three seconds a suffix.
    """

    name = "replication"
    title = "replication"

    def configure(self, install: Install) -> None:
        install.run_steps(self.title, [("creating replication state", lambda: self._replicate(install))])

    def unconfigure(self, install: Install) -> None:
        """It goes with the instance."""

    @staticmethod
    def _replicate(install: Install) -> None:
        facts = install.facts
        managers = f"cn=replication managers,cn=sysaccounts,cn=etc,{facts.basedn}"
        replicas = [(facts.basedn, DOMAIN_REPLICA_ID)]
        if not install.options.ca_less:
            replicas.append((CA_SUFFIX, CA_REPLICA_ID))
        with directory(facts.ldapi_uri) as connection:
            for suffix, replica_id in replicas:
                escaped = suffix.replace("=", r"\3D").replace(",", r"\2C")
                connection.add_if_missing(
                    f"cn=replica,cn={escaped},cn=mapping tree,cn=config",
                    {
                        "objectClass": ["top", "nsds5replica", "extensibleobject"],
                        "cn": "replica",
                        "nsDS5ReplicaRoot": suffix,
                        "nsDS5ReplicaId": replica_id,
                        "nsDS5ReplicaType": 3,
                        "nsDS5Flags": 1,
                        "nsDS5ReplicaBindDN": "cn=replication manager,cn=config",
                        "nsDS5ReplicaBindDNGroup": managers,
                        "nsDS5ReplicaBindDnGroupCheckInterval": 60,
                        "nsds5ReplicaReleaseTimeout": 60,
                        "nsds5ReplicaBackoffMax": 300,
                    },
                )
