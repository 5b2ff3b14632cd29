"""The steps of a backup, full or of the directory's data only.

Only what must be still is taken while IPA is stopped: the binary copy of the databases and the files.  The LDIF is
exported from that copy after IPA has been started again, so both show the same moment and nobody waits for it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import ipabackup
from ipabackup.archive.gpg import Keyring
from ipabackup.archive.header import CURRENT_FORMAT, STOCK_FORMAT, BackupType, Header
from ipabackup.archive.layout import binary_root, file_name, payload_name, record_name
from ipabackup.archive.publish import PartialBackup, leftovers
from ipabackup.archive.stock_writer import StockWriter
from ipabackup.archive.writer import Payload, PayloadWriter, Sealed
from ipabackup.directory.compact import LOCK
from ipabackup.directory.instances import DSE, Instance
from ipabackup.directory.staging import make_staging, memory_for, remove_leftovers
from ipabackup.errors import DirectoryDied, Refused, UsageError
from ipabackup.exports import EXPORTING, Exports
from ipabackup.host import sssd
from ipabackup.host.accounts import Group, User
from ipabackup.host.services import start_all
from ipabackup.inventory import Inventory, InventoryItem, PathKind, resolve
from ipabackup.record import ENTRIES, SERVER, ServerRecord
from ipabackup.roles import BOOLEANS, CLUSTER_ROLES, ours
from ipabackup.server import BACKUP_DIR, Machine, Server, realm_masters, running_instances
from ipabackup.space import for_backup, predict, require
from ipabackup.steps import Plan, Reporter, Step


@dataclass(frozen=True)
class BackupOptions:
    """What was asked for.

    `data` leaves files out, `online` then stops nothing, as `hot` does for a full backup; `logs` adds the log files;
    `target` is the folder that backups are kept in; `level` is zstd's; `keyring` names the key to encrypt for, already
    checked (None: no encryption); `format` 1 is what FreeIPA's own ipa-restore reads; `space_check` and `role_check`
    refuse what is bound to fail.
    """

    data: bool = False
    online: bool = False
    hot: bool = False
    logs: bool = False
    target: Path = BACKUP_DIR
    level: int = 3
    keyring: Keyring | None = None
    format: int = CURRENT_FORMAT
    space_check: bool = True
    role_check: bool = True


@dataclass
class _Run:
    """What the steps of one backup hand to each other."""

    server: Server
    options: BackupOptions
    machine: Machine
    inventory: Inventory
    moment: datetime
    exporting: Exports
    masters: Mapping[str, frozenset[str]]
    running: tuple[Instance, ...]
    stops: list[str] = field(default_factory=list)
    partial: PartialBackup | None = None
    writer: Payload | None = None
    sealed: Sealed | None = None
    staging: dict[str, Path] = field(default_factory=dict)
    entries: dict[str, dict[str, int]] = field(default_factory=dict)
    services: list[str] = field(default_factory=list)
    published: Path | None = None

    @property
    def payload(self) -> Payload:
        assert self.writer is not None, "the step that opens the payload comes first"
        return self.writer


@dataclass(frozen=True)
class BackupPlan:
    """A plan, and where its result is to be found once it has run."""

    plan: Plan
    run: _Run

    @property
    def path(self) -> Path | None:
        """The finished backup, or None."""
        return self.run.published


def plan_backup(server: Server, options: BackupOptions, machine: Machine) -> BackupPlan:
    """The plan of a backup of `server`; reads the inventory, changes nothing.

    Raises UsageError for options that exclude each other, Refused when the directory is not running and the backup
    is to be online or when other masters have roles that this one lacks, and NoSpace.
    """
    if options.online and not options.data:
        raise UsageError("--online is for data backups only.", remedy="Give --data as well.")
    if options.data and options.logs:
        raise UsageError("--data and --logs exclude each other: a data backup holds no files.")
    if options.data and options.hot:
        raise UsageError("--hot is for full backups.", remedy="For a data backup that stops nothing give --online.")
    inventory = Inventory((), ())
    if not options.data:
        inventory = resolve(machine.rules(), server.names(), machine.probe, logs=options.logs)
    running = running_instances(server, machine)
    masters = realm_masters(server, running, machine)
    if options.role_check:
        check_roles(server, masters)
    demands = for_backup(
        server.instances,
        inventory.items,
        options.target,
        options.level,
        format=options.format,
        encrypted=options.keyring is not None,
    )
    predictions = predict(demands, machine.room)
    if options.space_check:
        require(predictions)
    moment = datetime.now(timezone.utc).replace(microsecond=0)
    run = _Run(server, options, machine, inventory, moment, Exports(machine.tools, server.host), masters, running)
    steps = [
        Step("prepare", "Preparing the backup", lambda report: _prepare(run, report)),
        *(_data_steps(run) if options.data else _full_steps(run)),
        Step("archive-data", "Archiving the databases", lambda report: _archive_data(run, report)),
        Step("export-ldif", "Exporting the directory as LDIF", lambda report: _export(run, report)),
    ]
    logs = [item for item in inventory.items if item.kind is PathKind.LOG]
    if logs:
        steps.append(Step("archive-logs", "Archiving logs", lambda report: _archive_items(run, logs, report)))
    steps += [
        Step("seal", "Finishing the payload", lambda report: _seal(run, report)),
        Step("publish", "Publishing the backup", lambda report: _publish(run, report)),
    ]
    facts = {
        "host": server.host,
        "target": str(options.target),
        "instances": [str(summary) for summary in server.summaries()],
        "paths": [item.path for item in inventory.items],
        "stops": run.stops,
        "space": [prediction.describe() for prediction in predictions],
        "encrypted_for": options.keyring.recipient if options.keyring else "",
    }
    kind = "Data backup" if options.data else "Full backup"
    title = f"{kind} of {server.host} into {options.target}"
    return BackupPlan(Plan("backup", title, tuple(steps), lambda: _cleanup(run), facts), run)


def check_roles(server: Server, masters: Mapping[str, frozenset[str]]) -> None:
    """Raises Refused when the realm uses a CA, DNS, KRA or AD trust that this server does not have.

    Its backup could not bring the realm back.  `masters` are those of `realm_masters`: none when the directory does not
    run.
    """
    here = masters.get(server.host)
    if here is None:
        return
    used = frozenset().union(*masters.values()) & CLUSTER_ROLES
    lacking = sorted(used - here)
    if lacking:
        elsewhere = {role: sorted(host for host, has in masters.items() if role in has) for role in lacking}
        told = "; ".join(f"{role} runs on {', '.join(hosts)}" for role, hosts in elsewhere.items())
        raise Refused(
            f"This server lacks what its realm uses: {told}. Its backup alone could not bring the realm back.",
            remedy="Back up one of those servers, or insist with --disable-role-check.",
        )


def _full_steps(run: _Run) -> Iterator[Step]:
    """Stop IPA, take what must be still, start IPA again; a hot backup takes all from the running server."""
    services = run.machine.services
    still = [item for item in run.inventory.items if item.kind is not PathKind.LOG]
    archive = _archive_live if run.options.hot else _archive_items
    files = Step("archive-files", "Archiving files", lambda report: archive(run, still, report))
    if run.options.hot:
        yield _live_copy(run)
        yield files
        return
    # Asked here, where it matters: ipactl takes its time.
    running = services.ipa_running()
    if running:
        run.stops = ["ipa"]
        yield Step("stop-ipa", "Stopping IPA", lambda _: services.ipa_stop(), closed_by="start-ipa")
    yield Step("copy-data", "Copying the directory's databases", lambda report: _copy_data(run, report))
    yield files
    if running:

        def start(report: Reporter) -> None:
            services.ipa_start()
            sssd.go_online(run.machine.processes)

        yield Step("start-ipa", "Starting IPA again", start)


def _live_copy(run: _Run) -> Step:
    """The step that has the running directory copy its databases; raises Refused when it does not run."""
    if run.running != run.server.instances:
        raise Refused(
            "The directory server is not running, so it cannot be backed up while it runs.",
            remedy="Start it, or leave out --online and --hot.",
        )
    return Step("copy-data", "Copying the databases of the running directory", lambda report: _copy_live(run, report))


def _data_steps(run: _Run) -> Iterator[Step]:
    """Take the databases: from the running server, or with only the directory stopped meanwhile."""
    services = run.machine.services
    if run.options.online:
        yield _live_copy(run)
        return
    units = [instance.unit for instance in run.running]
    if units:
        run.stops = units

        def stop(report: Reporter) -> None:
            for unit in reversed(units):
                services.stop(unit)

        def start(report: Reporter) -> None:
            start_all(services, units)
            sssd.go_online(run.machine.processes)

        yield Step("stop-directory", "Stopping the directory server", stop, closed_by="start-directory")
    yield Step("copy-data", "Copying the directory's databases", lambda report: _copy_data(run, report))
    if units:
        yield Step("start-directory", "Starting the directory server again", start)


def _prepare(run: _Run, report: Reporter) -> None:
    for old in leftovers(run.options.target):
        report.note(f"Removing what an unfinished backup left behind: {old}")
        shutil.rmtree(old)
    run.partial = PartialBackup.create(run.options.target, full=not run.options.data, moment=run.moment)
    for instance in run.server.instances:
        for home in (instance.backup_dir, instance.run_dir):
            for old in remove_leftovers(home):
                report.note(f"Removed what an unfinished operation left behind: {old}")
        run.staging[instance.name] = make_staging(_staging_home(run, instance, report), instance.user)
    run.writer = _writer(run, run.partial.path, report)
    run.payload.add_bytes(record_name(SERVER), _record(run).render())
    for rule in run.inventory.missing:
        report.note(f"Not on this server: {rule.pattern}")


def _staging_home(run: _Run, instance: Instance, report: Reporter) -> Path:
    """Where the copy of an instance's databases waits: beside them, or in memory when the backup is encrypted."""
    if run.options.keyring is None:
        return instance.backup_dir
    home = memory_for(instance)
    if home is None:
        report.note(
            f"slapd-{instance.name}: there is not enough memory for a copy of the databases; it lies beside them, as "
            "readable as they are, until it is encrypted"
        )
    return home or instance.backup_dir


def _writer(run: _Run, folder: Path, report: Reporter) -> Payload:
    options = run.options
    target = folder / payload_name(full=not options.data, encrypted=options.keyring is not None)

    def progress(done: int) -> None:
        report.progress(done, 0)

    if options.format == STOCK_FORMAT:
        return StockWriter(target, keyring=options.keyring, progress=progress)
    return PayloadWriter(target, level=options.level, keyring=options.keyring, progress=progress)


def _record(run: _Run) -> ServerRecord:
    users, groups = _owners(run)
    selinux = run.machine.selinux
    booleans = None
    if selinux.enabled():
        booleans = {name: state.now for name, state in selinux.booleans(BOOLEANS).items()}
    return ServerRecord.of(
        run.server,
        type=_type(run).value,
        time=run.moment.isoformat(),
        users=users,
        groups=groups,
        units=() if run.options.data else tuple(ours(run.machine.services.enabled_units())),
        paths=tuple(item.path for item in run.inventory.items),
        logs=tuple(item.path for item in run.inventory.items if item.kind is PathKind.LOG),
        exclusive=tuple((item.path, item.exclude) for item in run.inventory.items if item.exclusive),
        online=run.options.online or run.options.hot,
        masters=tuple(sorted(run.masters)),
        booleans=booleans,
        missing=tuple(rule.pattern for rule in run.inventory.missing),
    )


def _type(run: _Run) -> BackupType:
    return BackupType.DATA if run.options.data else BackupType.FULL


def _owners(run: _Run) -> tuple[tuple[User, ...], tuple[Group, ...]]:
    """The local accounts that own anything in the backup, and those that the directory runs as."""
    uids: set[int] = set()
    gids: set[int] = set()
    for path in _walk(run.inventory.items):
        try:
            status = os.lstat(path)
        except OSError:
            continue
        uids.add(status.st_uid)
        gids.add(status.st_gid)
    accounts = run.machine.accounts
    # Users of the directory itself are its data and not accounts of this host.
    users = {
        user.name: user
        for user in map(accounts.user_of, sorted(uids))
        if user is not None and accounts.is_local(user.name)
    }
    for instance in run.server.instances:
        user = accounts.user(instance.user)
        if user is not None:
            users[user.name] = user
    groups = {
        group.name: group
        for group in map(accounts.group_of, sorted(gids))
        if group is not None and accounts.is_local(group.name)
    }
    for user in users.values():
        for name in (user.group, *user.groups):
            group = accounts.group(name)
            if group is not None:
                groups[name] = group
    return tuple(users.values()), tuple(groups.values())


def _walk(items: tuple[InventoryItem, ...]) -> Iterator[str]:
    for item in items:
        yield item.path
        if item.kind is PathKind.REQUIRED_DIRECTORY:
            continue
        for folder, folders, files in os.walk(item.path):
            folders[:] = [name for name in folders if not item.excludes(f"{folder}/{name}")]
            for name in (*folders, *files):
                yield f"{folder}/{name}"


def _copy_data(run: _Run, report: Reporter) -> None:
    for instance in run.server.instances:
        report.note(f"Binary copy of slapd-{instance.name}")
        run.machine.tools.archive(instance, run.staging[instance.name] / "binary")
        run.exporting.begin(instance, run.staging[instance.name], run.payload)


def _copy_live(run: _Run, report: Reporter) -> None:
    for instance in run.server.instances:
        report.note(f"Online backup of slapd-{instance.name}")
        try:
            run.machine.directory.backup(instance.ldapi_uri, run.staging[instance.name] / "binary")
        except DirectoryDied as problem:
            run.machine.services.start(instance.unit)
            problem.state = f"{instance.unit} was started again."
            raise
        run.exporting.begin(instance, run.staging[instance.name], run.payload)


def _archive_items(run: _Run, items: list[InventoryItem], report: Reporter) -> None:
    for item in items:
        path = Path(item.path)
        run.payload.add_parents(path, file_name(item.path))
        if item.kind in (PathKind.FILE, PathKind.REQUIRED_DIRECTORY):
            run.payload.add_path(path, file_name(item.path))
        else:
            run.payload.add_tree(path, file_name(item.path), exclude=item.excludes)


def _archive_live(run: _Run, items: list[InventoryItem], report: Reporter) -> None:
    """Archive `items` while their owners may write to them.

    A directory server's configuration has no name at all for a moment whenever it is written (see `read_config`): where
    the folder was read just then, it is still to be added.
    """
    _archive_items(run, items, report)
    for instance in run.server.instances:
        configuration = instance.config_dir / DSE
        run.payload.add_path(configuration, file_name(str(configuration)))


def _archive_data(run: _Run, report: Reporter) -> None:
    # Services are back, and the export takes longest: neither is to wait for a compressor.
    run.machine.give_way(EXPORTING)
    for instance in run.server.instances:
        source, root = run.staging[instance.name] / "binary", binary_root(instance.name)
        with run.exporting.compacted(instance) as smaller:
            if smaller is None:
                run.payload.add_tree(source, root)
                continue
            database = source / "data.mdb"
            report.note(f"slapd-{instance.name}: {smaller.size} bytes of its database are in use")
            left_out = {str(database), str(source / LOCK)}
            run.payload.add_tree(source, root, exclude=left_out.__contains__)
            run.payload.add_stream(f"{root}/{database.name}", smaller.content, smaller.size, like=database)


def _export(run: _Run, report: Reporter) -> None:
    for instance in run.server.instances:
        for exported in run.exporting.of(instance, run.payload):
            exported.member.commit()
            backend, entries = exported.backend, exported.summary.entries
            report.note(f"{instance.name}, {backend.name}: {entries} entries")
            run.entries.setdefault(instance.name, {})[backend.name] = entries
            if backend.suffix.lower() == run.server.basedn.lower():
                run.services = exported.services


def _seal(run: _Run, report: Reporter) -> None:
    run.payload.add_bytes(record_name(ENTRIES), json.dumps(run.entries).encode())
    run.sealed = run.payload.close()
    for finding in run.sealed.findings:
        report.warn(str(finding))


def _publish(run: _Run, report: Reporter) -> None:
    assert run.sealed is not None
    assert run.partial is not None
    header = Header(
        type=_type(run),
        time=run.moment,
        host=run.server.host,
        ipa_version=run.server.ipa_version,
        version=run.options.format,
        services=tuple(run.services),
        realm=run.server.realm,
        product_version=ipabackup.__version__,
        instances=run.server.summaries(),
        compression="gzip" if run.options.format == STOCK_FORMAT else "zstd",
        encryption="gpg" if run.options.keyring else "none",
        recipients=(run.options.keyring.recipient,) if run.options.keyring else (),
    ).sealed(
        payload=run.sealed.path.name,
        size=run.sealed.size,
        sha256=run.sealed.sha256,
        uncompressed_size=run.sealed.uncompressed_size,
    )
    run.published = run.partial.publish(header.render())
    report.note(f"{run.published}: {run.sealed.size} bytes, {run.sealed.members} members")


def _cleanup(run: _Run) -> None:
    run.exporting.cancel()
    if run.published is None:
        if run.writer is not None and run.sealed is None:
            run.writer.abort()
        if run.partial is not None:
            run.partial.discard()
    for folder in run.staging.values():
        shutil.rmtree(folder)
