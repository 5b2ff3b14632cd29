"""certmonger's helper: takes a signing request to the authority with the agent's certificate.

The protocol is certmonger's (its doc/helpers.txt): the operation in CERTMONGER_OPERATION, the request in
CERTMONGER_CSR, the certificate on standard output, and the outcome as the exit status.
"""

from __future__ import annotations

import os
import sys

from lab.node.ca.client import AuthorityClient, AuthorityRefused, AuthorityUnreachable
from lab.node.ca.profiles import DEFAULT_PROFILE, PROFILES
from lab.node.facts import NotConfigured, read_facts

ISSUED = 0
REJECTED = 2
UNREACHABLE = 3
UNDERCONFIGURED = 4
UNSUPPORTED = 6


def main() -> int:
    operation = os.environ.get("CERTMONGER_OPERATION", "SUBMIT")
    if operation == "IDENTIFY":
        print("IPA (agent)")
        return ISSUED
    if operation == "GET-SUPPORTED-TEMPLATES":
        print("\n".join(PROFILES))
        return ISSUED
    if operation == "GET-DEFAULT-TEMPLATE":
        print(DEFAULT_PROFILE)
        return ISSUED
    if operation not in ("SUBMIT", "POLL"):
        return UNSUPPORTED
    request = os.environ.get("CERTMONGER_CSR", "")
    profile = os.environ.get("CERTMONGER_CA_PROFILE", "") or DEFAULT_PROFILE
    try:
        record = AuthorityClient(read_facts().authority_host).request(request, profile)
    except NotConfigured as error:
        print(error)
        return UNDERCONFIGURED
    except AuthorityUnreachable as error:
        print(error)
        return UNREACHABLE
    except AuthorityRefused as error:
        print(error)
        return UNREACHABLE if error.status >= 500 else REJECTED
    print(record["pem"], end="")
    return ISSUED


if __name__ == "__main__":
    sys.exit(main())
