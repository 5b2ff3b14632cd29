"""Who may use the authority: agents, known by the certificate they show."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager

import ldap
from cryptography import x509

from lab.node.ca.authority import der
from lab.node.ca.layout import AGENTS, PEOPLE
from lab.node.ldapi import Directory, escape_filter

AGENT = f"uid=ipara,{PEOPLE}"


class NotAnAgent(Exception):
    """The caller shows no certificate, or one that belongs to no agent."""


def description_of(certificate: x509.Certificate) -> str:
    """How Dogtag writes down whose certificate a user has: version, serial number, issuer, subject."""
    issuer, subject = certificate.issuer.rfc4514_string(), certificate.subject.rfc4514_string()
    return f"2;{certificate.serial_number};{issuer};{subject}"


def set_agent(server: Directory, certificate: x509.Certificate) -> None:
    """Make this the certificate of the agent that acts for the realm's API."""
    server.replace(AGENT, {"description": description_of(certificate), "userCertificate;binary": der(certificate)})


def agent_of(shown: bytes | None, connect: Callable[[], AbstractContextManager[Directory]]) -> str:
    """The uid of the agent who shows this certificate (DER). Raises NotAnAgent."""
    if not shown:
        raise NotAnAgent("a client certificate is needed")
    certificate = x509.load_der_x509_certificate(shown)
    by_description = f"(description={escape_filter(description_of(certificate))})"
    with connect() as directory:
        found = directory.search(PEOPLE, by_description, scope=ldap.SCOPE_ONELEVEL)
        for dn, entry in found:
            if der(certificate) not in entry.get("userCertificate;binary", entry.get("userCertificate", [])):
                continue
            group = directory.get(AGENTS, ["uniqueMember"]) or {}
            if dn.lower() in (member.decode().lower() for member in group.get("uniqueMember", [])):
                return entry["uid"][0].decode()
    mark = hashlib.sha256(shown).hexdigest()[:16]
    raise NotAnAgent(f"certificate {certificate.subject.rfc4514_string()} ({mark}) belongs to no agent")
