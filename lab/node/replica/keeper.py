"""The keeper of a master's keys: `python3 -m lab.node.replica.keeper`, run as root by ipa-custodia.service.

The API runs under an account that can read none of the realm's secrets. It passes on what it was asked, with the
caller's delegated ticket; the keeper itself binds to the directory with that ticket and hands the secrets out only to
members of admins, encrypted to the key that the caller sent. One JSON object a line, question and answer.
"""

from __future__ import annotations

import json
import logging
import os
import pwd
import socket
import struct
import sys
from pathlib import Path
from typing import Any

from lab.node.api.caller import calling
from lab.node.api.errors import ApiError
from lab.node.ca.notify import ready
from lab.node.facts import RealmFacts, read_facts
from lab.node.ldapi import directory
from lab.node.replica.local import read_secrets
from lab.node.replica.sealing import seal

SOCKET = Path("/run/ipa-custodia/socket")
CACHES = Path("/run/ipa/ccaches")
ACCOUNT = "ipaapi"
LIMIT = 15.0
LARGEST = 64 * 1024
log = logging.getLogger("ipa-custodia")


class KeeperRefused(Exception):
    """The keeper does not hand anything out; the message says why."""


def ask(principal: str, ccache: str, public_key: str, path: Path = SOCKET) -> dict[str, str]:
    """The realm's secrets, sealed to the key. Raises KeeperRefused, OSError when no keeper answers."""
    question = {"principal": principal, "ccache": ccache, "public_key": public_key}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(LIMIT)
        connection.connect(str(path))
        connection.sendall(json.dumps(question).encode() + b"\n")
        with connection.makefile("rb") as stream:
            answer = json.loads(stream.readline(16 * LARGEST) or b"{}")
    if "sealed" not in answer:
        raise KeeperRefused(str(answer.get("error", "no answer")))
    return {str(name): str(value) for name, value in answer["sealed"].items()}


def answer(question: dict[str, Any], facts: RealmFacts, caches: Path = CACHES) -> dict[str, Any]:
    """One question's answer. Raises KeeperRefused, and what the directory or the files raise."""
    principal, ccache = str(question.get("principal", "")), str(question.get("ccache", ""))
    place = Path(ccache.removeprefix("FILE:"))
    if place.parent != caches:
        raise KeeperRefused("no ticket of a caller")
    with calling(principal, ccache, facts) as caller:
        if not caller.is_admin():
            raise KeeperRefused(f"{principal} is no administrator")
    with directory(facts.ldapi_uri) as server:
        held = read_secrets(server, facts)
    return {"sealed": seal(held.as_json(), str(question.get("public_key", "")))}


def serve(listener: socket.socket, facts: RealmFacts, account: int) -> None:
    """Answer for ever, one caller at a time."""
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(LIMIT)
            try:
                _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                if uid not in (0, account):
                    raise KeeperRefused(f"uid {uid} may not ask")
                with connection.makefile("rb") as stream:
                    question = json.loads(stream.readline(LARGEST))
                said = answer(question, facts)
                log.info("the realm's secrets were handed to %s", question.get("principal"))
            except (KeeperRefused, ApiError, ValueError) as refused:
                log.warning("refused: %s", refused)
                said = {"error": str(refused)}
            except Exception:
                log.exception("unexpected")
                said = {"error": "internal error"}
            try:
                connection.sendall(json.dumps(said).encode() + b"\n")
            except OSError as error:
                log.warning("the caller went away: %s", error)


def main() -> int:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    account = pwd.getpwnam(ACCOUNT)
    facts = read_facts()
    SOCKET.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(SOCKET))
        os.chown(SOCKET, 0, account.pw_gid)
        SOCKET.chmod(0o660)
        listener.listen(8)
        ready("keys of this master")
        serve(listener, facts, account.pw_uid)
    return 0


if __name__ == "__main__":
    sys.exit(main())
