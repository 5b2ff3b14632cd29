"""ipa-client-install: make this host a client of a realm, or a host of its own again."""

from __future__ import annotations

import argparse
import configparser
import getpass
import logging
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.node.facts import DEFAULT_CONF, NotConfigured, RealmFacts, read_facts
from lab.node.install import checks
from lab.node.install.checks import Refused
from lab.node.install.log import log_to
from lab.node.replica.enrol import Enrolment, enrol, unenrol
from lab.node.version import BANNER

LOG = Path("/var/log/ipaclient-install.log")
UNINSTALL_LOG = Path("/var/log/ipaclient-uninstall.log")
log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(prog="ipa-client-install", description="Enroll this host into a realm.")
    words.add_argument("--version", action="version", version=BANNER)
    words.add_argument("-U", "--unattended", action="store_true", help="never ask for anything")
    words.add_argument("--uninstall", action="store_true", help="make this a host of its own again")
    words.add_argument("-d", "--debug", action="store_true", help="show what goes into the log")
    words.add_argument("--domain", default="", metavar="DOMAIN", help="the realm's domain (this host's)")
    words.add_argument("--realm", default="", metavar="REALM", help="the realm (as DNS has it)")
    words.add_argument("--server", action="append", default=[], metavar="HOST", help="a fixed server, instead of DNS")
    words.add_argument("--hostname", default="", metavar="HOST", help="fully qualified name of this host")
    words.add_argument("-p", "--principal", default="admin", metavar="USER", help="who may enroll hosts (admin)")
    words.add_argument("-w", "--password", default="", metavar="PASSWORD", help="that user's password")
    words.add_argument("--force-join", action="store_true", help="also when the host is enrolled already")
    words.add_argument("-N", "--no-ntp", action="store_true", help="do not configure a time client")
    words.add_argument("--mkhomedir", action="store_true", help="accepted; homes are the administrator's matter")
    return words


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status: 0 done, 1 failed or refused, 2 no client here or wrong usage, 3 one already."""
    given = parser().parse_args(argv)
    try:
        checks.require_root("run ipa-client-install")
        log_to(UNINSTALL_LOG if given.uninstall else LOG, verbose=given.debug)
        if given.uninstall:
            unenrol(*_known(), _say)
        else:
            enrol(_enrolment(given), _say)
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return refusal.status
    except KeyboardInterrupt:
        print("\nInterrupted; ipa-client-install --uninstall removes what is left.", file=sys.stderr)
        return 130
    except Exception as error:
        log.exception("ipa-client-install failed")
        print(error, file=sys.stderr)
        print(
            f"The ipa-client-install command failed. See {LOG} for more information.\n"
            "ipa-client-install --uninstall removes what it left.",
            file=sys.stderr,
        )
        return 1
    _say("The ipa-client-install command was successful")
    return 0


def _enrolment(given: argparse.Namespace) -> Enrolment:
    hostname = checks.check_hostname(given.hostname or platform.node())
    password = given.password
    if not password:
        if given.unattended:
            raise Refused("One of password / principal is required: in unattended mode -w has to be given.")
        password = getpass.getpass(f"Password for {given.principal}: ")
    return Enrolment(
        hostname=hostname,
        domain=checks.check_domain(given.domain or hostname.partition(".")[2]),
        realm=given.realm,
        servers=tuple(given.server),
        principal=given.principal,
        password=password,
        force_join=given.force_join,
    )


def _known() -> tuple[RealmFacts | None, str]:
    """The facts of an enrolled host and its server; None when the enrolment did not get that far."""
    try:
        facts = read_facts()
    except NotConfigured:
        return None, ""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(DEFAULT_CONF)
    return facts, settings.get("global", "server", fallback="")


def _say(text: str) -> None:
    print(text, flush=True)
