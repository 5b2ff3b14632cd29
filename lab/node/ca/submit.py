"""certmonger's helper: takes a signing request to the authority with the agent's certificate.

The protocol is certmonger's (its doc/helpers.txt): the operation in CERTMONGER_OPERATION, the request in
CERTMONGER_CSR, the certificate on standard output, and the outcome as the exit status.
"""

from __future__ import annotations

import os
import sys

ISSUED = 0
REJECTED = 2
UNREACHABLE = 3
UNDERCONFIGURED = 4
UNSUPPORTED = 6


def main() -> int:
    """Answer: certmonger asks eight questions at each start, most of them cheap as long as nothing is imported."""
    operation = os.environ.get("CERTMONGER_OPERATION", "SUBMIT")
    if operation == "IDENTIFY":
        print("IPA (agent)")
        return ISSUED
    if operation in ("GET-SUPPORTED-TEMPLATES", "GET-DEFAULT-TEMPLATE"):
        return _tell_profiles(only_default=operation == "GET-DEFAULT-TEMPLATE")
    if operation not in ("SUBMIT", "POLL"):
        return UNSUPPORTED
    return _submit(os.environ.get("CERTMONGER_CSR", ""), os.environ.get("CERTMONGER_CA_PROFILE", ""))


def _tell_profiles(*, only_default: bool) -> int:
    from lab.node.ca.profiles import DEFAULT_PROFILE, PROFILES

    print(DEFAULT_PROFILE if only_default else "\n".join(PROFILES))
    return ISSUED


def _submit(request: str, profile: str) -> int:
    from lab.node.ca.client import AuthorityClient, AuthorityRefused, AuthorityUnreachable
    from lab.node.ca.profiles import DEFAULT_PROFILE
    from lab.node.facts import NotConfigured, read_facts

    try:
        record = AuthorityClient(read_facts().authority_host).request(request, profile or DEFAULT_PROFILE)
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
