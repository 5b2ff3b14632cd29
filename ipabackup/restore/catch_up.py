"""Whether the other masters can still bring a restored server what it missed since its backup.

A supplier goes on, for every replica, after the newest change that the consumer has, and has to find that very change
in its changelog; else it says "Can't locate CSN … in the changelog. The consumer may need to be reinitialized".
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from ipabackup.archive.layout import file_name, ldif_name
from ipabackup.directory.agreements import Replica, Retention, same_suffix
from ipabackup.directory.instances import normalised
from ipabackup.directory.ldif_scan import ruv_of
from ipabackup.directory.masters import PeerFailure
from ipabackup.directory.vectors import Vector, parse_vector, seconds_of
from ipabackup.errors import CannotCatchUp
from ipabackup.record import ServerRecord
from ipabackup.restore.peers import Peers
from ipabackup.restore.plan import RestoreOptions
from ipabackup.server import Machine
from ipabackup.store import OpenedBackup

_CHUNK = 1 << 20
_NEVER = "19700101000000Z"
#: Seconds that changes are taken to be kept by a master that does not tell the caller: 389 DS's own default.
_ASSUMED = 7 * 86400


@dataclass(frozen=True)
class Supplier:
    """What a master that was reached says: its replicas, and how long it keeps changes (by normalised suffix)."""

    host: str
    replicas: tuple[Replica, ...]
    retention: Mapping[str, Retention]


def require_supply(
    backup: OpenedBackup,
    vectors: Mapping[str, Vector],
    suffixes: Sequence[str],
    peers: Peers,
    options: RestoreOptions,
    machine: Machine,
) -> list[str]:
    """Raises CannotCatchUp unless, for each of `suffixes`, a master can supply all that came after the backup.

    `vectors` are the backup's: see `backup_vectors`.  Returns what is worth saying nevertheless.  A realm of one master
    has nothing to catch up with.
    """
    if options.authoritative or not options.peer_check:
        return []
    if not peers.names:
        if all(len(vector.newest) <= 1 for vector in vectors.values()):
            return []
        raise _refused(["the backup does not tell which other masters there are"])
    suppliers: list[Supplier] = []
    unreachable: list[str] = []
    with _trusted(backup, machine.places.authority) as authority:
        for name in peers.names:
            try:
                with peers.opened(name, authority) as masters:
                    replicas = tuple(replica for master in masters for replica in master.replicas())
                    kept = {suffix: limit for master in masters for suffix, limit in master.retention().items()}
                suppliers.append(Supplier(name, replicas, kept))
            except PeerFailure as error:
                unreachable.append(error.message)
    if not suppliers:
        raise _refused([reason.rstrip(".") for reason in unreachable])
    reasons = [
        reason
        for suffix in suffixes
        for reason in obstacles(
            suffix, vectors.get(normalised(suffix)), peers.host, suppliers, backup.header.time, time.time()
        )
    ]
    if reasons:
        raise _refused([*reasons, *(reason.rstrip(".") for reason in unreachable)])
    return [f"Not asked what it can supply: {reason}" for reason in unreachable]


def copied_live(record: ServerRecord) -> bool:
    """Whether the backup's databases go further than their vectors say, as copies of a running server's on mdb do.

    A vector is written into the database only now and then.
    """
    return record.online and any(instance.library == "mdb" for instance in record.instances)


def _refused(reasons: Sequence[str]) -> CannotCatchUp:
    return CannotCatchUp(
        "The other masters cannot be shown to have all that this server missed since the backup: "
        + "; ".join(dict.fromkeys(reasons))
        + ".",
        state="Nothing was changed.",
        remedy="If the backup is to win, restore with --replication=authoritative. Else give -p or --password-file, or "
        "get a ticket, so that the other masters can be asked; or insist with --skip-peer-check, and fill this server "
        "from one of them afterwards: ipa-replica-manage re-initialize --from=HOST (ipa-csreplica-manage likewise).",
    )


def obstacles(
    suffix: str, vector: Vector | None, host: str, suppliers: Sequence[Supplier], made: datetime, now: float
) -> list[str]:
    """Why `host`, with data of `suffix` up to `vector` from a backup `made` then, cannot catch up; empty when it can.

    `now` is in seconds since 1970.
    """
    holders = [
        (supplier, replica)
        for supplier in suppliers
        for replica in supplier.replicas
        if same_suffix(replica.suffix, suffix)
    ]
    if not holders:
        return [] if vector is None else [f"no master that was reached replicates {suffix}"]
    if vector is None or not vector.generation:
        return [f"the backup's {suffix} has no update vector: it would begin a new generation"]
    strangers = [
        f"{supplier.host} has the generation {replica.vector.generation or 'none'} of {suffix}, and the backup "
        f"{vector.generation}: they are of different realms since one was restored"
        for supplier, replica in holders
        if replica.vector.generation != vector.generation
    ]
    if strangers:
        return strangers
    reasons = []
    for supplier, replica in holders:
        found = list(_cannot_supply(suffix, vector, host, supplier, replica, suppliers, made, now))
        if not found:
            return []
        reasons += found
    return reasons


def _cannot_supply(
    suffix: str,
    vector: Vector,
    host: str,
    supplier: Supplier,
    replica: Replica,
    suppliers: Sequence[Supplier],
    made: datetime,
    now: float,
) -> Iterator[str]:
    agreement = next((one for one in replica.agreements if one.consumer == host.lower()), None)
    if agreement is None:
        yield f"{supplier.host} has no agreement to send {suffix} to {host}"
        return
    if not agreement.enabled:
        yield f"the agreement by which {supplier.host} sends {suffix} to {host} is switched off"
    needed = _starting_points(vector, replica)
    if not needed:
        return
    filled = max((ended for ended in _filled(suffix, supplier.host, suppliers)), default="")
    if filled > made.astimezone(timezone.utc).strftime("%Y%m%d%H%M%SZ"):
        yield f"{supplier.host} was itself re-initialised with {suffix} after the backup, at {filled}"
    told = supplier.retention.get(normalised(suffix))
    limit = _ASSUMED if told is None else told.seconds
    if limit:
        gone = {number: point for number, point in needed.items() if seconds_of(point) < now - limit}
        if gone:
            assumed = " (assumed: it does not tell this account)" if told is None else ""
            number, oldest = min(gone.items(), key=lambda item: item[1])
            when = datetime.fromtimestamp(seconds_of(oldest), timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
            yield (
                f"{supplier.host} keeps changes of {suffix} for {_days(limit)}{assumed}, and would have to go on after "
                f"one of {when} (replica {number})"
            )


def _starting_points(vector: Vector, replica: Replica) -> dict[int, str]:
    """The changes after which a supplier goes on: of each replica of which it has newer ones than `vector`."""
    return {
        number: vector.newest.get(number, "") or replica.vector.oldest.get(number, "")
        for number, newest in replica.vector.newest.items()
        if newest > vector.newest.get(number, "")
    }


def _filled(suffix: str, host: str, suppliers: Sequence[Supplier]) -> Iterator[str]:
    """When any master last filled `host` wholly, as the agreements that did it tell."""
    for supplier in suppliers:
        for replica in supplier.replicas:
            for agreement in replica.agreements:
                good = agreement.consumer == host.lower() and agreement.init_ended not in ("", _NEVER)
                if good and same_suffix(replica.suffix, suffix):
                    yield agreement.init_ended


def _days(seconds: int) -> str:
    return f"{seconds // 86400} days" if seconds >= 2 * 86400 else f"{seconds} s"


def backup_vectors(backup: OpenedBackup) -> dict[str, Vector]:
    """The update vector of each replicated suffix (normalised) in the backup, read from its exports.

    Reads the payload once more, up to the last export.
    """
    wanted = {
        ldif_name(instance.name, backend.name): normalised(backend.suffix)
        for instance in backup.record.instances
        for backend in instance.backends
    }
    vectors: dict[str, Vector] = {}
    for member, data in backup.reader.members():
        suffix = wanted.pop(member.name, None)
        if suffix is not None and data is not None:
            values = ruv_of(_pieces(data))
            if values:
                vectors[suffix] = parse_vector(values)
        if not wanted:
            break
    return vectors


def _pieces(data: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: data.read(_CHUNK), b"")


@contextmanager
def _trusted(backup: OpenedBackup, present: Path) -> Iterator[Path | None]:
    """A file of the authorities that other masters' certificates may come from: this host's, and a full backup's.

    Before a restore this host has none, or that of another installation.  None when there is nothing but this host's.
    """
    name = file_name(str(present))
    stored = backup.reader.read([name]).get(name) if backup.header.full else None
    if stored is None:
        yield None
        return
    with tempfile.NamedTemporaryFile(prefix="ipabackup-", suffix=".crt") as file:
        file.write(stored.rstrip(b"\n") + b"\n")
        if present.exists():
            file.write(present.read_bytes())
        file.flush()
        yield Path(file.name)
