"""Making a replica of this host: the order of its parts, and the proof that it replicates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lab.node.component import Component, Install
from lab.node.facts import InstallOptions
from lab.node.install.client import Client, default_conf
from lab.node.install.dns import Dns
from lab.node.install.http import HttpServer
from lab.node.install.keys import KeyKeeper
from lab.node.install.server import make_master
from lab.node.install.server_certificates import GivenCertificates, ServerCertificate
from lab.node.ldapi import directory
from lab.node.replica.authority import Agent, AuthorityClone, ReplicaCertmonger, Tracking
from lab.node.replica.directory import BackAgreements, Initialisation, ReplicaDirectory
from lab.node.replica.info import KeyPair, ReplicaInfo
from lab.node.replica.joining import Joining
from lab.node.replica.kerberos import ReplicaKerberos
from lab.node.replica.records import Records
from lab.node.replica.suffixes import AUTHORITY_SUFFIX
from lab.node.services import wait_for
from lab.node.sysrestore import Sysrestore

ARRIVAL_LIMIT = 60.0


def parts_of(joining: Joining, options: InstallOptions) -> list[Component]:
    """The parts of a replica in the order in which they are made."""
    has_agent = joining.info.secrets.agent is not None
    parts: list[Component] = []
    if has_agent:
        # First, so that the directory's certificate can be requested before the directory replicates.
        parts += [Agent(joining), ReplicaCertmonger()]
    parts += [ReplicaDirectory(joining), Initialisation(joining), ReplicaKerberos(joining), BackAgreements(joining)]
    if joining.with_authority:
        parts.append(AuthorityClone(joining))
    parts += [HttpServer(), KeyKeeper()]
    if has_agent:
        parts.append(Tracking())
    parts.append(Dns() if options.setup_dns else Records(joining))
    parts.append(Client())
    return parts


def install_replica(joining: Joining, options: InstallOptions, address: str, out: Callable[[str], None]) -> None:
    """Make the replica; a failure leaves a half-made one that ipa-server-install --uninstall removes."""
    facts = joining.facts
    # What the shared parts call a server without an authority is one without its own instance of it here.
    options = replace(options, ca_less=not joining.with_authority)
    install = Install(facts, options, Sysrestore(), out, _given(joining.info))
    configuration = default_conf(facts, ca_less=joining.info.secrets.agent is None)
    make_master(install, address, parts_of(joining, options), configuration)
    install.progress("Waiting for the master to have what was written here")
    _wait_arrived(joining)


def _given(info: ReplicaInfo) -> GivenCertificates | None:
    if info.directory_certificate is None or info.web_certificate is None:
        return None
    issuers = tuple(reversed(info.secrets.authorities))

    def server(pair: KeyPair) -> ServerCertificate:
        return ServerCertificate(pair.certificate, pair.key, issuers)

    return GivenCertificates(server(info.directory_certificate), server(info.web_certificate))


def _wait_arrived(joining: Joining) -> None:
    """The last entry that this host has written to each suffix serves as the marker. Raises WaitedTooLong."""
    facts = joining.facts
    with joining.master() as master:
        wait_for(
            f"{joining.info.master} to have this host's services",
            lambda: master.exists(f"cn=HTTP,{facts.master_dn}"),
            ARRIVAL_LIMIT,
        )
        if joining.with_authority:
            marker = _newest_record(facts.ldapi_uri)
            wait_for(f"{joining.info.master} to have {marker}", lambda: master.exists(marker), ARRIVAL_LIMIT)


def _newest_record(ldapi_uri: str) -> str:
    """The record with the highest serial number, which this host's authority has made."""
    with directory(ldapi_uri) as server:
        found = server.search(AUTHORITY_SUFFIX.dn, "(objectClass=certificateRecord)", ["cn"])
    return max(found, key=lambda one: int(one[1]["cn"][0]))[0]
