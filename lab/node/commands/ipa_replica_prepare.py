"""ipa-replica-prepare: make the file from which one host becomes a replica of this master."""

from __future__ import annotations

import argparse
import getpass
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.node.facts import InstallOptions, NotConfigured, read_facts
from lab.node.install import checks
from lab.node.install.checks import Refused
from lab.node.install.log import log_to
from lab.node.install.server_certificates import given_certificates
from lab.node.replica.prepare import check_manager_password, check_replica, prepare_replica
from lab.node.version import BANNER

LOG = Path("/var/log/ipareplica-prepare.log")
log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(
        prog="ipa-replica-prepare",
        description="Make a replica information file, from which HOST becomes a replica of this master.",
    )
    words.add_argument("host", metavar="HOST", help="fully qualified name of the replica, in lower case")
    words.add_argument("--version", action="version", version=BANNER)
    words.add_argument("-p", "--password", default="", metavar="PASSWORD", help="Directory Manager password")
    words.add_argument("--ip-address", action="append", default=[], metavar="IP", help="add A and PTR records for HOST")
    words.add_argument("-d", "--debug", action="store_true", help="show what goes into the log")
    for service, owner in (("dirsrv", "directory server"), ("http", "web server")):
        words.add_argument(
            f"--{service}-cert-file",
            action="append",
            default=[],
            metavar="FILE",
            help=f"certificate and key of the replica's {owner}, in a realm without an authority",
        )
        words.add_argument(f"--{service}-pin", metavar="PIN", help="the password of that key")
    return words


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status: 0 done, 1 failed or refused, 2 wrong usage."""
    words = parser()
    given = words.parse_args(argv)
    if bool(given.dirsrv_cert_file) != bool(given.http_cert_file):
        words.error("--dirsrv-cert-file and --http-cert-file are required if any key file options are used.")
    try:
        checks.require_root("run ipa-replica-prepare")
        facts = read_facts()
        brought = given_certificates(
            InstallOptions(
                hostname=given.host,
                ca_less=bool(given.dirsrv_cert_file),
                dirsrv_cert_files=tuple(given.dirsrv_cert_file),
                dirsrv_pin=given.dirsrv_pin,
                http_cert_files=tuple(given.http_cert_file),
                http_pin=given.http_pin,
            )
        )
        check_replica(facts, given.host, given.ip_address, brought)
        password = given.password or getpass.getpass("Directory Manager (existing master) password: ")
        check_manager_password(facts, password)
        log_to(LOG, verbose=given.debug)
        prepare_replica(facts, given.host, password, given.ip_address, given=brought, say=_say)
    except (Refused, NotConfigured) as refusal:
        print(refusal, file=sys.stderr)
        return getattr(refusal, "status", 1)
    except Exception as error:
        log.exception("preparing %s failed", given.host)
        print(f"preparation of replica failed: {error}", file=sys.stderr)
        return 1
    return 0


def _say(text: str) -> None:
    print(text, flush=True)
