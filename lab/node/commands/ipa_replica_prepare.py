"""ipa-replica-prepare: make the file from which one host becomes a replica of this master."""

from __future__ import annotations

import argparse
import getpass
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.node.commands.words import certificate_words, certificates_for, check_certificates
from lab.node.facts import NotConfigured, read_facts
from lab.node.install import checks
from lab.node.install.checks import Refused
from lab.node.install.log import log_to
from lab.node.replica.prepare import check_manager_password, check_replica, prepare_replica
from lab.node.version import BANNER

LOG = Path("/var/log/ipareplica-prepare.log")
log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(
        prog="ipa-replica-prepare",
        description="Make a replica information file, from which HOST becomes a replica of this master.",
        parents=[certificate_words("of the replica")],
    )
    words.add_argument("host", metavar="HOST", help="fully qualified name of the replica, in lower case")
    words.add_argument("--version", action="version", version=BANNER)
    words.add_argument("-p", "--password", default="", metavar="PASSWORD", help="Directory Manager password")
    words.add_argument("--ip-address", action="append", default=[], metavar="IP", help="add A and PTR records for HOST")
    words.add_argument("-d", "--debug", action="store_true", help="show what goes into the log")
    return words


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status: 0 done, 1 failed or refused, 2 wrong usage."""
    words = parser()
    given = words.parse_args(argv)
    check_certificates(words, given)
    try:
        checks.require_root("run ipa-replica-prepare")
        facts = read_facts()
        brought = certificates_for(given.host, given)
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
