"""Restoring: plans for a whole server and for the directory's data alone."""

from __future__ import annotations

from ipabackup.archive.header import BackupType
from ipabackup.errors import UsageError
from ipabackup.restore.data import plan_data_restore
from ipabackup.restore.full import plan_full_restore
from ipabackup.restore.plan import RestoreOptions, RestorePlan
from ipabackup.server import Machine, Server
from ipabackup.store import OpenedBackup

__all__ = ["RestoreOptions", "RestorePlan", "plan_restore"]


def plan_restore(backup: OpenedBackup, server: Server | None, options: RestoreOptions, machine: Machine) -> RestorePlan:
    """The plan that `backup` and `options` ask for on this host, where `server` is configured now (None: nothing is).

    Raises what `plan_full_restore` and `plan_data_restore` raise, and UsageError for options that only a data restore
    has; changes nothing.
    """
    if options.reinitialize and not options.authoritative:
        raise UsageError("--reinitialize-peers and --replication=catch-up exclude each other.")
    if options.data or backup.header.type is BackupType.DATA:
        return plan_data_restore(backup, server, options, machine)
    for word, given in (
        ("--online", options.online),
        ("--instance", options.instance is not None),
        ("--backend", options.backend is not None),
    ):
        if given:
            raise UsageError(
                f"{word} is for data restores, and {backup.path.name} is a full backup.",
                remedy="Give --data to restore only its data.",
            )
    return plan_full_restore(backup, server, options, machine)
