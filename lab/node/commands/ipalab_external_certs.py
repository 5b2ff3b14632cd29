"""ipalab-external-certs: the certificates that a server without an authority of its own is installed with.

The lab's stand-in for somebody else's certificate authority: it runs before ipa-server-install.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.node.external_ca import issue_servers
from lab.node.install.checks import Refused, check_hostname


def main(argv: Sequence[str] | None = None) -> int:
    words = argparse.ArgumentParser(
        prog="ipalab-external-certs",
        description="Write dirsrv.p12 and http.p12 for a host, signed by DIR's authority, which is made if missing.",
    )
    words.add_argument("--hostname", required=True, metavar="FQDN", help="the host that they are for")
    words.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder, with ca.crt and ca.key")
    words.add_argument("--pin", required=True, help="the password that opens them")
    given = words.parse_args(argv)
    try:
        check_hostname(given.hostname)
        for path in issue_servers(given.out, given.hostname, given.pin):
            print(path)
    except (Refused, OSError, ValueError) as error:
        print(f"ipalab-external-certs: {error}", file=sys.stderr)
        return 1
    return 0
