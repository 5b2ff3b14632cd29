"""What is refused before anything is touched."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from pathlib import Path

from lab.node.facts import DEFAULT_CONF
from lab.node.run import run
from lab.node.sysrestore import Sysrestore

MIN_PASSWORD = 8
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class Refused(Exception):
    """The command cannot go on; nothing was changed. `status` is its exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def require_root(command: str, status: int = 1) -> None:
    if os.geteuid() != 0:
        raise Refused(f"You must be root to {command}.", status)


def is_installed(sysrestore: Sysrestore) -> bool:
    """Whether this host has a server, whole or half."""
    return DEFAULT_CONF.exists() or not sysrestore.is_empty()


def require_not_installed(sysrestore: Sysrestore) -> None:
    if is_installed(sysrestore):
        raise Refused(
            "IPA server is already configured on this system.\n"
            "If you want to reinstall the IPA server, please uninstall it first using "
            "'ipa-server-install --uninstall'."
        )


def check_domain(name: str) -> str:
    """The domain name, or Refused with the reason why it is none."""
    if name != name.lower():
        raise Refused(f"Invalid domain name {name}: only lower-case letters are allowed.")
    _check_labels("domain", name, 2)
    return name


def check_realm(name: str) -> str:
    """The realm name, or Refused with the reason why it is none."""
    if name != name.upper():
        raise Refused(f"Invalid realm name {name}: the realm name has to be upper-case.")
    _check_labels("realm", name.lower(), 1)
    return name


def check_hostname(name: str) -> str:
    """The host's fully qualified name, or Refused with the reason why it is none."""
    if name.startswith("localhost"):
        raise Refused(f"Invalid hostname '{name}', must be fully-qualified and not localhost.")
    if name != name.lower():
        raise Refused(f"Invalid hostname '{name}', must be lower-case.")
    if name.count(".") < 2:
        raise Refused(f"Invalid hostname '{name}', must be fully-qualified.")
    _check_labels("host", name, 3)
    return name


def check_password(who: str, password: str) -> str:
    """The password, or Refused."""
    if len(password) < MIN_PASSWORD:
        raise Refused(f"{who} password must be at least {MIN_PASSWORD} characters long")
    if any(ord(character) < 32 or ord(character) > 126 for character in password):
        raise Refused(f"{who} password must be ASCII, without control characters")
    if password != password.strip():
        raise Refused(f"{who} password must not start or end with white space")
    return password


def check_address(text: str) -> str:
    """An address of an interface of this host in its normal form, or Refused."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise Refused(f"invalid IP address {text}: {error}", 2) from error
    if address.is_loopback or address.is_multicast or address.is_unspecified:
        raise Refused(f"invalid IP address {text}: cannot use a loopback, multicast or unspecified address", 2)
    if str(address) not in local_addresses():
        raise Refused(f"invalid IP address {text}: no network interface has it")
    return str(address)


def local_addresses() -> list[str]:
    """Global addresses of this host's interfaces."""
    shown = run(["ip", "-o", "address", "show", "scope", "global"]).stdout
    return re.findall(r"inet6? ([0-9a-f.:]+)/", shown)


def host_address(hostname: str, wanted: tuple[str, ...]) -> str:
    """The address under which this host is known: the one asked for, else what its name resolves to, else its first."""
    if wanted:
        return wanted[0]
    mine = local_addresses()
    try:
        resolved = [str(info[4][0]) for info in socket.getaddrinfo(hostname, None, proto=socket.IPPROTO_TCP)]
    except socket.gaierror:
        resolved = []
    for address in resolved:
        if address in mine:
            return address
    if not mine:
        raise Refused("No network interface of this host has a usable IP address")
    return mine[0]


def resolves_here(hostname: str, address: str, hosts: Path = Path("/etc/hosts")) -> bool:
    """Whether /etc/hosts gives this address for this name."""
    for line in hosts.read_text().splitlines():
        words = line.split("#", 1)[0].split()
        if words and words[0] == address and hostname in words[1:]:
            return True
    return False


def _check_labels(what: str, name: str, at_least: int) -> None:
    labels = name.rstrip(".").split(".")
    if len(labels) < at_least:
        raise Refused(f"Invalid {what} name '{name}': it needs at least {at_least} parts")
    for label in labels:
        if not LABEL.fullmatch(label):
            raise Refused(
                f"Invalid {what} name '{name}': only letters, numbers, and '-' are allowed, "
                f"and a part may not start or end with '-': '{label}'"
            )
