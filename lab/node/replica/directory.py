"""The replica's directory server: its instance, and the master's data in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lab.node import services
from lab.node.component import Install, Step
from lab.node.facts import RealmFacts
from lab.node.files import write_file
from lab.node.install import trust
from lab.node.install.certmonger import NICKNAME, request_certificate, switch_tls_on
from lab.node.install.directory import DirectoryServer
from lab.node.install.external import import_certificate, remember_certificate
from lab.node.install.kerberos import DIRECTORY_KEYTAB
from lab.node.install.plugins import configure_indexes, configure_plugins, enable_managed_entries
from lab.node.install.replication import let_admins_replicate
from lab.node.install.tree import add_master, add_principals
from lab.node.ldapi import Directory, directory
from lab.node.replica.agreements import InitialisationFailed, connect, connect_and_initialise, restart_agreement
from lab.node.replica.joining import Joining, reserve_numbers, take_share_of_ids
from lab.node.replica.suffixes import Suffix, add_replica, reread_managers
from lab.node.run import run

RESERVED = 3
MAPPINGS = "cn=mapping,cn=sasl,cn=config"
# A ticket's principal arrives with its realm or without.
_PEER_MAPPINGS = (
    ("Peer Master", r"\(.*\)@\(.*\)", r"(cn=\1@\2)"),
    ("Peer Master Name", r"^[^:@]+$", "(cn=&@REALM)"),
)


class ReplicaDirectory(DirectoryServer):
    """The instance with TLS on and all plug-ins, still empty: all restarts come before replication makes them slow."""

    def __init__(self, joining: Joining) -> None:
        self.joining = joining

    def configure(self, install: Install) -> None:
        facts = install.facts
        install.run_steps(
            self.title,
            [
                *self._creation(install),
                ("adding default schema", lambda: self._add_schema(install)),
                ("adding the directory's keytab", self._keytab),
                ("trusting the realm's authorities", lambda: trust.trust_here(self.joining.info.secrets.authorities)),
                ("starting directory server", lambda: services.start(facts.dirsrv_unit)),
                ("creating indices", lambda: _local(facts, lambda server: configure_indexes(server, facts))),
                ("enabling plug-ins with a share of the master's ids", lambda: self._plug_in(facts)),
                ("giving the directory a certificate", lambda: self._certificate(install)),
                ("configuring TLS for DS instance", lambda: switch_tls_on(facts.directory, NICKNAME)),
                ("restarting directory server", lambda: services.restart(facts.dirsrv_unit)),
            ],
        )

    def _keytab(self) -> None:
        keys = self.joining.info.keytabs["ldap"]
        write_file(DIRECTORY_KEYTAB, keys, mode=0o600, owner="dirsrv", group="dirsrv")

    def _plug_in(self, facts: RealmFacts) -> None:
        with self.joining.master() as master:
            first, last = take_share_of_ids(master)
        with directory(facts.ldapi_uri) as server:
            configure_plugins(server, facts, first_id=first - RESERVED, id_range=last - first + RESERVED + 1)
            enable_managed_entries(server, facts)
            if self.joining.info.secrets.manager_hash:
                server.replace("cn=config", {"nsslapd-rootpw": self.joining.info.secrets.manager_hash})

    def _certificate(self, install: Install) -> None:
        facts = install.facts
        if install.certificates:
            import_certificate(facts, install.certificates, NICKNAME)
            return
        database, pins = str(facts.instance_config), str(facts.instance_config / "pwdfile.txt")
        authority = ["-n", f"{facts.realm} IPA CA", "-t", "CT,C,C", "-a", "-i", "/etc/ipa/ca.crt"]
        run(["certutil", "-A", "-d", database, "-f", pins, *authority])
        request_certificate(facts, "ldap", ["-d", database, "-n", NICKNAME, "-p", pins])


class Initialisation:
    """The master's data, and the master's changes from now on."""

    name = "initialisation"
    title = "replication from the master"

    def __init__(self, joining: Joining) -> None:
        self.joining = joining
        self._numbers: dict[Suffix, int] = {}

    def configure(self, install: Install) -> None:
        facts, peer = install.facts, self.joining.info.master
        steps: list[Step] = [
            ("listing this host among the masters", lambda: self._announce(facts)),
            ("letting the master in until its entry is here", lambda: _local(facts, self._admit)),
        ]
        for suffix in self.joining.suffixes:
            steps += [
                (f"becoming a replica of {suffix.dn}", partial(self._receive, facts, suffix)),
                (f"initializing {suffix.dn} from {peer}", partial(self._initialise, facts, suffix)),
            ]
        steps.append(("letting masters in by their own entries", lambda: self._settle(install)))
        install.run_steps(self.title, steps)

    def unconfigure(self, install: Install) -> None:
        """It goes with the instance."""

    def _announce(self, facts: RealmFacts) -> None:
        with self.joining.master() as master:
            add_principals(master, facts)
            add_master(master, facts, with_authority=self.joining.with_authority)
            numbers = reserve_numbers(master, facts, len(self.joining.suffixes))
            self._numbers = dict(zip(self.joining.suffixes, numbers, strict=True))
            for suffix in self.joining.suffixes:
                reread_managers(master, facts, suffix)

    def _admit(self, server: Directory) -> None:
        """The master binds by its ticket, but what it maps to is still to come: an entry of cn=config stands in."""
        server.add_if_missing(self._stand_in, {"objectClass": ["top", "person"], "cn": self._peer, "sn": "master"})
        for name, pattern, filter_ in _PEER_MAPPINGS:
            server.add_if_missing(
                f"cn={name},{MAPPINGS}",
                {
                    "objectClass": ["top", "nsSaslMapping"],
                    "cn": name,
                    "nsSaslMapRegexString": pattern,
                    "nsSaslMapBaseDNTemplate": "cn=config",
                    "nsSaslMapFilterTemplate": filter_.replace("REALM", self.joining.facts.realm),
                    "nsSaslMapPriority": 1,
                },
            )

    def _receive(self, facts: RealmFacts, suffix: Suffix) -> None:
        with directory(facts.ldapi_uri) as server:
            add_replica(server, facts, suffix, self._numbers[suffix])
            server.ensure_values(suffix.replica_dn, "nsDS5ReplicaBindDN", self._stand_in)

    def _initialise(self, facts: RealmFacts, suffix: Suffix) -> None:
        with self.joining.master() as master:
            try:
                connect_and_initialise(master, suffix, facts.host)
            except InitialisationFailed as error:
                raise InitialisationFailed(
                    f"{self.joining.info.master} cannot initialize {suffix.dn}: {error}"
                ) from error

    def _settle(self, install: Install) -> None:
        facts = install.facts
        with directory(facts.ldapi_uri) as server:
            for suffix in self.joining.suffixes:
                server.remove_values(suffix.replica_dn, "nsDS5ReplicaBindDN", self._stand_in)
                reread_managers(server, facts, suffix)
            for name, _, _ in _PEER_MAPPINGS:
                server.delete(f"cn={name},{MAPPINGS}")
            server.delete(self._stand_in)
            let_admins_replicate(server, facts)
            # The plug-in looks for definitions when it starts, which was before there were any, and at each change.
            server.replace(
                f"cn=UPG Definition,cn=Definitions,cn=Managed Entries,cn=etc,{facts.basedn}", {"cn": "UPG Definition"}
            )
        with self.joining.master() as master:
            for suffix in self.joining.suffixes:
                restart_agreement(master, suffix.agreement_dn(facts.host))
        if install.certificates:
            remember_certificate(facts, "ldap", install.certificates.directory.certificate)

    @property
    def _peer(self) -> str:
        return f"ldap/{self.joining.info.master}@{self.joining.info.realm}"

    @property
    def _stand_in(self) -> str:
        return f"cn={self._peer},cn=config"


class BackAgreements:
    """This host's changes reach the master; begun when this host's own KDC gives tickets."""

    name = "agreements"
    title = "replication to the master"

    def __init__(self, joining: Joining) -> None:
        self.joining = joining

    def configure(self, install: Install) -> None:
        steps: list[Step] = [
            (f"supplying {self.joining.info.master} with {suffix.dn}", partial(self._connect, install.facts, suffix))
            for suffix in self.joining.suffixes
        ]
        install.run_steps(self.title, steps)

    def unconfigure(self, install: Install) -> None:
        """It goes with the instance."""

    def _connect(self, facts: RealmFacts, suffix: Suffix) -> None:
        with directory(facts.ldapi_uri) as server:
            connect(server, suffix, self.joining.info.master)


def _local(facts: RealmFacts, deed: Callable[[Directory], object]) -> None:
    with directory(facts.ldapi_uri) as server:
        deed(server)
