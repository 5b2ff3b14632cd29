"""The steps of a restore of the directory's data alone, offline or online.

Everything is unpacked before anything stops.  While the databases are replaced the old ones are kept aside, so a failed
import leaves the directory as it was.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from ipabackup.archive.layout import binary_root, ldif_name, record_name
from ipabackup.directory.instances import Instance
from ipabackup.directory.staging import make_staging, remove_leftovers
from ipabackup.errors import DirectoryDied, DirectoryFailure, Incomplete, NotInstalled, Refused, UsageError, WrongHost
from ipabackup.host.services import start_all
from ipabackup.record import ENTRIES, BackendRecord, InstanceRecord
from ipabackup.restore.aside import keep, put_back
from ipabackup.restore.catch_up import backup_vectors, copied_live, require_supply
from ipabackup.restore.databases import (
    Chosen,
    check_counts,
    fetch_exports,
    ldif_file,
    replace_databases,
    restart_sssd,
    strip_ruv,
    unpack,
)
from ipabackup.restore.peers import PEERS_TITLE, Peers, younger_than
from ipabackup.restore.plan import RestoreOptions, RestorePlan, check_given_password, difference_of_versions
from ipabackup.restore.reinitialize import reinitialize
from ipabackup.restore.resume import Resumption
from ipabackup.server import Machine, Server, realm_masters, running_instances
from ipabackup.steps import Plan, Reporter, Step
from ipabackup.store import OpenedBackup


@dataclass
class _Run:
    """What the steps of one data restore hand to each other."""

    backup: OpenedBackup
    options: RestoreOptions
    machine: Machine
    peers: Peers
    chosen: list[Chosen]
    units: list[str]
    staging: dict[str, Path] = field(default_factory=dict)
    aside: dict[str, Path] = field(default_factory=dict)
    counts: Path | None = None
    started: datetime | None = None
    replaced: bool = False


def plan_data_restore(
    backup: OpenedBackup, server: Server | None, options: RestoreOptions, machine: Machine
) -> RestorePlan:
    """The plan of a restore of the data in `backup`, of whatever type it is, into the instances of `server`.

    Raises NotInstalled, WrongHost (another realm), UsageError (an unknown instance or backend), Refused
    (CannotCatchUp among it) and WrongPassword; changes nothing.
    """
    if server is None:
        raise NotInstalled(
            "No IPA server is configured on this host, so there is nothing that could take the data.",
            remedy="Restore the full backup, or install a server first.",
        )
    record = backup.record
    if record.realm != server.realm or record.basedn.lower() != server.basedn.lower():
        raise WrongHost(
            f"The backup is one of the realm {record.realm}, but this server belongs to {server.realm}.",
            remedy="Data can be restored on any server of the same realm.",
        )
    running = running_instances(server, machine)
    masters = realm_masters(server, running, machine)
    names = tuple(sorted({*masters, *backup.record.masters} - {server.host}))
    chosen = choose(backup, server, options, alone=len(masters) == 1)
    suffixes = [backend.suffix for one in chosen for backend in one.backends]
    peers = Peers(server.host, names, options.password, machine, younger_than(record, names, suffixes))
    peers.doors |= {*record.doors, *server.doors}
    check_given_password(options.password, server, machine)
    active = [one.target.unit for one in chosen if one.target in running]
    if options.online and len(active) < len(chosen):
        raise Refused(
            "The directory server is not running, so nothing can be restored online.",
            remedy="Start it, or leave out --online.",
        )
    vectors = {} if options.authoritative else backup_vectors(backup)
    catching_up = require_supply(backup, vectors, suffixes, peers, options, machine)
    run = _Run(backup, options, machine, peers, chosen, [] if options.online else active)
    steps = [Step("unpack-data", "Unpacking the data", lambda report: _unpack(run, report))]
    if options.authoritative and names:
        steps += [peers.step(), Step("disable-own", "Switching own agreements off", lambda report: _mute(run, report))]
    resumption = None
    if not options.authoritative and names and (options.online or run.units):
        resumption = Resumption(
            peers,
            record.basedn,
            suffixes,
            vectors,
            lambda: tuple({one.target.name: one.target for one in chosen}.values()),
            copied_live(record),
        )
    if options.online:
        if resumption is not None:
            steps.append(resumption.hold())
        steps.append(Step("restore-data", "Restoring into the running directory", lambda report: _load(run, report)))
    else:
        if run.units:
            steps.append(
                Step(
                    "stop-directory",
                    "Stopping the directory server",
                    lambda report: _stop(run, report),
                    closed_by="start-directory",
                )
            )
        steps.append(Step("restore-data", "Restoring the databases", lambda report: _replace(run, report)))
        if resumption is not None:
            steps.append(resumption.hold())
        if run.units:
            steps.append(Step("start-directory", "Starting the directory server", lambda report: _start(run, report)))
    if options.online or run.units:
        steps.append(Step("count-entries", "Counting restored entries", lambda report: _count(run, report)))
        if options.reinitialize:
            steps.append(Step("reinitialize-peers", PEERS_TITLE, lambda report: _peers(run, report)))
        if resumption is not None:
            steps += resumption.resume()
        steps.append(Step("restart-sssd", "Restarting SSSD", lambda report: restart_sssd(machine)))
    steps.append(Step("check", "Looking back", lambda report: _check(run, report)))
    overwrites = tuple(
        f"all data of {backend.suffix} (slapd-{one.target.name}, {one.target_name(backend)})"
        for one in chosen
        for backend in one.backends
    )
    facts = {
        "backup": str(backup.path),
        "host": server.host,
        "overwrites": list(overwrites),
        "method": ["binary" if one.binary else "ldif" for one in chosen],
        "stops": run.units,
        "masters": list(names),
        **({"warnings": catching_up} if catching_up else {}),
    }
    title = f"Data restore of {server.host} from {backup.path}"
    plan = Plan("restore-data", title, tuple(steps), lambda: _cleanup(run), facts, goes_on=True)
    return RestorePlan(plan, overwrites, names, difference_of_versions(backup.header.ipa_version, machine))


def choose(backup: OpenedBackup, server: Server, options: RestoreOptions, *, alone: bool) -> list[Chosen]:
    """Which backends of the backup go into which instances here, and how.

    A backend goes where its suffix is.  The binary copy serves when it fits: same host, database library and server
    version, and all that the instance here holds is replaced.  A running server cannot begin a new replication
    generation from it, so with other masters (not `alone`) an authoritative online restore takes the LDIF.  Raises
    UsageError and Refused.
    """
    binary = not options.online or not options.authoritative or alone
    record = backup.record
    instances = _named_instances(record.instances, options.instance)
    pairs: dict[tuple[str, str], list[BackendRecord]] = {}
    targets: dict[str, Instance] = {}
    for instance in instances:
        for backend in instance.backends:
            if options.backend is not None and backend.name.lower() != options.backend.lower():
                continue
            target = _home_of(backend, server)
            targets[target.name] = target
            pairs.setdefault((instance.name, target.name), []).append(backend)
    if not pairs:
        names = sorted({backend.name for instance in instances for backend in instance.backends})
        raise UsageError(f"The backup holds no backend {options.backend}.", remedy=f"It holds: {', '.join(names)}.")
    by_name = {instance.name: instance for instance in instances}
    return [
        Chosen(
            by_name[source],
            tuple(backends),
            targets[target],
            binary and _fits(backup, by_name[source], targets[target], backends, server),
        )
        for (source, target), backends in pairs.items()
    ]


def _named_instances(instances: tuple[InstanceRecord, ...], name: str | None) -> tuple[InstanceRecord, ...]:
    if name is None:
        return instances
    wanted = name[len("slapd-") :] if name.startswith("slapd-") else name
    found = tuple(instance for instance in instances if instance.name.lower() == wanted.lower())
    if not found:
        raise UsageError(
            f"The backup holds no instance {name}.",
            remedy=f"It holds: {', '.join(instance.name for instance in instances)}.",
        )
    return found


def _home_of(backend: BackendRecord, server: Server) -> Instance:
    for instance in server.instances:
        if any(present.suffix.lower() == backend.suffix.lower() for present in instance.backends):
            return instance
    raise Refused(
        f"No directory instance of this server holds {backend.suffix}.",
        remedy="Choose with --instance or --backend what this server has.",
    )


def _fits(
    backup: OpenedBackup, source: InstanceRecord, target: Instance, backends: list[BackendRecord], server: Server
) -> bool:
    record = backup.record
    return (
        record.host == server.host
        and source.name == target.name
        and source.library == target.library
        and record.directory_version == server.directory_version
        and {backend.suffix.lower() for backend in backends} == {one.suffix.lower() for one in target.backends}
        and len(backends) == len(source.backends)
    )


def _unpack(run: _Run, report: Reporter) -> None:
    destinations: dict[str, Path] = {}
    for one in run.chosen:
        home = one.target.backup_dir
        if one.record.name not in run.staging:
            if one.target.name not in {other.target.name for other in run.chosen[: run.chosen.index(one)]}:
                remove_leftovers(home)
            run.staging[one.record.name] = make_staging(home, one.target.user)
        staging = run.staging[one.record.name]
        if one.binary:
            destinations[binary_root(one.record.name)] = staging / "binary"
        else:
            for backend in one.backends:
                destinations[ldif_name(one.record.name, backend.name)] = ldif_file(staging, backend)
    run.counts = next(iter(run.staging.values())) / ENTRIES
    destinations[record_name(ENTRIES)] = run.counts

    unpack(
        run.backup,
        destinations,
        run.chosen[0].target.user,
        run.machine,
        progress=lambda done: report.progress(done, run.backup.header.uncompressed_size or 0),
        state="Nothing was stopped or changed.",
    )


def _stop(run: _Run, report: Reporter) -> None:
    for unit in reversed(run.units):
        run.machine.services.stop(unit)
    run.peers.withdraw_orders({one.target.name: one.target for one in run.chosen}.values())


def _replace(run: _Run, report: Reporter) -> None:
    for one in run.chosen:
        name = one.target.name
        staging = run.staging[one.record.name]
        if name not in run.aside:
            # An instance of the backup may be spread over several here, so their copies lie beside each other.
            place = staging / f"before-{name}"
            keep(one.target.database_dir, place, needed=not one.binary)
            run.aside[name] = place
        replace_databases(one, staging, run.backup, run.machine, report, authoritative=run.options.authoritative)
    run.replaced = True


def _put_back(run: _Run) -> None:
    """After a failed restore: the databases as they were before."""
    for one in run.chosen:
        place = run.aside.get(one.target.name)
        if place is not None:
            put_back(place, one.target.database_dir)
            del run.aside[one.target.name]


def _start(run: _Run, report: Reporter) -> None:
    if not run.replaced and run.aside:
        _put_back(run)
        report.note("The databases are back as they were before")
    run.started = datetime.now(timezone.utc)
    start_all(run.machine.services, run.units)


def _load(run: _Run, report: Reporter) -> None:
    run.started = datetime.now(timezone.utc)
    for one in run.chosen:
        try:
            _load_into(run, one, report)
        except DirectoryDied as problem:
            report.show(f"{problem.message} Going on while slapd-{one.target.name} is stopped")
            _replace_after_death(run, one, report)


def _load_into(run: _Run, one: Chosen, report: Reporter) -> None:
    staging = run.staging[one.record.name]
    uri = one.target.ldapi_uri
    if one.binary:
        report.note(f"Restoring all databases of slapd-{one.target.name}")
        try:
            run.machine.directory.restore(uri, staging / "binary")
        except DirectoryDied:
            raise
        except DirectoryFailure as problem:
            report.note(f"The binary copy does not serve: {problem.message}")
            fetch_exports(one, staging, run.backup, run.machine)
        else:
            return
    for backend in one.backends:
        name = one.target_name(backend)
        report.note(f"Importing {name} of slapd-{one.target.name}")
        if run.options.authoritative:
            strip_ruv(ldif_file(staging, backend))
        run.machine.directory.load(uri, name, ldif_file(staging, backend))


def _replace_after_death(run: _Run, one: Chosen, report: Reporter) -> None:
    """Do offline what a server died of; its databases are spoilt, so none are kept aside.

    systemd may be starting it again just now: it is stopped first, whatever its state.
    """
    services, unit = run.machine.services, one.target.unit
    services.stop(unit)
    try:
        replace_databases(
            one,
            run.staging[one.record.name],
            run.backup,
            run.machine,
            report,
            authoritative=run.options.authoritative,
        )
    finally:
        services.start(unit)


def _count(run: _Run, report: Reporter) -> None:
    assert run.counts is not None, "the data's step comes first"
    catching_up = not run.options.authoritative and bool(run.peers.names)
    check_counts(run.chosen, run.counts, run.started, run.machine, report, catching_up=catching_up)


def _mute(run: _Run, report: Reporter) -> None:
    """Switch off the agreements of the instances here: those that run by LDAP, others in their configuration."""
    instances = {one.target.name: one.target for one in run.chosen}.values()
    if run.peers.unreachable and any(run.machine.services.is_active(instance.unit) for instance in instances):
        # An agreement ends when the answer that it waits for, and the attempt to connect after it, timed out.
        report.note("Sessions with masters that are cut off have to time out, which may take ten minutes")
    run.peers.disable_own(instances, report)


def _peers(run: _Run, report: Reporter) -> None:
    instances = list({one.target.name: one.target for one in run.chosen}.values())
    suffixes = [backend.suffix for one in run.chosen for backend in one.backends]
    reinitialize(run.peers, run.backup.record.basedn, instances, suffixes, run.machine, report)


def _check(run: _Run, report: Reporter) -> None:
    if run.options.authoritative:
        run.peers.conclude(report)
    elif run.peers.names and not (run.options.online or run.units):
        report.warn(
            "The directory server does not run, so it has not caught up with the other masters. When it runs, fill it "
            "from one of them: ipa-replica-manage re-initialize --from=HOST (ipa-csreplica-manage likewise)"
        )
    if report.warnings:
        raise Incomplete("The restore is done, with warnings: " + "; ".join(report.warnings))


def _cleanup(run: _Run) -> None:
    if not run.replaced:
        _put_back(run)
    for folder in run.staging.values():
        if folder.exists():
            shutil.rmtree(folder)
