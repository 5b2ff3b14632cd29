"""What tests of restores do: plan one, run it."""

from __future__ import annotations

import shutil
from pathlib import Path

from ipabackup.archive.gpg import Keyring
from ipabackup.errors import (
    NotInstalled,
)
from ipabackup.restore import RestoreOptions, RestorePlan, plan_restore
from ipabackup.server import Server
from ipabackup.store import open_backup
from tests.host_of_its_own import OwnHost


def planned(host: OwnHost, backup: Path, options: RestoreOptions | None = None) -> RestorePlan:
    server: Server | None
    try:
        server = host.server()
    except NotInstalled:
        server = None
    return plan_restore(
        open_backup(backup, Keyring(), host.processes), server, options or RestoreOptions(), host.machine
    )


def restored(host: OwnHost, backup: Path, options: RestoreOptions | None = None) -> list[str]:
    events = host.run(planned(host, backup, options).plan)
    return [event.message for event in events if event.kind in ("note", "result", "warning")]


def uninstalled(host: OwnHost) -> None:
    for folder in ("etc/ipa", "etc/dirsrv", "var/lib/dirsrv", "etc/krb5.keytab", "var/log/ipa.log"):
        path = host.path(folder)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    host.services.configured = host.services.running = False
    host.services.enabled.clear()
    host.directory.entries = {"userRoot": []}
