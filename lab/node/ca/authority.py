"""Signing: certificates and revocation lists, made from the authority's key and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from lab.node.ca.profiles import Profile

CA_LIFETIME = timedelta(days=20 * 365)
CRL_LIFETIME = timedelta(hours=4)
KEY_BITS = 2048
PUBLIC_EXPONENT = 65537
# A clock that is a little behind must not find a new certificate not yet valid.
BACKDATED = timedelta(minutes=1)


class BadRequest(Exception):
    """A certificate signing request that cannot be granted; the message says why."""


@dataclass(frozen=True)
class Revocation:
    """One line of a revocation list. `reason` is RFC 5280's number."""

    serial: int
    when: datetime
    reason: int


REASONS = {
    0: x509.ReasonFlags.unspecified,
    1: x509.ReasonFlags.key_compromise,
    2: x509.ReasonFlags.ca_compromise,
    3: x509.ReasonFlags.affiliation_changed,
    4: x509.ReasonFlags.superseded,
    5: x509.ReasonFlags.cessation_of_operation,
    6: x509.ReasonFlags.certificate_hold,
    8: x509.ReasonFlags.remove_from_crl,
    9: x509.ReasonFlags.privilege_withdrawn,
    10: x509.ReasonFlags.aa_compromise,
}


def new_key(bits: int = KEY_BITS) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=PUBLIC_EXPONENT, key_size=bits)


def name_of(common_name: str, organisation: str) -> x509.Name:
    """The names that FreeIPA uses: CN=…,O=REALM when printed, the organisation first in the encoding."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def new_request(key: rsa.RSAPrivateKey, subject: x509.Name) -> x509.CertificateSigningRequest:
    return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())


def key_pem(key: rsa.RSAPrivateKey, password: str = "") -> bytes:
    """PKCS #8, encrypted when there is a password."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def pem(certificate: x509.Certificate) -> bytes:
    return bytes(certificate.public_bytes(serialization.Encoding.PEM))


def der(certificate: x509.Certificate) -> bytes:
    return bytes(certificate.public_bytes(serialization.Encoding.DER))


def read_request(text: str) -> x509.CertificateSigningRequest:
    """A request in PEM, also without its armour. Raises BadRequest."""
    if "-----BEGIN" not in text:
        text = f"-----BEGIN CERTIFICATE REQUEST-----\n{text.strip()}\n-----END CERTIFICATE REQUEST-----\n"
    try:
        request = x509.load_pem_x509_csr(text.encode())
        intact = request.is_signature_valid
    except ValueError as error:
        raise BadRequest(f"Failure decoding Certificate Signing Request: {error}") from error
    if not intact:
        raise BadRequest("Certificate Signing Request is not signed by its own key")
    return request


def common_name(subject: x509.Name) -> str:
    """The last common name of a subject. Raises BadRequest when it has none."""
    found = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not found:
        raise BadRequest("No Common Name was found in subject of request.")
    return str(found[-1].value)


def dns_names(extensions: x509.Extensions) -> list[str]:
    """The DNS names among the subject's alternative names."""
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return list(names.get_values_for_type(x509.DNSName))


class Authority:
    """The signing certificate with its key."""

    def __init__(self, certificate: x509.Certificate, key: rsa.RSAPrivateKey, realm: str, domain: str) -> None:
        self.certificate = certificate
        self._key = key
        self.realm = realm
        self.domain = domain

    @classmethod
    def create(cls, realm: str, domain: str, now: datetime, bits: int = 3072) -> Authority:
        """A new authority with a self-signed certificate, serial number 1."""
        key = new_key(bits)
        name = name_of("Certificate Authority", realm)
        public = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + CA_LIFETIME)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(public), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(public, critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key, realm, domain)

    @classmethod
    def load(cls, certificate: Path, key: Path, password: str, realm: str, domain: str) -> Authority:
        """From the two files. Raises OSError or ValueError when one is missing or damaged, or they differ."""
        loaded = serialization.load_pem_private_key(key.read_bytes(), password.encode())
        if not isinstance(loaded, rsa.RSAPrivateKey):
            raise ValueError(f"{key} is not an RSA key")
        signing = x509.load_pem_x509_certificate(certificate.read_bytes())
        if signing.public_key() != loaded.public_key():
            raise ValueError(f"{key} is not the key of {certificate}")
        return cls(signing, loaded, realm, domain)

    def key_pem(self, password: str) -> bytes:
        return key_pem(self._key, password)

    @property
    def key(self) -> rsa.RSAPrivateKey:
        return self._key

    def issue(
        self, request: x509.CertificateSigningRequest, serial: int, profile: Profile, now: datetime
    ) -> x509.Certificate:
        """A certificate for the request's key. Raises BadRequest when the profile does not allow it."""
        key = request.public_key()
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < KEY_BITS:
            raise BadRequest(f"Key size {key.key_size} is below {KEY_BITS} bits")
        subject = request.subject
        if profile.subject_from_realm:
            subject = name_of(common_name(request.subject), self.realm)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.certificate.subject)
            .public_key(key)
            .serial_number(serial)
            .not_valid_before(now - BACKDATED)
            .not_valid_after(min(now + profile.lifetime, self.certificate.not_valid_after_utc))
            .add_extension(self._authority_key(), critical=False)
            .add_extension(self._information(), critical=False)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(profile.purposes), critical=False)
            .add_extension(self._crl_point(), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )
        names = dns_names(request.extensions)
        if profile.needs_dns_name:
            names = names or [common_name(subject)]
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
            )
        return builder.sign(self._key, hashes.SHA256())

    def revocation_list(self, revoked: Iterable[Revocation], now: datetime) -> bytes:
        """A DER list of what is revoked, numbered by its time in seconds."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now)
            .next_update(now + CRL_LIFETIME)
            .add_extension(x509.CRLNumber(int(now.timestamp())), critical=False)
            .add_extension(self._authority_key(), critical=False)
        )
        for one in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(one.serial).revocation_date(one.when)
            reason = REASONS.get(one.reason, x509.ReasonFlags.unspecified)
            if reason is not x509.ReasonFlags.unspecified:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    def _authority_key(self) -> x509.AuthorityKeyIdentifier:
        own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)

    def _information(self) -> x509.AuthorityInformationAccess:
        place = x509.UniformResourceIdentifier(f"http://ipa-ca.{self.domain}/ipa/config/ca.crt")
        return x509.AuthorityInformationAccess(
            [x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)]
        )

    def _crl_point(self) -> x509.CRLDistributionPoints:
        place = x509.UniformResourceIdentifier(f"http://ipa-ca.{self.domain}/ipa/crl/MasterCRL.bin")
        return x509.CRLDistributionPoints([x509.DistributionPoint([place], None, None, None)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=not signs_certificates,
        data_encipherment=not signs_certificates,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def utc_now() -> datetime:
    """The present second, in UTC."""
    return datetime.now(timezone.utc).replace(microsecond=0)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the encoding, in hexadecimal."""
    return hashlib.sha256(der(certificate)).hexdigest()
