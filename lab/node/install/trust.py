"""Making the realm's certificate authorities known: to this host, to clients, and to other masters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509

from lab.node.ca.authority import der, pem
from lab.node.component import Install
from lab.node.facts import IPA_CA_CERT, RealmFacts
from lab.node.files import remove_file, remove_tree, write_file
from lab.node.ldapi import Directory, directory
from lab.node.run import run

TRUSTED = Path("/usr/local/share/ca-certificates/ipa-ca")


def publish(install: Install, authorities: Sequence[x509.Certificate]) -> None:
    """Write the certificates, the root first, where clients, the system and other masters look for them."""
    trust_here(authorities)
    with directory(install.facts.ldapi_uri) as server:
        publish_in_directory(server, install.facts, authorities)


def trust_here(authorities: Sequence[x509.Certificate]) -> None:
    """Write the certificates, the root first, where this host looks for them."""
    write_file(IPA_CA_CERT, b"".join(pem(one) for one in authorities))
    remove_tree(TRUSTED)
    TRUSTED.mkdir(parents=True)
    for number, one in enumerate(authorities):
        # The system's trust store wants one certificate a file.
        write_file(TRUSTED / ("ca.crt" if number == 0 else f"ca-{number}.crt"), pem(one))
    run(["update-ca-certificates"])


def publish_in_directory(server: Directory, facts: RealmFacts, authorities: Sequence[x509.Certificate]) -> None:
    """Where hosts that join look for the certificates."""
    values = [der(one) for one in authorities]
    entry = f"cn=CAcert,cn=ipa,cn=etc,{facts.basedn}"
    server.add_if_missing(
        entry,
        {"objectClass": ["top", "nsContainer", "pkiCA"], "cn": "CAcert", "cACertificate;binary": values},
    )
    server.replace(entry, {"cACertificate;binary": values})


def withdraw() -> None:
    """Take them off this host again."""
    remove_file(IPA_CA_CERT)
    if TRUSTED.is_dir():
        remove_tree(TRUSTED)
        run(["update-ca-certificates", "--fresh"])
