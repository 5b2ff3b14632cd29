"""A server without an authority of its own: its certificates come from elsewhere, and stay until they are replaced."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

from cryptography import x509

from lab.node import pkcs12, services
from lab.node.ca.authority import der, pem
from lab.node.component import Install
from lab.node.facts import RealmFacts
from lab.node.files import write_file
from lab.node.install import trust
from lab.node.install.certmonger import NICKNAME, switch_tls_on
from lab.node.install.server_certificates import GivenCertificates
from lab.node.ldapi import directory
from lab.node.run import run


class ExternalCertificates:
    """Makes the given authorities trusted and gives the directory its certificate; httpd takes its own."""

    name = "external-certificates"
    title = "directory server (dirsrv)"

    def configure(self, install: Install) -> None:
        facts, given = install.facts, install.certificates
        if given is None:
            raise RuntimeError("a server without an authority needs --dirsrv-cert-file and --http-cert-file")
        nickname = given.directory.name or NICKNAME
        install.run_steps(
            self.title,
            [
                ("publishing the CA certificates", lambda: trust.publish(install, given.authorities)),
                ("importing the directory's certificate", lambda: _import(facts, given, nickname)),
                ("configuring TLS for DS instance", lambda: switch_tls_on(facts.directory, nickname)),
                ("restarting directory server", lambda: services.restart(facts.dirsrv_unit)),
            ],
        )

    def unconfigure(self, install: Install) -> None:
        """The certificate database goes with the instance."""
        trust.withdraw()


def _import(facts: RealmFacts, given: GivenCertificates, nickname: str) -> None:
    import_certificate(facts, given, nickname)
    remember_certificate(facts, "ldap", given.directory.certificate)


def import_certificate(facts: RealmFacts, given: GivenCertificates, nickname: str) -> None:
    """Put the issuers and the certificate with its key into the instance's NSS database."""
    database, pins = str(facts.instance_config), str(facts.instance_config / "pwdfile.txt")
    with tempfile.TemporaryDirectory() as folder:
        for number, authority in enumerate(given.authorities):
            file = Path(folder) / f"{number}.crt"
            file.write_bytes(pem(authority))
            name = authority.subject.rfc4514_string()
            run(["certutil", "-A", "-d", database, "-f", pins, "-n", name, "-t", "CT,C,C", "-a", "-i", str(file)])
        bundle, password = Path(folder) / "server.p12", Path(folder) / "password"
        secret, server = secrets.token_urlsafe(24), given.directory
        write_file(password, secret, mode=0o600)
        write_file(bundle, pkcs12.bundle(server.key, server.certificate, secret, name=nickname), mode=0o600)
        run(["pk12util", "-i", str(bundle), "-w", str(password), "-d", database, "-k", pins])


def remember_certificate(facts: RealmFacts, service: str, certificate: x509.Certificate) -> None:
    """Keep a service's certificate on its entry, where `ipa cert-find` finds it."""
    entry = f"krbprincipalname={service}/{facts.host}@{facts.realm},cn=services,cn=accounts,{facts.basedn}"
    with directory(facts.ldapi_uri) as server:
        server.ensure_values(entry, "userCertificate;binary", der(certificate))
