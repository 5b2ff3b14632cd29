"""Kerberos keys of principals, through kadmind, as the HTTP service of this host.

kadmind's list of rights lets that service change keys. Who may ask for it is decided before, by the directory.
"""

from __future__ import annotations

import os
import secrets
import string
import subprocess

from lab.node.api.errors import Invalid, NetworkTrouble
from lab.node.facts import RealmFacts
from lab.node.kadmin import quoted

KEYTAB = "/var/lib/ipa/gssproxy/http.keytab"
LIMIT = 20
SHORTEST = 8
ALPHABET = string.ascii_letters + string.digits + "_.-+=%"


def random_password(length: int = 22) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def check(password: str) -> None:
    """Raises Invalid for a password that cannot be used."""
    if len(password) < SHORTEST:
        raise Invalid("password", f"Password is too short, at least {SHORTEST} characters are needed")
    if not password.isprintable():
        raise Invalid("password", "Password contains control characters")


def set_keys(facts: RealmFacts, principal: str, password: str) -> None:
    """Give a principal the keys that follow from a password.

    Raises NetworkTrouble when kadmind does not answer or refuses.
    """
    # On standard input: arguments are visible to everybody on the host.
    _kadmin(facts, f"change_password -pw {quoted(password)} {quoted(principal)}\n", "changed", password)


def remove_keys(facts: RealmFacts, principal: str) -> None:
    """Leave a principal without keys. Raises NetworkTrouble when kadmind does not answer or refuses."""
    _kadmin(facts, f"purgekeys -all {quoted(principal)}\n", "All keys", "")


def _kadmin(facts: RealmFacts, command: str, expected: str, secret: str) -> None:
    service = f"HTTP/{facts.host}@{facts.realm}"
    words = ["/usr/bin/kadmin", "-r", facts.realm, "-p", service, "-k", "-t", KEYTAB]
    try:
        done = subprocess.run(
            words,
            input=command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=LIMIT,
            env={**os.environ, "LC_ALL": "C.UTF-8", "KRB5CCNAME": "MEMORY:"},
        )
    except subprocess.TimeoutExpired:
        raise NetworkTrouble(f"kadmin server did not answer within {LIMIT} seconds") from None
    printed = done.stdout + done.stderr
    if secret:
        printed = printed.replace(secret, "********")
    if done.returncode != 0 or expected not in printed:
        raise NetworkTrouble(f"cannot set Kerberos keys: {printed.strip().splitlines()[-1:]}")
