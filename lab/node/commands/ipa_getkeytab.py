"""ipa-getkeytab: a keytab with the keys of a host or service.

The keys come from the local database, so this runs as root on a server; who asks is proved to the
directory, by a ticket or by a simple bind, and has to be an administrator, the Directory Manager, or the
entry that manages the principal.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import ldap
import ldap.sasl

from lab.node import masterkey
from lab.node.facts import NotConfigured, RealmFacts, read_facts
from lab.node.install.checks import Refused
from lab.node.kadmin import new_keytab_entry, set_password
from lab.node.ldapi import directory, escape_filter
from lab.node.run import CommandFailed
from lab.node.version import BANNER

DIRECTORY_MANAGER = "cn=directory manager"
# Exit statuses of FreeIPA's command: 5 for a principal that is not there, 9 for keys that could not be had.
USAGE, NO_KRB, NO_PRINCIPAL, NO_BIND, NOT_ALLOWED, NO_KEYTAB = 2, 7, 5, 4, 9, 11


def main(argv: Sequence[str] | None = None) -> int:
    words = argparse.ArgumentParser(prog="ipa-getkeytab", description="Get a keytab for a Kerberos principal.")
    words.add_argument("--version", action="version", version=BANNER)
    words.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    words.add_argument("-s", "--server", help="the server to ask (this one)")
    words.add_argument("-p", "--principal", required=True, help="the principal, the realm may be left out")
    words.add_argument("-k", "--keytab", required=True, type=Path, help="the file to append the keys to")
    words.add_argument("-e", "--enctypes", default="", help="encryption types, separated by commas")
    words.add_argument("-P", "--password", action="store_true", help="ask for a password to make the keys of")
    words.add_argument("-r", "--retrieve", action="store_true", help="take the present keys, make no new ones")
    words.add_argument("-D", "--binddn", help="bind as this entry instead of with a ticket")
    words.add_argument("-w", "--bindpw", help="its password")
    given = words.parse_args(argv)
    if given.retrieve and given.password:
        words.error("Incompatible options provided (-r and -P)")
    if bool(given.binddn) != bool(given.bindpw):
        words.error("Bind password required when using a bind DN (-w or -W), and the other way round.")
    try:
        get_keytab(given)
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return refusal.status
    if not given.quiet:
        print(f"Keytab successfully retrieved and stored in: {given.keytab}", file=sys.stderr)
    return 0


def get_keytab(given: argparse.Namespace) -> None:
    """Write the keytab, or raise Refused with FreeIPA's exit status."""
    try:
        facts = read_facts()
    except NotConfigured as error:
        raise Refused(f"{error}", USAGE) from error
    if given.server and given.server != facts.hostname:
        raise Refused(f"Server {given.server} is not this one: run ipa-getkeytab there, as root.", USAGE)
    if os.geteuid() != 0:
        raise Refused("The local Kerberos database is open to root only.", NOT_ALLOWED)
    principal = given.principal if "@" in given.principal else f"{given.principal}@{facts.realm}"
    bound_as = _authenticate(facts, given.binddn, given.bindpw)
    _authorise(facts, bound_as, principal)
    try:
        with directory(facts.ldapi_uri) as connection:
            # FreeIPA's command has the directory make the keys, with the master key that it holds at this moment.
            masterkey.refresh(connection, facts)
        if given.password:
            password = _new_password()
            set_password(principal, password)
        new_keytab_entry(
            principal,
            str(given.keytab),
            keep_keys=given.retrieve or given.password,
            enctypes=",".join(f"{name}:normal" for name in given.enctypes.split(",") if name),
        )
    except (CommandFailed, masterkey.BadKey, OSError) as error:
        raise Refused(f"Failed to get keytab: {error}", NOT_ALLOWED) from error


def _authenticate(facts: RealmFacts, bind_dn: str | None, password: str | None) -> str:
    """The entry that the caller is, in the directory's own words."""
    connection = ldap.initialize(facts.ldapi_uri if bind_dn else f"ldap://{facts.hostname}")
    try:
        if bind_dn:
            connection.simple_bind_s(bind_dn, password or "")
        else:
            connection.sasl_interactive_bind_s("", ldap.sasl.gssapi())
        who = str(connection.whoami_s())
    except ldap.INVALID_CREDENTIALS as error:
        raise Refused(
            "SASL Bind failed Invalid credentials (49)!" if not bind_dn else "Simple bind failed", NO_BIND
        ) from error
    except ldap.LOCAL_ERROR as error:
        raise Refused("Kerberos User Principal not found. Do you have a valid Credential Cache?", NO_KRB) from error
    except ldap.LDAPError as error:
        raise Refused(f"Failed to bind to server: {error}", NO_BIND) from error
    finally:
        connection.unbind_ext_s()
    return who.removeprefix("dn: ").removeprefix("dn:").strip()


def _authorise(facts: RealmFacts, who: str, principal: str) -> None:
    with directory(facts.ldapi_uri) as connection:
        found = connection.search(
            facts.basedn, f"(krbPrincipalName={escape_filter(principal)})", ["managedBy", "krbPrincipalName"]
        )
        if not found:
            raise Refused("Failed to parse result: PrincipalName not found.\n\nFailed to get keytab", NO_PRINCIPAL)
        allowed = {DIRECTORY_MANAGER}
        admins = connection.get(f"cn=admins,cn=groups,cn=accounts,{facts.basedn}", ["member"]) or {}
        for values in (admins.get("member", []), found[0][1].get("managedBy", [])):
            allowed.update(value.decode().lower() for value in values)
    if who.lower() not in allowed:
        raise Refused("Failed to parse result: Insufficient access rights\n\nFailed to get keytab", NOT_ALLOWED)


def _new_password() -> str:
    password = getpass.getpass("New Principal Password: ")
    if password != getpass.getpass("Verify Principal Password: "):
        raise Refused("Passwords do not match!", USAGE)
    return password
