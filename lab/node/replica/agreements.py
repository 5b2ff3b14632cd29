"""Replication agreements: made, listed, started, waited for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import ldap

from lab.node.ldapi import Directory
from lab.node.replica.suffixes import MAPPING_TREE, Suffix
from lab.node.services import WaitedTooLong, wait_for

TOTAL_EXCLUDED = "entryusn krblastsuccessfulauth krblastfailedauth krbloginfailedcount passwordgraceusertime"
EXCLUDED = f"memberof idnssoaserial {TOTAL_EXCLUDED}"
# An agreement's default pauses 200 ms after every 50-odd entries of a total update.
UNHURRIED = {"nsds5ReplicaFlowControlWindow": "100000", "nsds5ReplicaFlowControlPause": "1"}
# The server takes no deletion of these two: to have them as without is to give them the values that it documents.
USUAL = {"nsds5ReplicaFlowControlWindow": "1000", "nsds5ReplicaFlowControlPause": "2000"}
INITIALISE_LIMIT = 600.0
ALWAYS = "0000-2359 0123456"
REFRESH = "nsds5BeginReplicaRefresh"
UPDATED, INIT_START = "nsds5replicaLastUpdateStatus", "nsds5replicaLastInitStart"
# What an agreement says of its last session as long as its thread has not begun.
IDLE = ("No replication sessions started", "agreement disabled")
# Seconds for that thread, or a total update, to begin, and how often one that did not is asked for again.
BEGUN, BEGINNINGS = 5.0, 3
# What an agreement says when its consumer is taken by another master, and for how many seconds that is waited for.
BUSY, BUSY_LIMIT = 1, 60.0


class InitialisationFailed(Exception):
    """A total update ended otherwise than by success; the message is the server's."""


@dataclass(frozen=True)
class Agreement:
    """What a server says of one of its agreements."""

    dn: str
    host: str
    root: str
    enabled: bool
    init_status: str
    init_ended: str
    update_status: str
    update_ended: str


def agreement_entry(suffix: Suffix, host: str) -> dict[str, str | list[str]]:
    """The entry of an agreement that supplies `host`, authenticated by Kerberos."""
    return {
        "objectClass": ["top", "nsds5replicationagreement"],
        "cn": suffix.agreement_name(host),
        "description": f"me to {host}",
        "nsDS5ReplicaHost": host,
        "nsDS5ReplicaPort": "389",
        "nsDS5ReplicaRoot": suffix.dn,
        "nsDS5ReplicaTransportInfo": "LDAP",
        "nsDS5ReplicaBindMethod": "SASL/GSSAPI",
        "nsds5replicaTimeout": "120",
        "nsDS5ReplicatedAttributeList": f"(objectclass=*) $ EXCLUDE {EXCLUDED}",
        "nsDS5ReplicatedAttributeListTotal": f"(objectclass=*) $ EXCLUDE {TOTAL_EXCLUDED}",
        "nsds5ReplicaStripAttrs": "modifiersName modifyTimestamp internalModifiersName internalModifyTimestamp",
        "nsds5ReplicaEnabled": "on",
    }


def connect(server: Directory, suffix: Suffix, host: str) -> bool:
    """Supply `host` with the suffix from now on; False when this server does so already."""
    return server.add_if_missing(suffix.agreement_dn(host), agreement_entry(suffix, host))


def connect_and_initialise(server: Directory, suffix: Suffix, host: str, *, limit: float = INITIALISE_LIMIT) -> None:
    """Supply `host` from now on, beginning with all there is. Raises InitialisationFailed, TimeoutError."""
    server.add(suffix.agreement_dn(host), agreement_entry(suffix, host))
    # Not with the entry itself: a server remembers that, and starts the total update anew whenever it is enabled again.
    initialise(server, suffix.agreement_dn(host), limit=limit)


def initialise(
    server: Directory, dn: str, *, limit: float = INITIALISE_LIMIT, elapsed: Callable[[int], object] | None = None
) -> None:
    """Have an agreement send all there is, once. Raises InitialisationFailed, TimeoutError."""
    before = server.get(dn, list(UNHURRIED)) or {}
    server.replace(dn, UNHURRIED)
    try:
        patience = time.monotonic() + BUSY_LIMIT
        while True:
            _begin(server, dn)
            try:
                wait_initialised(server, dn, limit=limit, elapsed=elapsed)
                return
            except InitialisationFailed as error:
                # Another master's session with that one is going on, and will end.
                if status_code(str(error)) != BUSY or time.monotonic() > patience:
                    raise
                time.sleep(0.5)
    finally:
        server.replace(dn, {name: before.get(name) or usual for name, usual in USUAL.items()})


def _begin(server: Directory, dn: str) -> None:
    """Ask for a total update, again if need be, until it has begun.

    It has to end the session that goes on. Asked for while the thread of a new agreement, or of one that was just
    switched on, is about to begin, it is forgotten, or the server waits two minutes for an end that does not come.
    """
    with suppress(WaitedTooLong):
        wait_for(f"the thread of {dn}", lambda: not any(text in _told(server, dn, UPDATED) for text in IDLE), BEGUN)
    for _ in range(BEGINNINGS):
        before = _told(server, dn, INIT_START)
        server.replace(dn, {REFRESH: "start"})
        with suppress(WaitedTooLong):
            wait_for(
                f"the total update of {dn}",
                lambda before=before: not _told(server, dn, REFRESH) or _told(server, dn, INIT_START) != before,  # type: ignore[misc]
                BEGUN,
            )
            return


def _told(server: Directory, dn: str, name: str) -> str:
    return _value(server.get(dn, [name]) or {}, name)


def enable(server: Directory, suffix: Suffix, host: str) -> None:
    """Switch the agreement by which this server supplies `host` on, if there is one."""
    if server.exists(suffix.agreement_dn(host)):
        server.replace(suffix.agreement_dn(host), {"nsds5ReplicaEnabled": "on"})


def write_own_change(server: Directory, suffix: Suffix) -> None:
    """Have a server that was just filled make its first change, in its note that it is alive, before it supplies any.

    Meanwhile its own element of the update vector is half written; a session that it began then would show the vector
    of another master, and the agreement would stop for good ("duplicate replica ID detected").
    """
    number = _value(server.get(suffix.replica_dn, ["nsDS5ReplicaId"]) or {}, "nsDS5ReplicaId")
    now = time.strftime("%Y%m%d%H%M%SZ", time.gmtime())
    with suppress(ldap.NO_SUCH_OBJECT, ldap.INSUFFICIENT_ACCESS):
        server.replace(f"cn=repl keep alive {number},{suffix.dn}", {"keepalivetimestamp": now})


def restart_agreement(server: Directory, dn: str) -> None:
    """Have an agreement connect anew: an open connection keeps the name under which it was let in."""
    for state in ("off", "on"):
        server.replace(dn, {"nsds5ReplicaEnabled": state})


def wait_initialised(
    server: Directory, dn: str, *, limit: float = INITIALISE_LIMIT, elapsed: Callable[[int], object] | None = None
) -> None:
    """Wait for the end of a total update; `elapsed` is told the seconds whenever another one has passed."""
    begun, told = time.monotonic(), 0
    while True:
        entry = server.get(dn, [REFRESH, "nsds5replicaLastInitStatus"]) or {}
        if not _value(entry, REFRESH):
            status = _value(entry, "nsds5replicaLastInitStatus")
            if status_code(status) == 0 and "succeeded" in status:
                return
            raise InitialisationFailed(status or "the agreement is gone")
        passed = time.monotonic() - begun
        if passed > limit:
            raise TimeoutError(f"waited {limit:g} seconds for the total update of {dn}")
        if elapsed and int(passed) > told:
            told = int(passed)
            elapsed(told)
        time.sleep(0.1)


def status_code(status: str) -> int | None:
    """The number in `Error (N) …`; None for a status without one."""
    found = re.match(r"Error \((-?\d+)\)", status)
    return int(found[1]) if found else None


def agreements(server: Directory, suffix: Suffix | None = None) -> list[Agreement]:
    """The agreements of a server, of one suffix or all, by host."""
    base = suffix.replica_dn if suffix else MAPPING_TREE
    found: list[Agreement] = []
    with suppress(ldap.NO_SUCH_OBJECT):
        for dn, entry in server.search(base, "(objectClass=nsds5replicationagreement)"):
            found.append(_agreement(dn, entry))
    return sorted(found, key=lambda one: (one.host, one.root))


def _agreement(dn: str, entry: Mapping[str, list[bytes]]) -> Agreement:
    return Agreement(
        dn=dn,
        host=_value(entry, "nsDS5ReplicaHost"),
        root=_value(entry, "nsDS5ReplicaRoot"),
        enabled=_value(entry, "nsds5ReplicaEnabled").lower() != "off",
        init_status=_value(entry, "nsds5replicaLastInitStatus"),
        init_ended=_value(entry, "nsds5replicaLastInitEnd"),
        update_status=_value(entry, "nsds5replicaLastUpdateStatus"),
        update_ended=_value(entry, "nsds5replicaLastUpdateEnd"),
    )


def _value(entry: Mapping[str, list[bytes]], name: str) -> str:
    """The first value of an attribute whatever its case, or nothing."""
    values = next((values for key, values in entry.items() if key.lower() == name.lower()), [])
    return values[0].decode(errors="replace") if values else ""
