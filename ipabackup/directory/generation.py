"""Giving restored databases a new replication generation, without an import.

Every database that is replicated carries a RUV (an entry with a fixed unique id) whose generation tells the masters of
one realm from strangers.  After an authoritative restore a peer that still has later changes must not be able to push
them: its generation has to be another one.  So the RUV entry is deleted while nothing of replication is configured; the
server makes a new one, with a new generation, at its next start.

The server that does it is *deaf*: a process of its own with a copied configuration, no port, and a socket that nobody
else knows.  The live configuration is not touched.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ldap

from ipabackup.directory.config_copy import copy_config
from ipabackup.directory.connection import connected
from ipabackup.directory.instances import Instance, parse_config
from ipabackup.directory.ldif_scan import RUV_UNIQUE_ID
from ipabackup.errors import DirectoryFailure

NS_SLAPD = "ns-slapd"
RUN = Path("/run")
#: Seconds that the deaf server may take to answer, and to end.
START_LIMIT, STOP_LIMIT = 120.0, 120.0

_REPLICATION = ("nsds5replica", "nsds5replicationagreement", "nsdswindowsreplicationagreement")


def replicated_suffixes(dse: bytes) -> tuple[str, ...]:
    """The suffixes for which the configuration `dse` has a replica."""
    entries = parse_config(dse, "dse.ldif")
    return tuple(
        entry["nsds5replicaroot"][0]
        for entry in entries.values()
        if "nsds5replica" in [value.lower() for value in entry.get("objectclass", [])] and "nsds5replicaroot" in entry
    )


def without_replication(dse: bytes) -> bytes:
    """The configuration `dse` without replicas and agreements, and without ports.

    Raises DirectoryFailure when nothing is left of it.
    """
    records = [record for record in dse.replace(b"\r\n", b"\n").split(b"\n\n") if record.strip()]
    kept = [record for record in records if not _is_replication(record)]
    if not kept:
        raise DirectoryFailure("The configuration holds nothing but replication.")
    return b"\n\n".join(kept) + b"\n\n"


def _is_replication(record: bytes) -> bool:
    lines = record.replace(b"\n ", b"").lower().split(b"\n")
    return any(f"objectclass: {name}".encode() in lines for name in _REPLICATION)


def renew(instance: Instance) -> tuple[str, ...]:
    """Delete the RUV of each replicated suffix in the databases of `instance`, which must be stopped; returns these
    suffixes.

    Raises DirectoryFailure; the databases are then as they were, or have lost some of their RUVs, which does no harm.
    """
    suffixes = replicated_suffixes((instance.config_dir / "dse.ldif").read_bytes())
    if not suffixes:
        return ()
    with _deaf_server(instance) as uri, connected(uri, patience=START_LIMIT) as connection:
        for suffix in suffixes:
            dn = f"nsuniqueid={RUV_UNIQUE_ID},{suffix}"
            try:
                connection.delete_s(dn)
            except ldap.NO_SUCH_OBJECT:
                continue
            except ldap.LDAPError as error:
                raise DirectoryFailure(f"The RUV of {suffix} cannot be deleted: {error}.") from error
            if _exists(connection, dn):
                raise DirectoryFailure(f"The RUV of {suffix} is still there after it was deleted.")
    return suffixes


def _exists(connection: ldap.ldapobject.LDAPObject, dn: str) -> bool:
    try:
        return bool(connection.search_s(dn, ldap.SCOPE_BASE, "(objectClass=nsTombstone)", ["1.1"]))
    except ldap.NO_SUCH_OBJECT:
        return False


@contextmanager
def _deaf_server(instance: Instance) -> Iterator[str]:
    """Run the deaf server as long as the block lasts; yields the URI of its socket."""
    # Below /run, because a socket's path may have no more than 107 bytes, and the keys stay off the disk.  The server
    # names its statistics after what follows the first "slapd-" in the path, which must be a plain name.
    home = Path(tempfile.mkdtemp(prefix="ipabackup-", dir=RUN))
    try:
        shutil.chown(home, instance.user)
        with _process(instance, home / f"slapd-{instance.name}") as uri:
            yield uri
    finally:
        shutil.rmtree(home)


@contextmanager
def _process(instance: Instance, work: Path) -> Iterator[str]:
    state = copy_config(instance, work, {"nsslapd-port": "0", "nsslapd-security": "off"}, without_replication)
    if b"\nnsslapd-port: 0\n" not in (work / "dse.ldif").read_bytes():
        raise DirectoryFailure(f"The configuration of slapd-{instance.name} names no port.")
    process = subprocess.Popen(
        [NS_SLAPD, "-D", str(work), "-i", str(state / "pid"), "-d", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _answering(process, state)
        yield "ldapi://" + str(state / "socket").replace("/", "%2F")
        process.terminate()
        try:
            status = process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired as error:
            raise DirectoryFailure(f"The deaf server did not end within {STOP_LIMIT:g} s.") from error
        if status != 0:
            raise DirectoryFailure(f"The deaf server ended with status {status}.")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _answering(process: subprocess.Popen[bytes], state: Path) -> None:
    """Wait until the deaf server takes connections; raises DirectoryFailure at once when it has ended instead."""
    limit = time.monotonic() + START_LIMIT
    while True:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(str(state / "socket")) == 0:
                return
        if process.poll() is not None:
            raise DirectoryFailure(f"The deaf server ended with status {process.returncode}: {_last_words(state)}")
        if time.monotonic() > limit:
            raise DirectoryFailure(f"The deaf server did not answer within {START_LIMIT:g} s: {_last_words(state)}")
        # A socket that is not there yet gives nothing to wait on.
        time.sleep(0.05)


def _last_words(state: Path) -> str:
    log = state / "errors"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    told = [line for line in lines if " - INFO - " not in line and " - WARN - spal_meminfo" not in line]
    return " / ".join(told[-4:]) or "it said nothing"
