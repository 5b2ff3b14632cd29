"""Putting data back into instances, and making sure that it is there: shared by full and data restores."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ipabackup.archive.extract import Destination, extract
from ipabackup.archive.layout import ldif_name
from ipabackup.archive.member import Member
from ipabackup.directory.instances import Instance
from ipabackup.directory.ldif_scan import without_ruv
from ipabackup.directory.staging import owned_folder
from ipabackup.errors import DirectoryFailure, IpaBackupError
from ipabackup.host import sssd
from ipabackup.host.accounts import ByName
from ipabackup.host.files import empty
from ipabackup.record import BackendRecord, InstanceRecord
from ipabackup.server import Machine
from ipabackup.steps import Reporter
from ipabackup.store import OpenedBackup, entry_counts

#: What an mdb database consists of: the environment, and what the server notes about it.
MDB_FILES = ("data.mdb", "INFO.mdb")


@dataclass(frozen=True)
class Chosen:
    """Backends of an instance of the backup, the instance of this host that takes them, and how: as the binary copy of
    all databases at once, or as LDIF.
    """

    record: InstanceRecord
    backends: tuple[BackendRecord, ...]
    target: Instance
    binary: bool

    def target_name(self, backend: BackendRecord) -> str:
        """What the backend with this one's suffix is called here."""
        for present in self.target.backends:
            if present.suffix.lower() == backend.suffix.lower():
                return present.name
        return backend.name


def ldif_file(staging: Path, backend: BackendRecord) -> Path:
    """Where the LDIF of `backend` waits below the instance's staging folder."""
    return staging / f"{backend.name}.ldif"


def replace_databases(
    chosen: Chosen, staging: Path, backup: OpenedBackup, machine: Machine, report: Reporter, *, authoritative: bool
) -> None:
    """Replace the databases of a stopped instance by what waits in `staging`.

    `authoritative` begins a new replication generation, so that no other master can bring back later changes.  A binary
    copy that does not serve gives way to the LDIF, which is then fetched from `backup`.  Raises DirectoryFailure; then
    the databases are neither what they were nor what they should be.
    """
    if chosen.binary:
        try:
            _put_binary(chosen, staging, machine, report, authoritative=authoritative)
        except DirectoryFailure as problem:
            report.note(f"The binary copy does not serve: {problem.message}")
            fetch_exports(chosen, staging, backup, machine)
            emptied(chosen.target)
        else:
            return
    for backend in chosen.backends:
        name = chosen.target_name(backend)
        report.note(f"Importing {name} of slapd-{chosen.target.name} from LDIF")
        source = ldif_file(staging, backend)
        if authoritative:
            strip_ruv(source)
        machine.tools.load(chosen.target, name, source)


def _put_binary(chosen: Chosen, staging: Path, machine: Machine, report: Reporter, *, authoritative: bool) -> None:
    report.note(f"Putting back the databases of slapd-{chosen.target.name}")
    emptied(chosen.target)
    if not moved_in(chosen.target, staging / "binary"):
        machine.tools.unarchive(chosen.target, staging / "binary")
    if authoritative:
        for suffix in machine.tools.renew(chosen.target):
            report.note(f"{suffix} begins a new replication generation")


def fetch_exports(chosen: Chosen, staging: Path, backup: OpenedBackup, machine: Machine) -> None:
    """Unpack the LDIFs of the chosen backends into `staging`, where nobody had thought to need them.

    Raises IpaBackupError.
    """
    destinations = {ldif_name(chosen.record.name, one.name): ldif_file(staging, one) for one in chosen.backends}
    unpack(backup, destinations, chosen.target.user, machine)


def unpack(
    backup: OpenedBackup,
    destinations: Mapping[str, Path],
    user: str,
    machine: Machine,
    progress: Callable[[int], None] | None = None,
    state: str = "",
) -> None:
    """Unpack the members that `destinations` names, and what lies below them, as files of `user`.

    Raises IpaBackupError, with `state` saying what the host is like then.
    """

    def choose(member: Member) -> Destination | None:
        for root, target in destinations.items():
            if member.name == root or member.name.startswith(root + "/"):
                return Destination(target.parent, target.name + member.name[len(root) :])
        return None

    result = extract(backup.reader, choose, _TheirOwn(user, ByName(machine.accounts)), progress=progress)
    if result.failures:
        told = "; ".join(map(str, result.failures[:5]))
        raise IpaBackupError(f"The data could not be unpacked: {told}", state=state)


class _TheirOwn:
    """Owners of unpacked data: the account that the directory runs as, which has to read it."""

    def __init__(self, user: str, by_name: ByName) -> None:
        self._user, self._by_name = user, by_name

    def uid(self, name: str, number: int) -> int | None:
        return self._by_name.uid(self._user, -1)

    def gid(self, name: str, number: int) -> int | None:
        return self._by_name.gid(self._user, -1)


def strip_ruv(path: Path) -> None:
    """Take the RUV entry out of the LDIF file `path`, which keeps its owner and mode."""
    stripped = path.with_name(f"{path.name}.stripped")
    status = path.stat()
    with path.open("rb") as source, stripped.open("wb") as target:
        target.writelines(without_ruv(source))
    shutil.copymode(path, stripped)
    shutil.chown(stripped, status.st_uid, status.st_gid)
    stripped.replace(path)


def emptied(instance: Instance) -> None:
    """Make the database folder empty: what lies there belongs to another state of the directory."""
    owned_folder(instance.database_dir, instance.user)
    empty(instance.database_dir)


def moved_in(instance: Instance, source: Path) -> bool:
    """Move the files of an mdb database from the binary backup `source` into the instance's empty database folder.

    They are all that there is to restore (what else lies beside them describes the configuration), so nothing need be
    copied.  False, with nothing done, for other databases, whose logs have to be replayed, and across file systems.
    """
    files = [source / name for name in MDB_FILES if (source / name).is_file()]
    if instance.library != "mdb" or len(files) != len(MDB_FILES):
        return False
    if source.stat().st_dev != instance.database_dir.stat().st_dev:
        return False
    for file in files:
        shutil.chown(file, instance.user)
        file.chmod(0o600)
        file.replace(instance.database_dir / file.name)
    return True


def check_counts(
    chosen: Sequence[Chosen],
    counts: Path,
    since: datetime | None,
    machine: Machine,
    report: Reporter,
    *,
    catching_up: bool,
) -> None:
    """Compare the number of entries in the running instances with the backup's document `counts`.

    What was added after `since` does not count, and what was deleted after it counts as restored.  An instance that has
    ended since it took its data, or ends while it is asked, is started again: the numbers say what it has left.
    Raises IpaBackupError when they differ, unless the server is `catching_up`: then other masters have sent entries,
    and taken some away, since the moment it started.
    """
    expected = entry_counts(counts.read_bytes())
    # Before it is asked: there would be a minute's patience with one that is only just coming up.
    _start_ended(chosen, machine, report)
    try:
        _compare(chosen, expected, since, machine, report, catching_up=catching_up)
    except DirectoryFailure:
        if not _start_ended(chosen, machine, report):
            raise
        _compare(chosen, expected, since, machine, report, catching_up=catching_up)


def _start_ended(chosen: Sequence[Chosen], machine: Machine, report: Reporter) -> bool:
    """Start the instances that do not run; False when all do."""
    ended = [unit for unit in dict.fromkeys(one.target.unit for one in chosen) if not machine.services.is_active(unit)]
    for unit in ended:
        report.show(f"{unit} does not run any more. Starting it again")
        machine.services.start(unit)
    return bool(ended)


def _compare(
    chosen: Sequence[Chosen],
    expected: Mapping[str, Mapping[str, int]],
    since: datetime | None,
    machine: Machine,
    report: Reporter,
    *,
    catching_up: bool,
) -> None:
    for one in chosen:
        for backend in one.backends:
            wanted = expected.get(one.record.name, {}).get(backend.name)
            found = machine.directory.stored_entries(one.target, one.target.backend(one.target_name(backend)))
            if found != wanted:
                # Or something was added since, which only a search can tell from what was restored.
                found = machine.directory.count_entries(one.target.ldapi_uri, backend.suffix, since)
            missing = (wanted or 0) - (found or 0)
            report.note(f"{backend.suffix}: {found} entries restored, {wanted} in the backup")
            if wanted != found and catching_up and found:
                report.note("The other masters have begun to send what this server missed")
            elif missing > 0 and since and missing <= _deleted(one, backend, since, machine):
                report.note("The others have been deleted since: the directory has been serving its clients")
            elif wanted != found:
                raise IpaBackupError(
                    f"{backend.suffix} has {found} entries after the restore, the backup has {wanted}.",
                    state="The directory runs with the restored data.",
                    remedy="Repeat the restore; if it happens again, extract the LDIF and compare.",
                )


def _deleted(one: Chosen, backend: BackendRecord, since: datetime, machine: Machine) -> int:
    return machine.directory.count_deleted(one.target.ldapi_uri, backend.suffix, since)


def restart_sssd(machine: Machine) -> None:
    """Restart SSSD with an empty cache, so that it forgets users and numbers as they were before."""
    services = machine.services
    if not services.exists(sssd.UNIT):
        return
    if services.is_active(sssd.UNIT):
        services.stop(sssd.UNIT)
    sssd.forget(machine.places.sssd)
    services.start(sssd.UNIT)
