"""The WSGI application behind /ipa/json: FreeIPA's JSON-RPC, `{"method": …, "params": [[…], {…}], "id": …}`."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import ldap

# The modules register their commands.
from lab.node.api import certificates, groups, hosts, servers, settings, users, zones  # noqa: F401
from lab.node.api.caller import calling, refusal, sweep
from lab.node.api.errors import ApiError, InternalError, MalformedRequest, NoCredentials
from lab.node.api.registry import call
from lab.node.facts import read_facts
from lab.node.version import VERSION

log = logging.getLogger(__name__)
LARGEST_BODY = 1024 * 1024
Environment = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]

if not logging.getLogger().handlers:
    # httpd takes what is written to standard error into its error log.
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="ipa: %(levelname)s: %(message)s")


def application(environ: Environment, start_response: StartResponse) -> Iterable[bytes]:
    """One request. The status is 200 whatever the API answers; its errors stand in the body."""
    principal = str(environ.get("GSS_NAME") or environ.get("REMOTE_USER") or "")
    identity: Any = None
    result: Any = None
    error: ApiError | None = None
    try:
        method, arguments, options, identity = _request(environ)
        result = _answer(environ, principal, method, arguments, options)
        log.info("%s: %s(%s): SUCCESS", principal, method, _loggable(arguments, options))
    except ApiError as refused:
        error = refused
        log.info("%s: %s: %s", principal, refused.name, refused)
    except Exception:
        log.exception("%s: unexpected", principal)
        error = InternalError()
    body = json.dumps(
        {
            "result": result,
            "error": {"code": error.code, "message": str(error), "name": error.name} if error else None,
            "id": identity,
            "principal": principal,
            "version": VERSION,
        }
    ).encode()
    start_response(
        "200 Success", [("Content-Type", "application/json; charset=utf-8"), ("Content-Length", str(len(body)))]
    )
    return [body]


def _request(environ: Environment) -> tuple[str, list[Any], dict[str, Any], Any]:
    """What was asked. Raises MalformedRequest."""
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length > LARGEST_BODY:
            raise MalformedRequest("request is too large")
        asked = json.loads(environ["wsgi.input"].read(length))
        arguments, options = asked["params"]
        if not isinstance(arguments, list) or not isinstance(options, dict):
            raise TypeError("params must be [arguments, options]")
        return str(asked["method"]), arguments, options, asked.get("id")
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedRequest(f"Invalid JSON-RPC request: {error}") from error


def _answer(environ: Environment, principal: str, method: str, arguments: list[Any], options: dict[str, Any]) -> Any:
    ccache = str(environ.get("KRB5CCNAME") or "")
    if not principal or not ccache:
        raise NoCredentials
    sweep(Path(ccache.removeprefix("FILE:")).parent)
    with calling(principal, ccache, read_facts()) as caller:
        try:
            return call(caller, method, arguments, options)
        except ldap.LDAPError as error:
            raise refusal(error) from error


def _loggable(arguments: list[Any], options: dict[str, Any]) -> str:
    """The words of a call without passwords."""
    secret = {"userpassword", "password"}
    words = [repr(word) for word in arguments[:1]]
    return ", ".join(words + [f"{name}={'********' if name in secret else value!r}" for name, value in options.items()])
