"""An authority outside of the realm, for servers that have none: one folder with its key and what it has issued."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from lab.node import pkcs12
from lab.node.ca.authority import BACKDATED, key_pem, name_of, new_key, pem, utc_now
from lab.node.files import write_file

ORGANISATION = "Example Test"
CA_NAME = "Reference Root CA"
LIFETIME = timedelta(days=3650)
#: What `issue_servers` makes, by the service that it is for.
BUNDLES = {"dirsrv": "dirsrv.p12", "http": "http.p12"}


@dataclass(frozen=True)
class ExternalAuthority:
    """The signing certificate and its key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    def issue(self, hostname: str, *, lifetime: timedelta = LIFETIME) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
        """A certificate for a TLS server of that name, with a new key."""
        key = new_key()
        builder = _builder(name_of(hostname, ORGANISATION), self.certificate.subject, key.public_key(), lifetime)
        own = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        certificate = (
            builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(hostname)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return certificate, key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey, lifetime: timedelta
) -> x509.CertificateBuilder:
    begin: datetime = utc_now() - BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def new_authority(name: str = CA_NAME, issuer: ExternalAuthority | None = None) -> ExternalAuthority:
    """A new root, or an authority below `issuer`."""
    key = new_key()
    subject = name_of(name, ORGANISATION)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(subject, issuer.certificate.subject if issuer else subject, key.public_key(), LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(issuer.key if issuer else key, hashes.SHA256())
    )
    return ExternalAuthority(certificate, key)


def open_authority(folder: Path) -> ExternalAuthority:
    """The authority of the folder, made now when it has none: ca.crt and ca.key."""
    certificate, key = folder / "ca.crt", folder / "ca.key"
    if not key.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = new_authority()
        write_file(certificate, pem(made.certificate))
        write_file(key, key_pem(made.key), mode=0o600)
        return made
    loaded = load_pem_private_key(key.read_bytes(), None)
    if not isinstance(loaded, rsa.RSAPrivateKey):
        raise ValueError(f"{key} is not an RSA key")
    return ExternalAuthority(x509.load_pem_x509_certificate(certificate.read_bytes()), loaded)


def bundle(
    authority: ExternalAuthority, hostname: str, pin: str, *, lifetime: timedelta = LIFETIME, name: str = "Server-Cert"
) -> bytes:
    """PKCS #12 with a new server certificate, its key and its issuer."""
    certificate, key = authority.issue(hostname, lifetime=lifetime)
    return pkcs12.bundle(key, certificate, pin, name=name, issuers=[authority.certificate])


def issue_servers(folder: Path, hostname: str, pin: str) -> list[Path]:
    """Write what ipa-server-install wants to be given into the folder; their paths."""
    authority = open_authority(folder)
    written = []
    for service, file in BUNDLES.items():
        name = "Server-Cert" if service == "dirsrv" else "HTTP-Cert"
        write_file(folder / file, bundle(authority, hostname, pin, name=name), mode=0o600)
        written.append(folder / file)
    return written
