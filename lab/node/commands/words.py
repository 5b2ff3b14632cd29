"""Options that several installers have, as parents of their parsers, and what is wrong with them together."""

from __future__ import annotations

import argparse

from lab.node.facts import InstallOptions
from lab.node.install.server_certificates import GivenCertificates, given_certificates


def dns_words(*, zonemgr: bool) -> argparse.ArgumentParser:
    """What a server's DNS is to be like; `zonemgr` is for those who create zones."""
    words = argparse.ArgumentParser(add_help=False)
    group = words.add_argument_group("DNS options")
    group.add_argument("--forwarder", action="append", default=[], metavar="IP", help="DNS forwarder")
    group.add_argument("--no-forwarders", action="store_true", help="use the root servers instead")
    group.add_argument("--auto-forwarders", action="store_true", help="use those of /etc/resolv.conf")
    group.add_argument("--reverse-zone", action="append", default=[], metavar="ZONE", help="reverse zone to use")
    group.add_argument("--no-reverse", action="store_true", help="do not create a reverse zone")
    if zonemgr:
        group.add_argument("--zonemgr", default="", metavar="MAIL", help="hostmaster's e-mail address")
    return words


def certificate_words(of: str = "") -> argparse.ArgumentParser:
    """The certificates of a server in a realm without an authority; `of` says whose they are (``"of the replica"``)."""
    words = argparse.ArgumentParser(add_help=False)
    group = words.add_argument_group("SSL certificate options (for a server without a CA)")
    for service, owner in (("dirsrv", "the directory server"), ("http", "the web server")):
        whose = f"{owner} {of}".rstrip()
        group.add_argument(
            f"--{service}-cert-file",
            action="append",
            default=[],
            metavar="FILE",
            help=f"certificate and key of {whose}, PKCS#12 or PEM (more than once)",
        )
        group.add_argument(f"--{service}-pin", metavar="PIN", help=f"the password of the key of {whose}")
    return words


def check_dns(words: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """A usage error when DNS options exclude each other, or are given without ``--setup-dns``."""
    if given.forwarder and given.no_forwarders:
        words.error("You cannot specify a --forwarder option together with --no-forwarders")
    any_given = given.forwarder or given.no_forwarders or given.auto_forwarders or given.reverse_zone
    if any_given and not given.setup_dns:
        words.error("You cannot specify DNS options without the --setup-dns option")


def check_certificates(words: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """A usage error when only one of the two servers would get a certificate."""
    if bool(given.dirsrv_cert_file) != bool(given.http_cert_file):
        words.error("--dirsrv-cert-file and --http-cert-file are required if any key file options are used.")


def certificates_for(hostname: str, given: argparse.Namespace) -> GivenCertificates | None:
    """The certificates that were given for a replica; nothing without any. Raises Refused when they are no good."""
    return given_certificates(
        InstallOptions(
            hostname=hostname,
            ca_less=bool(given.dirsrv_cert_file),
            dirsrv_cert_files=tuple(given.dirsrv_cert_file),
            dirsrv_pin=given.dirsrv_pin,
            http_cert_files=tuple(given.http_cert_file),
            http_pin=given.http_pin,
        )
    )
