"""ipa-server-install: make an identity server of this host, or take it away again."""

from __future__ import annotations

import argparse
import logging
import platform
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.node.commands.words import certificate_words, check_certificates, check_dns, dns_words
from lab.node.facts import InstallOptions, NotConfigured
from lab.node.install import checks, questions
from lab.node.install.checks import Refused
from lab.node.install.log import log_to
from lab.node.install.server import UninstallIncomplete, install_server, uninstall_server
from lab.node.install.server_certificates import given_certificates
from lab.node.sysrestore import Sysrestore
from lab.node.version import BANNER, VERSION

INSTALL_LOG = Path("/var/log/ipaserver-install.log")
UNINSTALL_LOG = Path("/var/log/ipaserver-uninstall.log")
INTERRUPTED = 130
log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    """FreeIPA's options, as far as this server has what they switch."""
    words = argparse.ArgumentParser(
        prog="ipa-server-install",
        description="Install and configure an IPA server.",
        parents=[dns_words(zonemgr=True), certificate_words()],
    )
    words.add_argument("--version", action="version", version=BANNER)
    words.add_argument("-U", "--unattended", action="store_true", help="never ask for anything")
    words.add_argument("--uninstall", action="store_true", help="take an existing installation away")
    words.add_argument("-v", "--verbose", action="store_true", help="show what goes into the log")
    words.add_argument("-d", "--debug", action="store_true", help="the same")
    words.add_argument("-q", "--quiet", action="store_true", help="show errors only")
    words.add_argument("--log-file", type=Path, metavar="FILE", help="log to this file")
    basic = words.add_argument_group("Basic options")
    basic.add_argument("-p", "--ds-password", default="", metavar="DM_PASSWORD", help="Directory Manager password")
    basic.add_argument("-a", "--admin-password", default="", metavar="ADMIN_PASSWORD", help="admin's password")
    basic.add_argument("--ip-address", action="append", default=[], metavar="IP", help="this server's address")
    basic.add_argument("-n", "--domain", default="", metavar="DOMAIN_NAME", help="primary DNS domain")
    basic.add_argument("-r", "--realm", default="", metavar="REALM_NAME", help="Kerberos realm name")
    basic.add_argument("--hostname", default="", metavar="HOST_NAME", help="fully qualified name of this host")
    basic.add_argument("--no-host-dns", action="store_true", help="do not look the host name up in DNS")
    server = words.add_argument_group("Server options")
    server.add_argument("--setup-dns", action="store_true", help="configure BIND with our zone")
    server.add_argument("--idstart", type=int, metavar="ID", help="first uid and gid of the realm")
    server.add_argument("-N", "--no-ntp", action="store_true", help="do not configure a time client")
    server.add_argument("--subject-base", default="", metavar="BASE", help="certificate subject base (O=REALM)")
    certificates = words.add_argument_group("More SSL certificate options")
    for service in ("dirsrv", "http"):
        certificates.add_argument(f"--{service}-cert-name", default="", metavar="NAME", help="which of several to take")
    certificates.add_argument(
        "--ca-cert-file", action="append", default=[], metavar="FILE", help="more certificates of their issuers"
    )
    certificates.add_argument("--no-pkinit", action="store_true", help="do not set PKINIT up (it never is)")
    directory = words.add_argument_group("Directory server options")
    directory.add_argument(
        "--dirsrv-config-file", default="", metavar="FILE", help="LDIF of changes of the new instance's dse.ldif"
    )
    # Of the lab, not FreeIPA's: nobody installs a server that is years old, and restores have to cope with them.
    words.add_argument("--layout", choices=("current", "upgraded"), default="current", help=argparse.SUPPRESS)
    return words


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0 done, 1 failed or refused, 2 wrong usage."""
    words = parser()
    given = words.parse_args(argv)
    check_dns(words, given)
    check_certificates(words, given)
    if given.dirsrv_cert_file and not given.no_pkinit:
        words.error("--pkinit-cert-file or --no-pkinit are required if any key file options are used.")
    if given.dirsrv_cert_file and given.layout == "upgraded":
        words.error("--layout=upgraded is about the directory of a CA, which this server would not have")
    try:
        checks.require_root("run ipa-server-install" if not given.uninstall else "uninstall an IPA server")
        return _uninstall(given) if given.uninstall else _install(given)
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return refusal.status
    except EOFError:
        print("\nNobody answers; with -U and -r, -p and -a nothing is asked.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nThe command was interrupted; ipa-server-install --uninstall removes what it left.", file=sys.stderr)
        return INTERRUPTED


def _install(given: argparse.Namespace) -> int:
    checks.require_not_installed(Sysrestore())
    logfile = given.log_file or INSTALL_LOG
    log_to(logfile, verbose=given.verbose or given.debug)
    log.debug("ipa-server-install %s on %s", VERSION, platform.node())
    say = _silence if given.quiet else _say
    say(f"\nThe log file for this installation can be found in {logfile}")
    say("=" * 78)
    say("This program will set up the IPA Server.")
    say(f"Version {VERSION}\n")
    options = InstallOptions(
        realm=given.realm,
        domain=given.domain,
        hostname=given.hostname,
        dm_password=given.ds_password,
        admin_password=given.admin_password,
        ip_addresses=tuple(checks.check_address(text) for text in given.ip_address),
        idstart=given.idstart,
        setup_dns=given.setup_dns,
        forwarders=tuple(given.forwarder),
        no_forwarders=given.no_forwarders,
        auto_forwarders=given.auto_forwarders,
        reverse_zones=tuple(given.reverse_zone),
        no_reverse=given.no_reverse,
        zonemgr=given.zonemgr,
        no_host_dns=given.no_host_dns,
        subject_base=given.subject_base,
        ca_less=bool(given.dirsrv_cert_file),
        dirsrv_cert_files=tuple(given.dirsrv_cert_file),
        dirsrv_pin=given.dirsrv_pin,
        dirsrv_cert_name=given.dirsrv_cert_name,
        http_cert_files=tuple(given.http_cert_file),
        http_pin=given.http_pin,
        http_cert_name=given.http_cert_name,
        ca_cert_files=tuple(given.ca_cert_file),
        dirsrv_config_file=given.dirsrv_config_file,
        upgraded_layout=given.layout == "upgraded",
        no_ntp=given.no_ntp,
        unattended=given.unattended,
    )
    options = questions.complete(options, socket.getfqdn())
    address = checks.host_address(options.hostname, options.ip_addresses)
    certificates = given_certificates(options)
    questions.confirm(options, address)
    try:
        install_server(options, address, say, certificates=certificates)
    except Exception as error:
        log.exception("the installation failed")
        print(error, file=sys.stderr)
        print(
            f"The ipa-server-install command failed. See {logfile} for more information.\n"
            "ipa-server-install --uninstall removes what it left.",
            file=sys.stderr,
        )
        return 1
    say("=" * 78)
    say("Setup complete\n")
    say("Next steps:")
    say("\t1. You can now obtain a kerberos ticket using the command: 'kinit admin'")
    say("\t   This ticket will allow you to use the IPA tools (e.g., ipa user-add).")
    if not options.ca_less:
        say("\nBe sure to back up the CA certificates stored in /root/cacert.p12")
    say("The ipa-server-install command was successful")
    return 0


def _uninstall(given: argparse.Namespace) -> int:
    if not checks.is_installed(Sysrestore()):
        print(
            "\nWARNING:\nIPA server is not configured on this system. If you want to install the\n"
            "IPA server, please install it using 'ipa-server-install'."
        )
        return 0
    if not given.unattended:
        questions.confirm_uninstall()
    logfile = given.log_file or UNINSTALL_LOG
    log_to(logfile, verbose=given.verbose or given.debug)
    try:
        uninstall_server(_silence if given.quiet else _say)
    except (UninstallIncomplete, NotConfigured) as error:
        print(error, file=sys.stderr)
        print(f"The ipa-server-install command failed. See {logfile} for more information.", file=sys.stderr)
        return 1
    print("The ipa-server-install command was successful")
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


def _silence(text: str) -> None:
    del text
