"""Making a replica file on a master."""

from __future__ import annotations

import ipaddress
import secrets
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ldap
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lab.node.ca.authority import name_of, new_key, new_request
from lab.node.ca.client import AuthorityClient
from lab.node.ca.profiles import DEFAULT_PROFILE
from lab.node.dns.address import add_pointer
from lab.node.dns.records import absolute
from lab.node.facts import RealmFacts
from lab.node.install import checks
from lab.node.install.checks import Refused
from lab.node.install.server_certificates import GivenCertificates
from lab.node.install.tree import add_principals
from lab.node.ldapi import Directory, directory, escape_dn
from lab.node.replica import local
from lab.node.replica.file import file_for, write_replica_file
from lab.node.replica.info import KeyPair, ReplicaInfo
from lab.node.replica.marks import set_mark
from lab.node.replica.remote import DIRECTORY_MANAGER
from lab.node.version import VERSION


def check_replica(facts: RealmFacts, host: str, addresses: list[str], given: GivenCertificates | None) -> None:
    """Refuse a host that cannot become a replica of this master's realm: name, address, what exists already."""
    checks.check_hostname(host)
    if host == facts.host:
        raise Refused("You can't create a replica on itself")
    for address in addresses:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError as error:
            raise Refused(f"Invalid IP address {address}: {error}") from error
        if parsed.is_loopback or parsed.is_multicast or parsed.is_unspecified:
            raise Refused(f"Invalid IP address {address}: no host is reached by it")
    with directory(facts.ldapi_uri) as server:
        if server.exists(f"cn={host},cn=masters,cn=ipa,cn=etc,{facts.basedn}"):
            raise Refused(f"{host} is a master already. To replace it run first: ipa-replica-manage del {host}")
        if addresses and not server.exists(_zone_dn(facts)):
            raise Refused(f"The realm has no DNS zone {facts.domain}: leave --ip-address out")
        if addresses and not host.endswith(f".{facts.domain}"):
            raise Refused(f"{host} is not in the DNS zone {facts.domain}: leave --ip-address out")
    if not local.has_authority() and given is None:
        raise Refused(
            "This master has no certificate authority: run ipa-replica-prepare on one that has it, or give\n"
            "the replica's certificates with --dirsrv-cert-file and --http-cert-file."
        )


def check_manager_password(facts: RealmFacts, password: str) -> None:
    """Refuse another password than the Directory Manager's."""
    try:
        with directory(facts.ldapi_uri, bind_dn=DIRECTORY_MANAGER, password=password):
            pass
    except ldap.INVALID_CREDENTIALS as error:
        raise Refused("The password provided is incorrect for LDAP server " + facts.host) from error


def prepare_replica(
    facts: RealmFacts,
    host: str,
    password: str,
    addresses: list[str],
    *,
    given: GivenCertificates | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """Write the replica file for `host` and return its path."""
    theirs = replace(facts, hostname=host, ip=None, ca_host="")
    with directory(facts.ldapi_uri) as server:
        say("Determining current realm name")
        say("Getting domain name from LDAP")
        say(f"Preparing replica for {host} from {facts.host}")
        add_principals(server, theirs)
        say("Creating SSL certificate for the Directory Server")
        for_directory = given_pair(given, "directory") or _issue(facts, host)
        say("Creating SSL certificate for the Web Server")
        for_web = given_pair(given, "web") or _issue(facts, host)
        say("Copying additional files")
        held = replace(local.read_secrets(server, facts), manager_hash="")
        mark = str(uuid.UUID(bytes=secrets.token_bytes(16)))
        info = ReplicaInfo(
            realm=facts.realm,
            domain=facts.domain,
            master=facts.host,
            host=host,
            version=VERSION,
            subject_base=_subject_base(server, facts),
            secrets=held,
            keytabs=local.new_keytabs(facts.realm, host),
            mark=mark,
            directory_certificate=for_directory,
            web_certificate=for_web,
        )
        say("Finalizing configuration")
        set_mark(server, facts, host, mark)
        target = file_for(host)
        say(f"Packaging the replica into {target}")
        write_replica_file(info, password, target)
        if addresses:
            say(f"Adding DNS records for {host}")
            _add_address(server, theirs, addresses)
    return target


def given_pair(given: GivenCertificates | None, which: str) -> KeyPair | None:
    """One of the certificates that an administrator brought along."""
    if given is None:
        return None
    chosen = given.directory if which == "directory" else given.web
    return KeyPair(chosen.certificate, chosen.key)


def _issue(facts: RealmFacts, host: str) -> KeyPair:
    key = new_key()
    request = new_request(key, name_of(host, facts.realm)).public_bytes(Encoding.PEM).decode()
    record = AuthorityClient(facts.host).request(request, DEFAULT_PROFILE)
    return KeyPair(x509.load_pem_x509_certificate(record["pem"].encode()), key)


def _subject_base(server: Directory, facts: RealmFacts) -> str:
    entry = server.get(f"cn=ipaConfig,cn=etc,{facts.basedn}", ["ipaCertificateSubjectBase"]) or {}
    values = entry.get("ipaCertificateSubjectBase", [f"O={facts.realm}".encode()])
    return values[0].decode()


def _zone_dn(facts: RealmFacts) -> str:
    return f"idnsName={absolute(facts.domain)},cn=dns,{facts.basedn}"


def _add_address(server: Directory, theirs: RealmFacts, addresses: list[str]) -> None:
    relative = theirs.host.removesuffix(f".{theirs.domain}")
    dn = f"idnsName={escape_dn(relative)},{_zone_dn(theirs)}"
    server.add_if_missing(dn, {"objectClass": ["top", "idnsRecord"], "idnsName": relative})
    for address in addresses:
        attribute = "aRecord" if ipaddress.ip_address(address).version == 4 else "aAAARecord"
        server.ensure_values(dn, attribute, address)
        # A reverse zone that is new is served by this master, as the forward zone is.
        add_pointer(server, theirs, address)
