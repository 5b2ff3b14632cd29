"""What is asked when the command line did not say it."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import replace

from lab.node.facts import InstallOptions
from lab.node.install import checks, dse
from lab.node.install.checks import Refused

Ask = Callable[[str], str]


def complete(
    options: InstallOptions, default_hostname: str, *, ask: Ask = input, ask_secret: Ask = getpass.getpass
) -> InstallOptions:
    """The options with every hole filled: by questions, or unattended by defaults; what has none is
    Refused.
    """
    if options.unattended:
        return _unattended(options, default_hostname)
    hostname = options.hostname
    if not hostname:
        print("Enter the fully qualified domain name of the computer\non which you're setting up server software.")
        hostname = _asked(ask, "Server host name", default_hostname)
    checks.check_hostname(hostname)
    setup_dns = options.setup_dns or _yes(ask, "Do you want to configure integrated DNS (BIND)?", default=False)
    domain = options.domain or _asked(
        ask, "Please confirm the domain name", hostname.split(".", 1)[1], checks.check_domain
    )
    realm = options.realm or _asked(ask, "Please provide a realm name", domain.upper(), checks.check_realm)
    options = replace(options, hostname=hostname, setup_dns=setup_dns, domain=domain, realm=realm)
    if not options.dm_password:
        print(
            "Certain directory server operations require an administrative user.\n"
            "This user is referred to as the Directory Manager."
        )
        options = replace(options, dm_password=_new_password(ask_secret, "Directory Manager"))
    if not options.admin_password:
        print("The IPA server requires an administrative user, named 'admin'.")
        options = replace(options, admin_password=_new_password(ask_secret, "IPA admin"))
    if options.dirsrv_cert_files and options.dirsrv_pin is None:
        options = replace(options, dirsrv_pin=ask_secret("Enter Directory Server private key unlock password: "))
    if options.http_cert_files and options.http_pin is None:
        options = replace(options, http_pin=ask_secret("Enter Apache Server private key unlock password: "))
    if setup_dns and not (options.forwarders or options.no_forwarders or options.auto_forwarders):
        options = _ask_forwarders(options, ask)
    check(options)
    return options


def confirm(options: InstallOptions, address: str, *, ask: Ask = input) -> None:
    """Show what will be made and go on only at a yes."""
    print("\nThe IPA Master Server will be configured with:")
    print(f"Hostname:       {options.hostname}")
    print(f"IP address(es): {address}")
    print(f"Domain name:    {options.domain}")
    print(f"Realm name:     {options.realm}\n")
    if not options.unattended and not _yes(ask, "Continue to configure the system with these values?", default=False):
        raise Refused("Installation aborted")


def confirm_uninstall(*, ask: Ask = input) -> None:
    """Go on only at a yes."""
    print("\nThis is a NON REVERSIBLE operation and will delete all data and configuration!")
    print("It is highly recommended to take a backup of existing data and configuration with ipa-backup first.\n")
    if not _yes(ask, "Are you sure you want to continue with the uninstall procedure?", default=False):
        raise Refused("Aborting uninstall operation.")


def check(options: InstallOptions) -> None:
    """Refuse what cannot become a server."""
    checks.check_hostname(options.hostname)
    checks.check_domain(options.domain)
    checks.check_realm(options.realm)
    if options.hostname == options.domain:
        raise Refused("hostname cannot be the same as the domain name")
    if options.dirsrv_config_file:
        dse.database_library(dse.read_changes_file(options.dirsrv_config_file))
    checks.check_password("Directory Manager", options.dm_password)
    checks.check_password("IPA admin", options.admin_password)


def _unattended(options: InstallOptions, default_hostname: str) -> InstallOptions:
    lacking = [
        f"{switch} is required"
        for switch, value in (
            ("-r/--realm", options.realm),
            ("-p/--ds-password", options.dm_password),
            ("-a/--admin-password", options.admin_password),
        )
        if not value
    ]
    if lacking:
        raise Refused("In unattended mode you need to provide at least -r, -p and -a options: " + ", ".join(lacking), 2)
    if options.setup_dns and not (options.forwarders or options.no_forwarders or options.auto_forwarders):
        raise Refused("You must specify at least one of --forwarder, --auto-forwarders, or --no-forwarders options", 2)
    for service, files, pin in (
        ("dirsrv", options.dirsrv_cert_files, options.dirsrv_pin),
        ("http", options.http_cert_files, options.http_pin),
    ):
        if files and pin is None:
            raise Refused(f"You must specify --{service}-pin with --{service}-cert-file", 2)
    hostname = options.hostname or default_hostname
    checks.check_hostname(hostname)
    complete_options = replace(options, hostname=hostname, domain=options.domain or hostname.split(".", 1)[1])
    check(complete_options)
    return complete_options


def _ask_forwarders(options: InstallOptions, ask: Ask) -> InstallOptions:
    if not _yes(ask, "Do you want to configure DNS forwarders?", default=True):
        return replace(options, no_forwarders=True)
    found: list[str] = []
    while True:
        answer = ask("Enter an IP address for a DNS forwarder, or press Enter to skip: ").strip()
        if not answer:
            return replace(options, forwarders=tuple(found), no_forwarders=not found)
        found.append(answer)


def _asked(ask: Ask, question: str, default: str, check: Callable[[str], str] | None = None) -> str:
    while True:
        answer = ask(f"{question} [{default}]: ").strip() or default
        try:
            return check(answer) if check else answer
        except Refused as refusal:
            print(refusal)


def _new_password(ask_secret: Ask, who: str) -> str:
    while True:
        password = ask_secret(f"{who} password: ")
        try:
            checks.check_password(who, password)
        except Refused as refusal:
            print(refusal)
            continue
        if ask_secret("Password (confirm): ") == password:
            return password
        print("Password mismatch!")


def _yes(ask: Ask, question: str, *, default: bool) -> bool:
    answer = ask(f"{question} [{'yes' if default else 'no'}]: ").strip().lower()
    return answer in ("y", "yes") if answer else default
