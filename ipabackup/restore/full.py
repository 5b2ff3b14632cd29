"""The steps of a full restore.

Every refusal happens while the plan is made; once the first step has run, IPA is down until the last ones bring it up
with what the backup holds.  A restore that failed half-way can be repeated: it depends on nothing that it changes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from ipabackup.archive.extract import Destination, Extracted, extract
from ipabackup.archive.layout import binary_root, file_path, ldif_name, record_name
from ipabackup.archive.member import Kind, Member
from ipabackup.directory.instances import discover_instances
from ipabackup.directory.staging import make_staging, remove_leftovers
from ipabackup.directory.tools import NS_SLAPD
from ipabackup.errors import Incomplete, IpaBackupError, MissingService, WrongHost
from ipabackup.host import certmonger, sssd
from ipabackup.host.accounts import ByName
from ipabackup.host.files import change_numbers
from ipabackup.host.processes import CommandFailed, CommandMissing
from ipabackup.inventory import InventoryItem, PathKind
from ipabackup.record import ENTRIES
from ipabackup.restore.catch_up import backup_vectors, copied_live, require_supply
from ipabackup.restore.databases import Chosen, check_counts, emptied, replace_databases, restart_sssd
from ipabackup.restore.peers import PEERS_TITLE, Peers, younger_than
from ipabackup.restore.plan import RestoreOptions, RestorePlan, check_given_password, difference_of_versions
from ipabackup.restore.reinitialize import reinitialize
from ipabackup.restore.resume import Resumption
from ipabackup.roles import BOOLEANS, installed_units, lacking, ours
from ipabackup.server import Machine, Server, realm_masters, running_instances
from ipabackup.steps import Plan, Reporter, Step
from ipabackup.store import OpenedBackup

ROOT = Path("/")
#: Programs that bring restored certificate authorities into the system's trust store: Debian's, Fedora's.
TRUST_TOOLS = ("update-ca-certificates", "update-ca-trust")


@dataclass
class _Run:
    """What the steps of one restore hand to each other."""

    backup: OpenedBackup
    options: RestoreOptions
    machine: Machine
    server: Server | None
    peers: Peers
    units: dict[str, tuple[str, ...]]
    staging: dict[str, Path] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    folders: list[tuple[str, str, str]] = field(default_factory=list)
    extracted: Extracted | None = None
    counts: Path | None = None
    started: datetime | None = None


def plan_full_restore(
    backup: OpenedBackup, server: Server | None, options: RestoreOptions, machine: Machine
) -> RestorePlan:
    """The plan of a full restore of `backup` on this host, where `server` is configured now (None: nothing is).

    Raises WrongHost, MissingService, WrongPassword and CannotCatchUp; changes nothing.
    """
    header, record = backup.header, backup.record
    _check_host(header.host, server, machine)
    _check_software(header.services, machine)
    check_given_password(options.password, server, machine)

    names = _peer_names(backup, server, machine)
    suffixes = [backend.suffix for instance in record.instances for backend in instance.backends]
    peers = Peers(header.host, names, options.password, machine, younger_than(record, names, suffixes))
    peers.doors |= {*record.doors, *(server.doors if server is not None else ())}
    vectors = {} if options.authoritative else backup_vectors(backup)
    catching_up = require_supply(backup, vectors, suffixes, peers, options, machine)
    run = _Run(backup, options, machine, server, peers, installed_units(header.services, machine.services))
    catches_up = not options.authoritative and bool(names)
    resumption = Resumption(
        peers,
        record.basedn,
        suffixes,
        vectors,
        lambda: discover_instances(machine.places.directory_config),
        copied_live(record),
    )
    fill_peers = Step("reinitialize-peers", PEERS_TITLE, lambda report: _peers(run, report))
    steps = (
        Step("stop-services", "Stopping IPA and its services", lambda report: _stop(run, report)),
        Step("restore-accounts", "Creating missing accounts", lambda report: _accounts(run, report)),
        Step("restore-files", "Restoring files", lambda report: _files(run, report)),
        Step("remove-leftovers", "Removing what the backup does not have", lambda report: _prune(run, report)),
        Step("refresh-system", "Telling the system about restored files", lambda report: _refresh(run, report)),
        *([run.peers.step()] if options.authoritative and run.peers.names else []),
        Step("restore-data", "Restoring the directory's data", lambda report: _data(run, report)),
        *([resumption.hold()] if catches_up else []),
        Step("start-ipa", "Starting IPA", lambda report: _start(run, report)),
        Step("count-entries", "Counting restored entries", lambda report: _count(run, report)),
        *([fill_peers] if options.reinitialize else []),
        *(resumption.resume() if catches_up else []),
        Step("restart-sssd", "Restarting SSSD and certmonger", lambda report: _restart(run, report)),
        Step("selinux", "Setting SELinux labels and booleans", lambda report: _selinux(run, report)),
        Step("check-services", "Checking that everything runs", lambda report: _check(run, report)),
    )
    overwrites = (
        f"the configuration and the keys of the IPA server {header.host}",
        *(
            f"all data of {backend.suffix} (slapd-{instance.name}, {backend.name})"
            for instance in record.instances
            for backend in instance.backends
        ),
    )
    facts = {
        "backup": str(backup.path),
        "host": header.host,
        "overwrites": list(overwrites),
        "services": list(header.services),
        "masters": list(run.peers.names),
        **({"warnings": catching_up} if catching_up else {}),
    }
    title = f"Full restore of {header.host} from {backup.path}"
    plan = Plan("restore", title, steps, lambda: _cleanup(run), facts, goes_on=True)
    return RestorePlan(plan, overwrites, run.peers.names, difference_of_versions(header.ipa_version, machine))


def _peer_names(backup: OpenedBackup, server: Server | None, machine: Machine) -> tuple[str, ...]:
    present = realm_masters(server, running_instances(server, machine), machine) if server is not None else {}
    return tuple(sorted({*present, *backup.record.masters} - {backup.header.host}))


def _check_host(host: str, server: Server | None, machine: Machine) -> None:
    names = [server.host] if server is not None else list(machine.hostnames())
    if host not in names:
        raise WrongHost(
            f"The backup is one of {host}, but this host is {names[0]}: a full restore belongs on the same host.",
            remedy=f"Give this host the name {host}, or restore the data only.",
        )


def _check_software(services: tuple[str, ...], machine: Machine) -> None:
    try:
        machine.processes.run([NS_SLAPD, "-v"], check=False, timeout=30)
    except CommandMissing as error:
        raise MissingService(
            "The 389 Directory Server is not installed on this host.",
            remedy="Install the package 389-ds-base, then try again.",
        ) from error
    missing = lacking(services, machine.services)
    if missing:
        names = ", ".join(role.name for role in missing)
        packages = ", ".join(sorted({" or ".join(dict.fromkeys(role.packages)) for role in missing}))
        raise MissingService(
            f"The backup needs services that are not installed on this host: {names}.",
            remedy=f"Install {packages}, then try again.",
        )


def _stop(run: _Run, report: Reporter) -> None:
    services = run.machine.services
    if services.ipa_configured():
        # A half-broken server may be unable to stop by its own means; the units below are what counts.
        try:
            services.ipa_stop()
        except IpaBackupError as trouble:
            report.warn(f"ipactl could not stop IPA ({trouble}); its services are stopped one by one.")
    units = dict.fromkeys(unit for units in reversed(run.units.values()) for unit in units)
    present = [instance.name for instance in run.server.instances] if run.server else []
    for name in (*present, *(instance.name for instance in run.backup.record.instances)):
        units[f"dirsrv@{name}.service"] = None
    for unit in (*units, certmonger.UNIT, sssd.UNIT):
        if services.is_active(unit):
            report.note(f"Stopping {unit}")
            services.stop(unit)


def _accounts(run: _Run, report: Reporter) -> None:
    accounts = run.machine.accounts
    for group in run.backup.record.groups:
        if accounts.group(group.name) is None:
            made = accounts.create_group(group)
            report.note(f"Created group {made.name} with gid {made.gid} (it had {group.gid})")
    for user in run.backup.record.users:
        if accounts.user(user.name) is None:
            new = accounts.create_user(user)
            report.note(f"Created user {new.name} with uid {new.uid} (it had {user.uid})")


def _wants_ldif(run: _Run) -> bool:
    """Whether the data goes back as LDIF: the binary copy fits only the very server that wrote it."""
    return run.machine.tools.server_version() != run.backup.record.directory_version


def _files(run: _Run, report: Reporter) -> None:
    destinations: dict[str, Path] = {}
    for instance in run.backup.record.instances:
        home = Path(instance.backup_dir)
        remove_leftovers(home)
        staging = make_staging(home, instance.user)
        run.staging[instance.name] = staging
        if _wants_ldif(run):
            for backend in instance.backends:
                destinations[ldif_name(instance.name, backend.name)] = staging / f"{backend.name}.ldif"
        else:
            destinations[binary_root(instance.name)] = staging / "binary"

    run.counts = run.staging[run.backup.record.instances[0].name] / ENTRIES
    destinations[record_name(ENTRIES)] = run.counts
    logs = tuple(run.backup.record.logs)

    def choose(member: Member) -> Destination | None:
        path = file_path(member.name)
        if path is not None:
            if not run.options.logs and member.kind is not Kind.DIRECTORY and _below(path, logs):
                return None
            run.kept.add(path)
            # Root's folders that only lead to restored ones are the system's: made when missing, else left alone.
            leads = not _below(path, run.backup.record.paths) and member.uname == "root"
            if member.kind is Kind.DIRECTORY:
                run.folders.append((path, member.uname, member.gname))
            return Destination(ROOT, path.lstrip("/"), keep_existing=leads)
        for root, target in destinations.items():
            if member.name == root or member.name.startswith(root + "/"):
                return Destination(target.parent, target.name + member.name[len(root) :])
        return None

    run.extracted = extract(
        run.backup.reader,
        choose,
        ByName(run.machine.accounts),
        progress=lambda done: report.progress(done, run.backup.header.uncompressed_size or 0),
    )
    for note in run.extracted.notes:
        report.note(note)
    report.note(f"{run.extracted.restored} paths restored")
    if run.extracted.failures:
        listed = "; ".join(f"{failure.path}: {failure.reason}" for failure in run.extracted.failures[:10])
        raise IpaBackupError(
            f"{len(run.extracted.failures)} paths could not be restored: {listed}.",
            state="IPA is stopped and its files are partly restored.",
            remedy="Remove the cause and run the same command again.",
        )
    _renumber(run, report)


def _renumber(run: _Run, report: Reporter) -> None:
    """Files that are not in the backup, in folders of an account that now has another number, follow the account.

    They are what packages brought, and would otherwise belong to whoever has the old number now.
    """
    accounts = run.machine.accounts
    uids = {
        user.uid: (user.name, present.uid)
        for user in run.backup.record.users
        if (present := accounts.user(user.name)) is not None and present.uid != user.uid
    }
    gids = {
        group.gid: (group.name, there.gid)
        for group in run.backup.record.groups
        if (there := accounts.group(group.name)) is not None and there.gid != group.gid
    }
    changed = 0
    for path, user, group in run.folders:
        theirs = {old: new for old, (name, new) in uids.items() if name == user}
        groups = {old: new for old, (name, new) in gids.items() if name == group}
        if theirs or groups:
            changed += change_numbers(Path(path), theirs, groups, spare=run.kept)
    if changed:
        report.note(f"{changed} paths that the backup does not have follow their accounts to new numbers")


def _below(path: str, roots: tuple[str, ...]) -> bool:
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)


def _prune(run: _Run, report: Reporter) -> None:
    """In folders that are IPA's alone, remove what the backup does not have: a later installation's leftovers."""
    for root, patterns in run.backup.record.exclusive:
        item = InventoryItem(root, PathKind.DIRECTORY, "", True, patterns)
        home = Path(root)
        if home.is_dir() and not home.is_symlink():
            for place in list(_surplus(item, home, run.kept)):
                if place.is_dir() and not place.is_symlink():
                    if any(place.iterdir()):
                        continue
                    place.rmdir()
                else:
                    place.unlink()
                report.note(f"Removed {place}, which the backup does not have")
    state = run.machine.places.certmonger
    tracked = {path[len(str(state)) + 1 :] for path in run.kept if path.startswith(f"{state}/")}
    for path in certmonger.duplicates(state, tracked):
        path.unlink()
        report.note(f"Removed {path}, which tracks the same as one of the backup's")


def _surplus(item: InventoryItem, folder: Path, kept: set[str]) -> Iterator[Path]:
    """What lies below `folder` and is not in `kept`, contents before their folder; excluded paths do not count."""
    for place in sorted(folder.iterdir()):
        path = str(place)
        if item.excludes(path):
            continue
        if place.is_dir() and not place.is_symlink():
            yield from _surplus(item, place, kept)
        if path not in kept:
            yield place


def _refresh(run: _Run, report: Reporter) -> None:
    services, processes = run.machine.services, run.machine.processes
    services.daemon_reload()
    processes.run(["systemd-tmpfiles", "--create", "--prefix=/run", "--prefix=/var/lock"], check=False)
    for tool in TRUST_TOOLS:
        # IPA has its own copy of what this is about.
        with _warned(report, "Other programs here may not trust the realm's authority"), suppress(CommandMissing):
            processes.run([tool], timeout=120)
            report.note(f"Ran {tool}")
    for unit in sorted(set(ours(services.enabled_units())) - set(run.backup.record.units)):
        report.note(f"{unit} is started at boot here, and was not when the backup was made; it is left as it is")
    missing = [unit for unit in run.backup.record.units if not services.is_enabled(unit) and services.exists(unit)]
    # At once: systemd reads all its units again each time.
    with _warned(report, f"These units may not be started at the next boot: {', '.join(missing)}"):
        services.enable(*missing)
        for unit in missing:
            report.note(f"Enabled {unit}")


@contextmanager
def _warned(report: Reporter, consequence: str) -> Iterator[None]:
    """What fails in here IPA can do without: it is told of at the end, and keeps nothing else from being done."""
    try:
        yield
    except CommandFailed as trouble:
        report.warn(f"{consequence} ({trouble})")


def _data(run: _Run, report: Reporter) -> None:
    instances = {instance.name: instance for instance in discover_instances(run.machine.places.directory_config)}
    if run.options.authoritative:
        run.peers.disable_own(list(instances.values()), report)
        run.peers.disable_further(report)
    for record in run.backup.record.instances:
        if record.name not in instances:
            raise IpaBackupError(
                f"After restoring the files there is no configuration of the instance slapd-{record.name}.",
                state="IPA is stopped and its files are restored.",
            )
        emptied(instances[record.name])
        chosen = Chosen(record, record.backends, instances[record.name], not _wants_ldif(run))
        replace_databases(
            chosen, run.staging[record.name], run.backup, run.machine, report, authoritative=run.options.authoritative
        )


def _start(run: _Run, report: Reporter) -> None:
    run.started = datetime.now(timezone.utc)
    run.machine.services.ipa_start()


def _count(run: _Run, report: Reporter) -> None:
    instances = {instance.name: instance for instance in discover_instances(run.machine.places.directory_config)}
    chosen = [Chosen(record, record.backends, instances[record.name], True) for record in run.backup.record.instances]
    assert run.counts is not None, "the files' step comes first"
    catching_up = not run.options.authoritative and bool(run.peers.names)
    check_counts(chosen, run.counts, run.started, run.machine, report, catching_up=catching_up)


def _peers(run: _Run, report: Reporter) -> None:
    instances = discover_instances(run.machine.places.directory_config)
    suffixes = [backend.suffix for record in run.backup.record.instances for backend in record.backends]
    reinitialize(run.peers, run.backup.record.basedn, instances, suffixes, run.machine, report)


def _restart(run: _Run, report: Reporter) -> None:
    with _warned(report, "SSSD does not start, so accounts of the realm are unknown to this host"):
        restart_sssd(run.machine)
    if run.machine.services.exists(certmonger.UNIT):
        with _warned(report, "certmonger does not start, so certificates are not renewed"):
            run.machine.services.restart(certmonger.UNIT)


def _selinux(run: _Run, report: Reporter) -> None:
    selinux = run.machine.selinux
    if not selinux.enabled():
        report.note("SELinux is off on this host: no labels and booleans to restore")
        return
    # After SSSD's restart: with `sss` in nsswitch.conf and nobody answering, setsebool stores nothing.
    recorded = run.backup.record.booleans or {}
    present = selinux.booleans(tuple(dict.fromkeys((*BOOLEANS, *recorded))))
    selinux.set_booleans({name: recorded.get(name, True) for name in present})


def _check(run: _Run, report: Reporter) -> None:
    services = run.machine.services
    # Of several units for one service (see `installed_units`) the server's configuration has one, and ipactl starts it.
    down = [
        f"{name} ({' or '.join(units)})"
        for name, units in run.units.items()
        if not any(services.is_active(unit) for unit in units)
    ]
    if down:
        raise IpaBackupError(f"These services do not run after the restore: {', '.join(down)}.")
    if ours(run.backup.record.units):
        report.note("A reboot is advised: other programs may still use what they read before the restore.")
    if run.options.authoritative:
        run.peers.conclude(report)
    if report.warnings:
        raise Incomplete("The restore is done, with warnings: " + "; ".join(report.warnings))


def _cleanup(run: _Run) -> None:
    for folder in run.staging.values():
        if folder.exists():
            shutil.rmtree(folder)
