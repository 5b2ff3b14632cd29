"""ipa-replica-install: make a replica of this host, from a replica file or with an administrator's credentials."""

from __future__ import annotations

import argparse
import getpass
import logging
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.node.commands.words import certificate_words, certificates_for, check_certificates, check_dns, dns_words
from lab.node.install import checks
from lab.node.install.checks import Refused
from lab.node.install.log import log_to
from lab.node.replica.enter import Entry, enter
from lab.node.sysrestore import Sysrestore
from lab.node.version import BANNER, VERSION

LOG = Path("/var/log/ipareplica-install.log")
INTERRUPTED = 130
log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(
        prog="ipa-replica-install",
        description="Make a replica of this host: from REPLICA_FILE, or with an administrator's credentials.",
        parents=[dns_words(zonemgr=False), certificate_words("(without a file)")],
    )
    words.add_argument("file", nargs="?", metavar="REPLICA_FILE", help="what ipa-replica-prepare made for this host")
    words.add_argument("--version", action="version", version=BANNER)
    words.add_argument("-U", "--unattended", action="store_true", help="never ask for anything")
    words.add_argument("-d", "--debug", action="store_true", help="show what goes into the log")
    words.add_argument("-p", "--password", default="", metavar="PASSWORD", help="Directory Manager password")
    words.add_argument("-w", "--admin-password", default="", metavar="PASSWORD", help="admin's password")
    words.add_argument("-P", "--principal", default="admin", metavar="USER", help="the administrator (admin)")
    words.add_argument("--server", default="", metavar="HOST", help="the master to replicate (without a file)")
    words.add_argument("-n", "--domain", default="", metavar="DOMAIN", help="the realm's domain (without a file)")
    words.add_argument("-r", "--realm", default="", metavar="REALM", help="the realm (without a file)")
    words.add_argument("--hostname", default="", metavar="HOST", help="fully qualified name of this host")
    words.add_argument("--setup-ca", action="store_true", help="configure a certificate authority here as well")
    words.add_argument("--setup-dns", action="store_true", help="configure BIND with the realm's zones")
    words.add_argument("--skip-conncheck", action="store_true", help="do not check connections to and from the master")
    words.add_argument("--ip-address", action="append", default=[], metavar="IP", help="this host's address")
    words.add_argument(
        "--dirsrv-config-file", default="", metavar="FILE", help="LDIF of changes of the new instance's dse.ldif"
    )
    words.add_argument("-N", "--no-ntp", action="store_true", help="do not configure a time client")
    return words


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status: 0 done, 1 failed or refused, 2 wrong usage, 3 an agreement exists already."""
    words = parser()
    given = words.parse_args(argv)
    check_dns(words, given)
    check_certificates(words, given)
    if given.setup_dns and not (given.forwarder or given.no_forwarders or given.auto_forwarders):
        words.error("You must specify at least one of --forwarder, --auto-forwarders, or --no-forwarders options")
    if given.file and (given.server or given.realm):
        words.error("A replica file names the master and the realm: leave --server and --realm out")
    if not given.file and not (given.server and given.domain):
        words.error("Give a replica file, or --server and --domain with an administrator's password")
    try:
        checks.require_root("run ipa-replica-install")
        checks.require_not_installed(Sysrestore())
        log_to(LOG, verbose=given.debug)
        log.debug("ipa-replica-install %s on %s", VERSION, platform.node())
        enter(_entry(given), ask_secret=getpass.getpass, ask=input, say=_say)
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return refusal.status
    except EOFError:
        print("\nNobody answers; with -U, -p and -w nothing is asked.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nThe command was interrupted; ipa-server-install --uninstall removes what it left.", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        log.exception("the installation failed")
        # Some errors, a directory's that did not answer in time for one, have no words of their own.
        print(str(error) or f"{type(error).__module__}.{type(error).__name__}", file=sys.stderr)
        print(
            f"The ipa-replica-install command failed. See {LOG} for more information.\n"
            "ipa-server-install --uninstall removes what it left.",
            file=sys.stderr,
        )
        return 1
    _say("The ipa-replica-install command was successful")
    return 0


def _entry(given: argparse.Namespace) -> Entry:
    hostname = given.hostname or platform.node()
    return Entry(
        file=Path(given.file) if given.file else None,
        dm_password=given.password,
        principal=given.principal,
        admin_password=given.admin_password,
        server=given.server,
        domain=given.domain,
        realm=given.realm or given.domain.upper(),
        hostname=hostname,
        setup_ca=given.setup_ca,
        setup_dns=given.setup_dns,
        skip_conncheck=given.skip_conncheck,
        ip_addresses=tuple(checks.check_address(text) for text in given.ip_address),
        forwarders=tuple(given.forwarder),
        no_forwarders=given.no_forwarders,
        auto_forwarders=given.auto_forwarders,
        reverse_zones=tuple(given.reverse_zone),
        no_reverse=given.no_reverse,
        dirsrv_config_file=given.dirsrv_config_file,
        unattended=given.unattended,
        certificates=certificates_for(hostname, given),
    )


def _say(text: str) -> None:
    print(text, flush=True)
