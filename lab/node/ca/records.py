"""Certificate records below ou=certificateRepository,ou=ca,o=ipaca, with Dogtag's attributes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timezone

import ldap
from cryptography import x509

from lab.node.ca.authority import Revocation, der
from lab.node.ca.layout import REPOSITORY
from lab.node.ldapi import Directory, escape_filter

GENERALIZED = "%Y%m%d%H%M%SZ"
CERTIFICATE = "userCertificate;binary"


class NoSuchCertificate(Exception):
    """No record has that serial number."""


class RecordsRefused(Exception):
    """The directory does not accept the authority's account."""


class SerialsExhausted(Exception):
    """The range of serial numbers that this authority may give out is used up."""


class AlreadyRevoked(Exception):
    """It was revoked before, and not merely put on hold."""


@dataclass(frozen=True)
class Record:
    """A certificate that was issued. `status` is VALID or REVOKED; `reason` is RFC 5280's number."""

    serial: int
    certificate: x509.Certificate
    status: str
    profile: str
    issued_by: str
    revoked_on: datetime | None = None
    reason: int | None = None


def serial_value(serial: int) -> str:
    """Dogtag's sortable form: two digits of length before the number, so 10 sorts after 9."""
    return f"{len(str(serial)):02d}{serial}"


def generalized(when: datetime) -> str:
    return when.astimezone(timezone.utc).strftime(GENERALIZED)


def from_generalized(text: str) -> datetime:
    return datetime.strptime(text, GENERALIZED).replace(tzinfo=timezone.utc)


class Repository:
    """The records. `connect` opens a connection for each operation: a restarted directory does no harm."""

    def __init__(
        self, connect: Callable[[], AbstractContextManager[Directory]], first: int = 1, last: int = 0xFFFFFFF
    ) -> None:
        self._connect = connect
        self._first, self._last = first, last
        self._lock = threading.Lock()

    def add(self, make: Callable[[int], x509.Certificate], profile: str, issued_by: str, now: datetime) -> Record:
        """Record what `make(serial)` makes under the next free number.

        Raises SerialsExhausted. Another number is taken when somebody else was faster.
        """
        with self._lock, self._connect() as directory:
            serial = self._highest(directory) + 1
            while serial <= self._last:
                certificate = make(serial)
                if directory.add_if_missing(
                    f"cn={serial},{REPOSITORY}", _attributes(certificate, profile, issued_by, now)
                ):
                    return Record(serial, certificate, "VALID", profile, issued_by)
                serial += 1
        raise SerialsExhausted(f"no serial number left up to {self._last:#x}")

    def get(self, serial: int) -> Record:
        """Raises NoSuchCertificate."""
        with self._connect() as directory:
            entry = directory.get(f"cn={serial},{REPOSITORY}")
        if entry is None:
            raise NoSuchCertificate(f"Certificate serial number {serial:#x} not found")
        return _record(entry)

    def search(self, subject: str = "", status: str = "") -> list[Record]:
        """All records, or those whose subject contains a text or which have a status, by serial number."""
        terms = ["(objectClass=certificateRecord)"]
        if subject:
            terms.append(f"(subjectName=*{escape_filter(subject)}*)")
        if status:
            terms.append(f"(certStatus={escape_filter(status)})")
        with self._connect() as directory:
            found = directory.search(REPOSITORY, f"(&{''.join(terms)})", scope=ldap.SCOPE_ONELEVEL)
        return sorted((_record(entry) for _, entry in found), key=lambda record: record.serial)

    def revoke(self, serial: int, reason: int, by: str, now: datetime) -> Record:
        """Raises NoSuchCertificate, AlreadyRevoked (unless it was only on hold)."""
        record = self.get(serial)
        if record.status == "REVOKED" and record.reason != 6:
            raise AlreadyRevoked(f"Certificate serial number {serial:#x} has already been revoked.")
        with self._connect() as directory:
            directory.replace(
                f"cn={serial},{REPOSITORY}",
                {
                    "certStatus": "REVOKED",
                    "revokedOn": generalized(now),
                    "revokedBy": by,
                    "revInfo": f"{generalized(now)};CRLReasonExtension={reason}",
                    "dateOfModify": generalized(now),
                },
            )
        return self.get(serial)

    def release(self, serial: int, now: datetime) -> Record:
        """Take a certificate off hold. Raises NoSuchCertificate, AlreadyRevoked when it was not on hold."""
        record = self.get(serial)
        if record.status != "REVOKED" or record.reason != 6:
            raise AlreadyRevoked(f"Certificate serial number {serial:#x} is not on hold.")
        with self._connect() as directory:
            directory.replace(
                f"cn={serial},{REPOSITORY}",
                {
                    "certStatus": "VALID",
                    "revokedOn": [],
                    "revokedBy": [],
                    "revInfo": [],
                    "dateOfModify": generalized(now),
                },
            )
        return self.get(serial)

    def revocations(self) -> list[Revocation]:
        """What a revocation list has to say."""
        return [
            Revocation(record.serial, record.revoked_on, record.reason or 0)
            for record in self.search(status="REVOKED")
            if record.revoked_on is not None
        ]

    def _highest(self, directory: Directory) -> int:
        found = directory.search(REPOSITORY, "(objectClass=certificateRecord)", ["cn"], scope=ldap.SCOPE_ONELEVEL)
        taken = [int(entry["cn"][0]) for _, entry in found]
        return max((n for n in taken if self._first <= n <= self._last), default=self._first - 1)


def _attributes(
    certificate: x509.Certificate, profile: str, issued_by: str, now: datetime
) -> dict[str, str | bytes | list[str]]:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    algorithm = certificate.signature_algorithm_oid.dotted_string
    return {
        "objectClass": ["top", "certificateRecord"],
        "serialno": serial_value(certificate.serial_number),
        "subjectName": certificate.subject.rfc4514_string(),
        "issuerName": certificate.issuer.rfc4514_string(),
        "notBefore": generalized(begin),
        "notAfter": generalized(end),
        "duration": serial_value(int((end - begin).total_seconds() * 1000)),
        CERTIFICATE: der(certificate),
        "version": "2",
        "signingAlgorithmId": algorithm,
        "metaInfo": f"profileId:{profile}",
        "certStatus": "VALID",
        "autoRenew": "ENABLED",
        "issuedBy": issued_by,
        "dateOfCreate": generalized(now),
        "dateOfModify": generalized(now),
    }


def _record(entry: Mapping[str, list[bytes]]) -> Record:
    def text(name: str) -> str:
        return entry[name][0].decode() if name in entry else ""

    meta = dict(line.decode().split(":", 1) for line in entry.get("metaInfo", []))
    revoked = text("revInfo")
    return Record(
        serial=int(text("cn")),
        certificate=x509.load_der_x509_certificate(entry[CERTIFICATE][0]),
        status=text("certStatus"),
        profile=meta.get("profileId", ""),
        issued_by=text("issuedBy"),
        revoked_on=from_generalized(text("revokedOn")) if "revokedOn" in entry else None,
        reason=int(revoked.rpartition("=")[2]) if revoked else None,
    )
