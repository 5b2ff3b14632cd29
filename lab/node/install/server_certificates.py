"""Certificates that an administrator brings along: read, checked, and put in order before anything is touched.

A file is PKCS #12, or PEM with certificates and a key in any order; several files are read as one.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12

from lab.node.ca.authority import pem
from lab.node.facts import InstallOptions
from lab.node.install.checks import Refused
from lab.node.run import run

PEM_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
PEM_KEY = re.compile(rb"-----BEGIN ([A-Z]+ )*PRIVATE KEY-----.*?-----END ([A-Z]+ )*PRIVATE KEY-----", re.DOTALL)
DIRECTORY, WEB = "Directory Server", "Apache Server"


@dataclass(frozen=True)
class ServerCertificate:
    """A server's certificate with its key and its issuers, the root last. `name` is what its file calls it, or ""."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    issuers: tuple[x509.Certificate, ...]
    name: str = ""

    @property
    def root(self) -> x509.Certificate:
        return self.issuers[-1]


@dataclass(frozen=True)
class GivenCertificates:
    """What a server without an authority of its own is installed with."""

    directory: ServerCertificate
    web: ServerCertificate

    @property
    def authorities(self) -> tuple[x509.Certificate, ...]:
        """The issuers of both, the root first, each once."""
        found: list[x509.Certificate] = []
        for certificate in (*reversed(self.directory.issuers), *reversed(self.web.issuers)):
            if certificate not in found:
                found.append(certificate)
        return tuple(found)


@dataclass(frozen=True)
class _Content:
    keys: tuple[rsa.RSAPrivateKey, ...]
    certificates: tuple[x509.Certificate, ...]
    names: dict[bytes, str]


def given_certificates(options: InstallOptions) -> GivenCertificates | None:
    """The certificates that the options name, checked for this host; None when they name none. Raises Refused."""
    if not options.ca_less:
        return None
    pair = GivenCertificates(
        read_server_certificate(
            options.dirsrv_cert_files,
            options.dirsrv_pin or "",
            options.hostname,
            authorities=options.ca_cert_files,
            name=options.dirsrv_cert_name,
        ),
        read_server_certificate(
            options.http_cert_files,
            options.http_pin or "",
            options.hostname,
            authorities=options.ca_cert_files,
            name=options.http_cert_name,
        ),
    )
    if pair.directory.root != pair.web.root:
        raise Refused(f"{WEB} certificate and {DIRECTORY} certificate are not signed by the same CA certificate")
    return pair


def read_server_certificate(
    files: Sequence[str], pin: str, hostname: str, *, authorities: Sequence[str] = (), name: str = ""
) -> ServerCertificate:
    """The server certificate in `files`, whose keys `pin` opens.

    `authorities` are files with more issuers; `name` chooses among several certificates with a key. Raises Refused
    when there is none or more than one, when its chain has a gap, or when it does not serve for `hostname` today.
    """
    shown = ", ".join(files)
    content = _joined([_read(file, pin) for file in files])
    extra = _joined([_read(file, "") for file in authorities])
    owned = [
        (certificate, key, content.names.get(_mark(certificate), ""))
        for certificate in content.certificates
        for key in content.keys
        if certificate.public_key() == key.public_key()
    ]
    if name:
        owned = [one for one in owned if one[2] == name]
        if not owned:
            raise Refused(f"no server certificate with name '{name}' found in {shown}")
    if not content.keys:
        raise Refused(f"no private key found in {shown}")
    if not owned:
        raise Refused(f"no server certificates found in {shown}")
    if len(owned) > 1:
        raise Refused(f"{len(owned)} server certificates found in {shown}, expecting only one")
    certificate, key, found_name = owned[0]
    issuers = _chain(certificate, (*content.certificates, *extra.certificates))
    if not issuers:
        raise Refused(f"The full certificate chain is not present in {', '.join([*files, *authorities])}")
    _verify(certificate, issuers, hostname, shown)
    return ServerCertificate(certificate, key, issuers, found_name)


def _read(file: str, pin: str) -> _Content:
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise Refused(f"Failed to open {file}: {error.strerror}") from error
    return _read_pem(file, data, pin) if b"-----BEGIN " in data else _read_pkcs12(file, data, pin)


def _read_pem(file: str, data: bytes, pin: str) -> _Content:
    keys = []
    try:
        certificates = tuple(x509.load_pem_x509_certificate(found[0]) for found in PEM_CERTIFICATE.finditer(data))
        for found in PEM_KEY.finditer(data):
            encrypted = b"ENCRYPTED" in found[0]
            keys.append(_rsa(file, load_pem_private_key(found[0], pin.encode() if encrypted else None)))
    except (ValueError, TypeError) as error:
        raise Refused(f"Failed to load {file}: {error}") from error
    return _Content(tuple(keys), certificates, {})


def _read_pkcs12(file: str, data: bytes, pin: str) -> _Content:
    try:
        bundle = pkcs12.load_pkcs12(data, pin.encode())
    except ValueError as error:
        # The library does not tell a wrong password from damage.
        raise Refused(f"incorrect password for pkcs#12 file {file}, or it is damaged: {error}") from error
    held = [bundle.cert] if bundle.cert else []
    held += bundle.additional_certs
    names = {_mark(one.certificate): one.friendly_name.decode() for one in held if one.friendly_name}
    keys = (_rsa(file, bundle.key),) if bundle.key else ()
    return _Content(keys, tuple(one.certificate for one in held), names)


def _rsa(file: str, key: object) -> rsa.RSAPrivateKey:
    if not isinstance(key, rsa.RSAPrivateKey):
        raise Refused(f"The private key in {file} is not an RSA key")
    return key


def _joined(contents: Iterable[_Content]) -> _Content:
    many = list(contents)
    names: dict[bytes, str] = {}
    for content in many:
        names |= content.names
    # The same certificate in two files is one certificate.
    certificates = dict.fromkeys(certificate for content in many for certificate in content.certificates)
    return _Content(tuple(key for content in many for key in content.keys), tuple(certificates), names)


def _mark(certificate: x509.Certificate) -> bytes:
    return certificate.tbs_certificate_bytes


def _issued(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _chain(certificate: x509.Certificate, candidates: Iterable[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """Its issuers up to a self-signed one; empty when one of them is missing."""
    known = list(candidates)
    chain: list[x509.Certificate] = []
    last = certificate
    while not _issued(last, last):
        following = [one for one in known if one not in chain and one != certificate and _issued(last, one)]
        if not following:
            return ()
        last = following[0]
        chain.append(last)
    return tuple(chain)


def _verify(certificate: x509.Certificate, issuers: Sequence[x509.Certificate], hostname: str, shown: str) -> None:
    """Have openssl judge it as a client would: dates, purpose, constraints of the issuers, and the host's name."""
    with tempfile.TemporaryDirectory() as folder:
        files = {"root": [issuers[-1]], "issuers": issuers, "server": [certificate]}
        for name, held in files.items():
            (Path(folder) / name).write_bytes(b"".join(pem(one) for one in held))
        words = ["-CAfile", f"{folder}/root", "-untrusted", f"{folder}/issuers", "-purpose", "sslserver"]
        # Only the given root: not what the system happens to trust.
        words += ["-no-CApath", "-no-CAstore", "-verify_hostname", hostname, f"{folder}/server"]
        done = run(["openssl", "verify", *words], check=False)
    if done.status != 0:
        said = re.search(r"error \d+ at .* lookup: ?(.*)", done.stderr)
        why = said[1].strip() if said else done.stderr.strip()
        raise Refused(f"The server certificate in {shown} is not valid for {hostname}: {why}")
