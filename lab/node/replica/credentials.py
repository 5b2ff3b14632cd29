"""A replica without a file: what it needs, fetched with an administrator's credentials.

Names and trust come from the master's directory; the realm's secrets from its keeper of keys, encrypted to a key that
lives as long as the installation; the host's own keys from its kadmind.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lab.node.api.transport import ClientError, call
from lab.node.ca.authority import new_key, pem
from lab.node.facts import RealmFacts
from lab.node.files import write_file
from lab.node.install.checks import Refused
from lab.node.install.server_certificates import GivenCertificates
from lab.node.install.tree import add_principals
from lab.node.kadmin import quoted
from lab.node.ldapi import Directory
from lab.node.replica.conncheck import foreign_realm, get_ticket
from lab.node.replica.info import KeyPair, RealmSecrets, ReplicaInfo
from lab.node.replica.joining import Joining
from lab.node.replica.local import SERVICES
from lab.node.replica.remote import master_directory
from lab.node.replica.sealing import NotSealed, public_pem, unseal
from lab.node.run import run

ADMIN_SERVICE = "kadmin/admin"


def random_password() -> str:
    return secrets.token_urlsafe(24)


@contextmanager
def with_ticket(place: Path, realm: str, domain: str, master: str) -> Iterator[Directory]:
    """The master's directory, bound with the ticket in `place`; in the block the environment is as it was before."""
    opened = master_directory(master)
    with foreign_realm(place, realm, domain, master):
        server = opened.__enter__()
    try:
        yield server
    finally:
        opened.__exit__(None, None, None)


def fetch_authorities(master: str, domain: str, place: Path) -> Path:
    """The realm's authorities as a file of PEM in `place`. The ticket has proved the master before. Raises Refused."""
    from cryptography import x509

    facts = RealmFacts("", domain, "")
    with master_directory(master) as server:
        entry = server.get(f"cn=CAcert,cn=ipa,cn=etc,{facts.basedn}", ["cACertificate;binary"]) or {}
    held = [x509.load_der_x509_certificate(value) for values in entry.values() for value in values]
    if not held:
        raise Refused(f"{master} publishes no certificate of an authority")
    # The root first, as everywhere.
    held.sort(key=lambda one: one.subject != one.issuer)
    path = place / "ca.crt"
    write_file(path, b"".join(pem(one) for one in held))
    return path


def fetch_info(
    realm: str, domain: str, master: str, host: str, *, authorities: Path, given: GivenCertificates | None
) -> ReplicaInfo:
    """Everything but the host's keys, with the ticket at hand. Raises Refused."""
    key = new_key()
    try:
        said = str(call(master, "ping", [], {}, authorities=authorities)["summary"])
        answer = call(master, "replica_secrets", [master], {"public_key": public_pem(key)}, authorities=authorities)
        held = RealmSecrets.from_json(unseal(answer["result"], key))
    except (ClientError, NotSealed, KeyError, ValueError) as error:
        raise Refused(f"{master} does not hand out what a replica needs: {error}") from error
    version = re.match(r"IPA server version ([^ ]+)\. ", said)
    facts = RealmFacts(realm, domain, host)
    with master_directory(master) as server:
        entry = server.get(f"cn=ipaConfig,cn=etc,{facts.basedn}", ["ipaCertificateSubjectBase"]) or {}
    if held.agent is None and given is None:
        raise Refused("The realm has no CA: give --dirsrv-cert-file and --http-cert-file.")
    return ReplicaInfo(
        realm=realm,
        domain=domain,
        master=master,
        host=host,
        version=version[1] if version else said,
        subject_base=next((values[0].decode() for values in entry.values()), f"O={realm}"),
        secrets=held,
        keytabs={},
        directory_certificate=KeyPair(given.directory.certificate, given.directory.key) if given else None,
        web_certificate=KeyPair(given.web.certificate, given.web.key) if given else None,
    )


def with_keytabs(joining: Joining, place: Path, principal: str, password: str) -> Joining:
    """The same with new keys for this host's principals, which make older ones useless. Raises Refused."""
    facts, master = joining.facts, joining.info.master
    with joining.master() as server:
        add_principals(server, facts)
    keytabs = {}
    with foreign_realm(place, facts.realm, facts.domain, master):
        cache = f"FILE:{place}/kadmin"
        get_ticket(f"{principal}@{facts.realm}", password, service=f"{ADMIN_SERVICE}@{facts.realm}", cache=cache)
        for service in SERVICES:
            path = place / f"{service}.keytab"
            fetch_keytab(f"{service}/{facts.host}@{facts.realm}", facts.realm, cache, path)
            keytabs[service] = path.read_bytes()
    return replace(joining, info=replace(joining.info, keytabs=keytabs))


def fetch_keytab(principal: str, realm: str, cache: str, path: Path) -> None:
    """Have kadmind make new keys and append them to a keytab. Raises Refused with what it said."""
    words = f"ktadd -k {quoted(str(path))} {quoted(principal)}\n"
    done = run(["kadmin", "-r", realm, "-c", cache], input=words, check=False, limit=60)
    if f"Entry for principal {principal}" not in done.stdout:
        raise Refused(f"Failed to get keys of {principal}: {done.stderr.strip() or done.stdout.strip()}")
