"""What this master has for a replica: read from its own files and directory, so only root can."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509

from lab.node.ca import layout
from lab.node.ca.authority import Authority
from lab.node.ca.client import AGENT_CERTIFICATE, AGENT_KEY
from lab.node.facts import IPA_CA_CERT, RealmFacts
from lab.node.kadmin import new_keytab_entry
from lab.node.ldapi import Directory
from lab.node.replica.info import KeyPair, RealmSecrets

PEM_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
SERVICES = ("host", "ldap", "HTTP")


def has_authority() -> bool:
    """Whether this master runs the certificate authority."""
    return layout.TOMCAT.config.exists()


def read_secrets(server: Directory, facts: RealmFacts) -> RealmSecrets:
    """All that another master needs; without an authority here, nothing of one. Raises OSError, ValueError."""
    authorities = tuple(
        x509.load_pem_x509_certificate(found[0]) for found in PEM_CERTIFICATE.finditer(IPA_CA_CERT.read_bytes())
    )
    config = server.get("cn=config", ["nsslapd-rootpw"]) or {}
    manager_hash = next((value.decode() for value in config.get("nsslapd-rootpw", [])), "")
    agent = _agent() if AGENT_CERTIFICATE.exists() else None
    if not has_authority():
        return RealmSecrets(authorities, agent, manager_hash=manager_hash)
    settings = layout.read_configuration()
    signing = Authority.load(
        layout.TOMCAT.alias / "ca_signing.crt",
        layout.TOMCAT.alias / "ca_signing.key",
        settings.key_password,
        facts.realm,
        facts.domain,
    )
    return RealmSecrets(
        authorities,
        agent,
        signing=KeyPair(signing.certificate, signing.key),
        database_password=settings.bind_password,
        manager_hash=manager_hash,
    )


def _agent() -> KeyPair:
    return KeyPair.from_json({"certificate": AGENT_CERTIFICATE.read_text(), "key": AGENT_KEY.read_text()})


def new_keytabs(realm: str, host: str, services: Sequence[str] = SERVICES) -> dict[str, bytes]:
    """New keys for the principals of a host, which make its older keytabs useless. Raises CommandFailed."""
    keytabs = {}
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        for service in services:
            path = Path(folder) / service
            new_keytab_entry(f"{service}/{host}@{realm}", str(path))
            keytabs[service] = path.read_bytes()
    return keytabs
