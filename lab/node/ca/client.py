"""Asking the authority: used by the API, by certmonger's helper and by the installer."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

from lab.node.ca.layout import HTTPS_PORT

AGENT_CERTIFICATE = Path("/var/lib/ipa/ra-agent.pem")
AGENT_KEY = Path("/var/lib/ipa/ra-agent.key")
CA_CERTIFICATE = Path("/etc/ipa/ca.crt")

Json = dict[str, Any]


class AuthorityUnreachable(Exception):
    """The authority does not answer, or this host has no agent's certificate that TLS accepts."""


class AuthorityRefused(Exception):
    """It answered, and refused; `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class AuthorityClient:
    """An agent's way to the authority on `host`. Methods raise AuthorityUnreachable, AuthorityRefused."""

    def __init__(
        self,
        host: str,
        certificate: Path = AGENT_CERTIFICATE,
        key: Path = AGENT_KEY,
        ca: Path = CA_CERTIFICATE,
        limit: float = 30,
    ) -> None:
        self.host, self.certificate, self.key, self.ca, self.limit = host, certificate, key, ca, limit

    def request(self, csr: str, profile: str) -> Json:
        """Have a request (PEM) signed; the record of the new certificate."""
        return self._call("POST", "/ca/rest/agent/certrequests", {"csr": csr, "profile": profile})

    def show(self, serial: int) -> Json:
        return self._call("GET", f"/ca/rest/certs/{serial}")

    def search(self, subject: str = "", status: str = "") -> list[Json]:
        criteria = {name: text for name, text in (("subject", subject), ("status", status)) if text}
        found: list[Json] = self._call("POST", "/ca/rest/certs/search", criteria)["entries"]
        return found

    def revoke(self, serial: int, reason: int) -> Json:
        return self._call("POST", f"/ca/rest/agent/certs/{serial}/revoke", {"reason": reason})

    def release(self, serial: int) -> Json:
        return self._call("POST", f"/ca/rest/agent/certs/{serial}/unrevoke", {})

    def _call(self, method: str, path: str, body: Json | None = None) -> Json:
        connection: http.client.HTTPSConnection | None = None
        try:
            context = ssl.create_default_context(cafile=str(self.ca))
            context.load_cert_chain(self.certificate, self.key)
            connection = http.client.HTTPSConnection(self.host, HTTPS_PORT, context=context, timeout=self.limit)
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            found = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AuthorityUnreachable(
                f"cannot connect to 'https://{self.host}:{HTTPS_PORT}{path}': {error}"
            ) from error
        finally:
            if connection is not None:
                connection.close()
        if response.status != 200:
            raise AuthorityRefused(str(found.get("Message", response.reason)), response.status)
        if not isinstance(found, dict):
            raise AuthorityUnreachable(f"{path} answered something else than a JSON object")
        return found
