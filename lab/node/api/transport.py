"""The client's way to the API: HTTPS with the CA's certificate, SPNEGO with the caller's ticket, JSON-RPC."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from pathlib import Path
from typing import Any

CA_CERTIFICATE = Path("/etc/ipa/ca.crt")
PATH = "/ipa/json"
LIMIT = 60.0


class ClientError(Exception):
    """The call could not be made, or was refused. `status` is the exit status that FreeIPA's client has for it."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


NOT_FOUND = 4001


def call(
    host: str, method: str, arguments: list[Any], options: dict[str, Any], *, authorities: Path = CA_CERTIFICATE
) -> dict[str, Any]:
    """Call a command on a server, which `authorities` vouch for; its result. Raises ClientError."""
    url = f"https://{host}{PATH}"
    token = _token(host)
    body = json.dumps({"method": method, "params": [arguments, options], "id": 0})
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Referer": f"https://{host}/ipa",
        "Authorization": "Negotiate " + base64.b64encode(token).decode(),
    }
    try:
        tls = ssl.create_default_context(cafile=str(authorities))
        connection = http.client.HTTPSConnection(host, 443, context=tls, timeout=LIMIT)
        connection.request("POST", PATH, body, headers)
        response = connection.getresponse()
        content = response.read()
    except FileNotFoundError as error:
        raise ClientError(f"cannot connect to '{url}': {authorities} is missing") from error
    except (OSError, http.client.HTTPException) as error:
        why = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error)
        raise ClientError(f"cannot connect to '{url}': {why}") from error
    if response.status == 401:
        raise ClientError(f"cannot connect to '{url}': the server does not accept the Kerberos ticket")
    if response.status != 200:
        raise ClientError(f"cannot connect to '{url}': {response.status} {response.reason}")
    try:
        answer = json.loads(content)
        refused = answer["error"]
        result = answer["result"]
    except (ValueError, KeyError, TypeError) as unreadable:
        raise ClientError(f"cannot connect to '{url}': not an answer of the API") from unreadable
    if refused:
        raise ClientError(str(refused["message"]), 2 if refused["code"] == NOT_FOUND else 1)
    return dict(result)


def _token(host: str) -> bytes:
    """The token for the web server that the caller's ticket gives. Raises ClientError without a usable ticket."""
    # Loaded only here: --help and usage errors should not wait for it.
    import gssapi
    from gssapi.exceptions import GSSError

    kerberos = gssapi.MechType.kerberos
    try:
        mine = gssapi.Credentials(usage="initiate", mechs=[kerberos])
        if not mine.lifetime:
            raise ClientError("Ticket expired")
    except GSSError as error:
        raise ClientError("did not receive Kerberos credentials") from error
    try:
        name = gssapi.Name(f"HTTP@{host}", gssapi.NameType.hostbased_service)
        token = gssapi.SecurityContext(name=name, creds=mine, mech=kerberos, usage="initiate").step()
    except GSSError as error:
        said = error.get_all_statuses(error.min_code, False)[0] if error.min_code else str(error)
        raise ClientError(f"Kerberos error: {said.strip()}") from error
    return bytes(token or b"")
