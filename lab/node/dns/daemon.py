"""From the directory into BIND: `python3 -m lab.node.dns.daemon`, run as bind by ipa-dnssyncd.service.

It writes a zone file for every zone in the directory before named starts, and follows changes by a persistent search
afterwards. It binds as DNS/HOST with the keytab of named, as FreeIPA's named does.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import ldap
import ldap.sasl
from ldap.controls.psearch import PersistentSearchControl

from lab.node.ca.notify import ready
from lab.node.dns.address import present_addresses, refresh
from lab.node.dns.layout import KEYTAB
from lab.node.dns.zonefiles import ZoneFiles
from lab.node.facts import NotConfigured, RealmFacts, read_facts
from lab.node.ldapi import Directory
from lab.node.services import WaitedTooLong, wait_for

log = logging.getLogger("ipa-dnssyncd")
START_LIMIT = 40.0
OPERATION_LIMIT = 15
# Between two attempts to reach a directory that is being restarted.
RETRY_SECONDS = 0.25
# An import replaces the whole database without telling anybody who searches persistently.
READ_ANYWAY_SECONDS = 5
# What passes: a directory that stops, starts, or is being filled by an import, and a KDC that is not there yet.
TROUBLE = (
    ldap.SERVER_DOWN,
    ldap.UNAVAILABLE,
    ldap.BUSY,
    ldap.UNWILLING_TO_PERFORM,
    ldap.OPERATIONS_ERROR,
    ldap.NO_SUCH_OBJECT,
    ldap.LOCAL_ERROR,
    ldap.TIMEOUT,
    ldap.INVALID_CREDENTIALS,
)


def connect(facts: RealmFacts) -> Any:
    """A connection bound by the keytab's key."""
    connection = ldap.initialize(facts.ldapi_uri, bytes_mode=False)
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, OPERATION_LIMIT)
    connection.set_option(ldap.OPT_TIMEOUT, OPERATION_LIMIT)
    connection.sasl_interactive_bind_s("", ldap.sasl.gssapi())
    return connection


@contextmanager
def connected(facts: RealmFacts, limit: float) -> Iterator[Any]:
    """The same, waiting for directory and KDC. Raises WaitedTooLong naming the last trouble."""
    made: list[Any] = []
    last: list[Exception] = [RuntimeError("never tried")]

    def attempt() -> bool:
        try:
            made.append(connect(facts))
        except TROUBLE as error:
            last[0] = error
        return bool(made)

    try:
        wait_for("the directory to accept this host's DNS service", attempt, limit, every=RETRY_SECONDS)
    except WaitedTooLong as error:
        raise WaitedTooLong(f"{error}: {last[0]}") from last[0]
    try:
        yield made[0]
    finally:
        made[0].unbind_s()


def follow(connection: Any, facts: RealmFacts, files: ZoneFiles) -> None:
    """Bring the files to what the directory says, and again at every change. Ends only by an LDAP error."""
    directory = Directory(connection)
    base = f"cn=dns,{facts.basedn}"
    # Asked for before the first reading, so that no change falls between the two.
    changes = connection.search_ext(
        base,
        ldap.SCOPE_SUBTREE,
        "(|(objectClass=idnsZone)(objectClass=idnsRecord))",
        ["idnsName"],
        serverctrls=[PersistentSearchControl(changesOnly=True)],
    )
    for change in refresh(directory, facts, present_addresses()):
        log.info("address changed: %s", change)
    files.bring_up_to(directory, base)
    ready(f"{len(files.names)} zones")
    while True:
        with suppress(ldap.TIMEOUT):
            connection.result3(changes, 0, READ_ANYWAY_SECONDS)
            _drain(connection, changes)
        files.bring_up_to(directory, base)


def _drain(connection: Any, changes: int) -> None:
    """Take what else has come meanwhile: many changes need one reading."""
    while True:
        try:
            found = connection.result3(changes, 0, 0)
        except ldap.TIMEOUT:
            return
        if found[0] is None:
            return


def main() -> int:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    if not KEYTAB.exists():
        log.error("cannot start: %s is missing", KEYTAB)
        return 1
    try:
        facts = read_facts()
        files = ZoneFiles()
        while True:
            try:
                with connected(facts, float("inf") if files.names else START_LIMIT) as connection:
                    follow(connection, facts, files)
            except TROUBLE as error:
                log.warning("the directory went away (%s); waiting for it", error)
                time.sleep(RETRY_SECONDS)
    except (WaitedTooLong, NotConfigured, OSError, subprocess.SubprocessError, ldap.LDAPError) as error:
        log.error("cannot go on: %s", error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
