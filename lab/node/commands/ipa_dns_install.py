"""ipa-dns-install: give a server that was installed without DNS its zones and named."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.node.ca.layout import place_of
from lab.node.commands.words import dns_words
from lab.node.component import Install
from lab.node.facts import InstallOptions, NotConfigured, read_facts
from lab.node.install import checks
from lab.node.install.checks import Refused
from lab.node.install.dns import RESOLV_CONF, Dns
from lab.node.install.log import log_to
from lab.node.ldapi import directory
from lab.node.version import BANNER

LOG = Path("/var/log/ipaserver-dns-install.log")
NOT_CONFIGURED = 4
log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(
        prog="ipa-dns-install", description="Add DNS to an IPA server.", parents=[dns_words(zonemgr=True)]
    )
    words.add_argument("--version", action="version", version=BANNER)
    words.add_argument("-U", "--unattended", action="store_true", help="never ask for anything")
    words.add_argument("-d", "--debug", action="store_true", help="show what goes into the log")
    words.add_argument("-p", "--ds-password", default="", metavar="DM_PASSWORD", help="not needed any more")
    words.add_argument("--ip-address", action="append", default=[], metavar="IP", help="this server's address")
    words.add_argument("--log-file", type=Path, default=LOG, metavar="FILE", help="log to this file")
    return words


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit status: 0 done, 1 failed or refused, 2 wrong usage, 4 no server here."""
    words = parser()
    given = words.parse_args(argv)
    if given.forwarder and (given.no_forwarders or given.auto_forwarders):
        words.error("You cannot specify a --forwarder option together with --no-forwarders or --auto-forwarders")
    if not (given.forwarder or given.no_forwarders or given.auto_forwarders):
        if given.unattended:
            words.error("You must specify at least one of --forwarder, --auto-forwarders, or --no-forwarders options")
        given.forwarder = _ask_forwarders()
    try:
        checks.require_root("run ipa-dns-install")
        for address in (*given.forwarder, *given.ip_address):
            _check_address(address)
        facts = read_facts()
        with directory(facts.ldapi_uri) as server:
            if server.exists(f"cn=DNS,{facts.master_dn}"):
                raise Refused("DNS is already configured on this IPA server.")
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return refusal.status
    except NotConfigured:
        print("IPA is not configured on this system.", file=sys.stderr)
        return NOT_CONFIGURED
    log_to(given.log_file, verbose=given.debug)
    options = InstallOptions(
        realm=facts.realm,
        domain=facts.domain,
        hostname=facts.host,
        ip_addresses=tuple(given.ip_address),
        setup_dns=True,
        forwarders=tuple(given.forwarder),
        no_forwarders=given.no_forwarders,
        auto_forwarders=given.auto_forwarders,
        reverse_zones=tuple(given.reverse_zone),
        no_reverse=given.no_reverse,
        zonemgr=given.zonemgr,
        ca_less=not place_of(facts.dogtag_version).config.exists(),
        unattended=given.unattended,
    )
    print(f"\nThe log file for this installation can be found in {given.log_file}")
    try:
        Dns().configure(Install(facts, options))
    except Exception as error:
        log.exception("the installation failed")
        print(error, file=sys.stderr)
        print(f"The ipa-dns-install command failed. See {given.log_file} for more information.", file=sys.stderr)
        return 1
    print("=" * 78)
    print("Setup complete\n")
    print(f"{RESOLV_CONF} points to this host now.")
    print("The ipa-dns-install command was successful")
    return 0


def _ask_forwarders() -> list[str]:
    given: list[str] = []
    while True:
        answer = input("Enter an IP address for a DNS forwarder, or press Enter to skip: ").strip()
        if not answer:
            return given
        given.append(answer)


def _check_address(address: str) -> None:
    """Raises Refused."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise Refused(f"{address} is not an IP address") from None
