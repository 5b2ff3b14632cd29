"""The authority over HTTP: Dogtag's paths, JSON bodies. Agents show a client certificate over TLS."""

from __future__ import annotations

import json
import logging
import re
import ssl
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import ldap

from lab.node.ca.agents import NotAnAgent
from lab.node.ca.authority import Authority, BadRequest, pem, read_request, utc_now
from lab.node.ca.profiles import DEFAULT_PROFILE, UnknownProfile, profile_named
from lab.node.ca.records import (
    AlreadyRevoked,
    NoSuchCertificate,
    Record,
    RecordsRefused,
    Repository,
    SerialsExhausted,
    generalized,
)

log = logging.getLogger(__name__)
audit = logging.getLogger("audit")

CERTIFICATE_PATH = re.compile(r"/ca/rest/(agent/)?certs/(\d+|0x[0-9a-fA-F]+)(/revoke|/unrevoke)?")
LARGEST_BODY = 256 * 1024
Json = dict[str, Any]
Answer = tuple[HTTPStatus, str, bytes]

REFUSALS: tuple[tuple[type[Exception], HTTPStatus], ...] = (
    (NotAnAgent, HTTPStatus.FORBIDDEN),
    (NoSuchCertificate, HTTPStatus.NOT_FOUND),
    (UnknownProfile, HTTPStatus.NOT_FOUND),
    (AlreadyRevoked, HTTPStatus.CONFLICT),
    (BadRequest, HTTPStatus.BAD_REQUEST),
    (ValueError, HTTPStatus.BAD_REQUEST),
    (SerialsExhausted, HTTPStatus.SERVICE_UNAVAILABLE),
    (RecordsRefused, HTTPStatus.SERVICE_UNAVAILABLE),
    (ldap.LDAPError, HTTPStatus.SERVICE_UNAVAILABLE),
)


def record_json(record: Record) -> Json:
    """A record as it goes over the wire; times in generalized form."""
    certificate = record.certificate
    return {
        "id": record.serial,
        "status": record.status,
        "profile": record.profile,
        "issuedBy": record.issued_by,
        "revokedOn": generalized(record.revoked_on) if record.revoked_on else None,
        "revocationReason": record.reason,
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "pem": pem(certificate).decode(),
    }


class Operations:
    """What can be asked of the authority; the transport is somebody else's concern."""

    def __init__(self, authority: Authority, repository: Repository, agent: Callable[[bytes | None], str]):
        self.authority, self.repository, self.agent = authority, repository, agent

    def status(self) -> Json:
        """Answers only while the records can be read: a clock that stands still is not running."""
        self.repository.get(self.authority.certificate.serial_number)
        return {"Response": {"State": "1", "Type": "CA", "Status": "running"}}

    def show(self, serial: int) -> Json:
        return record_json(self.repository.get(serial))

    def search(self, criteria: Json) -> Json:
        found = self.repository.search(str(criteria.get("subject", "")), str(criteria.get("status", "")))
        return {"total": len(found), "entries": [record_json(record) for record in found]}

    def request(self, shown: bytes | None, body: Json) -> Json:
        agent = self.agent(shown)
        profile = profile_named(str(body.get("profile", DEFAULT_PROFILE)))
        request = read_request(str(body.get("csr", "")))
        now = utc_now()
        record = self.repository.add(
            lambda serial: self.authority.issue(request, serial, profile, now), profile.name, agent, now
        )
        audit.info(
            "[AuditEvent=CERT_REQUEST_PROCESSED][SubjectID=%s][Outcome=Success][Profile=%s][CertSerialNum=%d]",
            agent,
            profile.name,
            record.serial,
        )
        return record_json(record)

    def revoke(self, shown: bytes | None, serial: int, body: Json) -> Json:
        agent = self.agent(shown)
        reason = int(body.get("reason", 0))
        record = self.repository.revoke(serial, reason, agent, utc_now())
        audit.info(
            "[AuditEvent=CERT_STATUS_CHANGE_REQUEST_PROCESSED][SubjectID=%s][Outcome=Success]"
            "[CertSerialNum=%d][RequestType=revoke][RevokeReasonNum=%d]",
            agent,
            serial,
            reason,
        )
        return record_json(record)

    def release(self, shown: bytes | None, serial: int) -> Json:
        agent = self.agent(shown)
        record = self.repository.release(serial, utc_now())
        audit.info(
            "[AuditEvent=CERT_STATUS_CHANGE_REQUEST_PROCESSED][SubjectID=%s][Outcome=Success]"
            "[CertSerialNum=%d][RequestType=off-hold]",
            agent,
            serial,
        )
        return record_json(record)

    def revocation_list(self) -> bytes:
        return self.authority.revocation_list(self.repository.revocations(), utc_now())

    def chain(self) -> bytes:
        return pem(self.authority.certificate)


def answer(operations: Operations, method: str, target: str, body: bytes, shown: bytes | None) -> Answer:
    """One request's answer; a refusal becomes a status and `{"Message": …}`."""
    try:
        return _routed(operations, method, target, body, shown)
    except Exception as error:
        for kind, status in REFUSALS:
            if isinstance(error, kind):
                log.warning("%s %s: %s", method, target, error)
                said = f"the directory does not answer: {error}" if kind is ldap.LDAPError else str(error)
                return _json({"Message": said}, status)
        log.exception("%s %s", method, target)
        return _json({"Message": "internal error"}, HTTPStatus.INTERNAL_SERVER_ERROR)


def _routed(operations: Operations, method: str, target: str, body: bytes, shown: bytes | None) -> Answer:
    parts = urlsplit(target)
    certificate = re.fullmatch(r"/ca/rest/(agent/)?certs/(\d+|0x[0-9a-fA-F]+)(/revoke|/unrevoke)?", parts.path)
    if certificate:
        serial = int(certificate[2], 0)
        if method == "GET" and not certificate[1] and not certificate[3]:
            return _json(operations.show(serial))
        if method == "POST" and certificate[1] and certificate[3] == "/revoke":
            return _json(operations.revoke(shown, serial, _body(body)))
        if method == "POST" and certificate[1] and certificate[3] == "/unrevoke":
            return _json(operations.release(shown, serial))
    plain: dict[tuple[str, str], Callable[[], Answer]] = {
        ("GET", "/ca/admin/ca/getStatus"): lambda: _json(operations.status()),
        ("GET", "/ca/ee/ca/getCertChain"): lambda: (
            HTTPStatus.OK,
            "application/x-pem-file",
            operations.chain(),
        ),
        ("GET", "/ca/ee/ca/getCRL"): lambda: (
            HTTPStatus.OK,
            "application/pkix-crl",
            operations.revocation_list(),
        ),
        ("GET", "/ca/rest/certs"): lambda: _json(
            operations.search({name: values[0] for name, values in parse_qs(parts.query).items()})
        ),
        ("POST", "/ca/rest/certs/search"): lambda: _json(operations.search(_body(body))),
        ("POST", "/ca/rest/agent/certrequests"): lambda: _json(operations.request(shown, _body(body))),
    }
    deed = plain.get((method, parts.path))
    return deed() if deed else _json({"Message": f"no such resource: {parts.path}"}, HTTPStatus.NOT_FOUND)


def _body(data: bytes) -> Json:
    found = json.loads(data or b"{}")
    if not isinstance(found, dict):
        raise ValueError("a JSON object is expected")
    return found


def _json(content: Json, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    return status, "application/json", json.dumps(content).encode()


def handler_for(operations: Operations) -> type[BaseHTTPRequestHandler]:
    """The request handler class that serves these operations."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "Authority"
        sys_version = ""
        timeout = 30

        def setup(self) -> None:
            if isinstance(self.request, ssl.SSLSocket):
                self.request.settimeout(self.timeout)
                self.request.do_handshake()
            super().setup()

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if length > LARGEST_BODY:
                self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                self.close_connection = True
                return
            body = self.rfile.read(length) if length else b""
            shown = self.request.getpeercert(True) if isinstance(self.request, ssl.SSLSocket) else None
            status, kind, content = answer(operations, self.command, self.path, body, shown)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def log_message(self, format: str, *args: object) -> None:
            log.info("%s " + format, self.address_string(), *args)

    return Handler
