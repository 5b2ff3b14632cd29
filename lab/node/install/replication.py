"""Replication: this master becomes a supplier of each suffix."""

from __future__ import annotations

from lab.node.component import Install
from lab.node.facts import RealmFacts
from lab.node.ldapi import Directory, directory
from lab.node.replica.suffixes import (
    AUTHORITY_SUFFIX,
    CA_REPLICA_ID,
    DOMAIN_REPLICA_ID,
    MAPPING_TREE,
    add_replica,
    domain_suffix,
    replicates,
)

NUMBERS = "cn=Posix IDs,cn=Distributed Numeric Assignment Plugin,cn=plugins,cn=config"


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
        with directory(facts.ldapi_uri) as connection:
            add_replica(connection, facts, domain_suffix(facts), DOMAIN_REPLICA_ID)
            if not install.options.ca_less:
                with directory(facts.authority_directory.ldapi_uri) as records:
                    add_replica(records, facts, AUTHORITY_SUFFIX, CA_REPLICA_ID)
            let_admins_replicate(connection, facts)


def let_admins_replicate(server: Directory, facts: RealmFacts) -> None:
    """Administrators look after agreements, clean up after masters, and share out numbers, on every master."""
    admins = f"ldap:///cn=admins,cn=groups,cn=accounts,{facts.basedn}"
    allowed = f'allow (all) groupdn = "{admins}";)'
    if replicates(server, AUTHORITY_SUFFIX):
        server.ensure_values(
            AUTHORITY_SUFFIX.dn,
            "aci",
            '(targetattr != "userPassword")(version 3.0; acl "Admins watch replication"; '
            f'allow (read, search, compare) groupdn = "{admins}";)',
        )
    for entry, name in (
        (MAPPING_TREE, "Admins manage replication"),
        ("cn=tasks,cn=config", "Admins start tasks"),
        (NUMBERS, "Admins share out numbers"),
    ):
        server.ensure_values(entry, "aci", f'(targetattr = "*")(version 3.0; acl "{name}"; {allowed}')
