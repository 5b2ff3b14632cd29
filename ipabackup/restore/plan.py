"""What every restore has: options, a plan with what must be said before it is run, the check of a password."""

from __future__ import annotations

from dataclasses import dataclass

from ipabackup.server import Machine, Server, installed_version
from ipabackup.steps import Plan


@dataclass(frozen=True)
class RestoreOptions:
    """What was asked for.

    `authoritative`: what the backup says wins over all masters, else this server catches up with them; `reinitialize`
    brings the other masters to the restored data at once; `data` restores only the data of a full backup; `online`,
    `instance` and `backend` are for data restores; `logs` False leaves log files out; `password` is the Directory
    Manager's, or None; `peer_check` refuses to catch up unless other masters can be shown to supply what was missed.
    """

    authoritative: bool = True
    reinitialize: bool = False
    data: bool = False
    online: bool = False
    instance: str | None = None
    backend: str | None = None
    logs: bool = True
    password: str | None = None
    peer_check: bool = True


@dataclass(frozen=True)
class RestorePlan:
    """A plan, and what the administrator must be told before it is run; `masters` are the other ones of the realm."""

    plan: Plan
    overwrites: tuple[str, ...]
    masters: tuple[str, ...] = ()
    version_differs: str = ""


def difference_of_versions(backed_up: str, machine: Machine) -> str:
    """A sentence when the IPA version of the backup is not that of this host, else nothing."""
    present = installed_version(machine)
    if backed_up == present:
        return ""
    return f"The backup was made by IPA {backed_up}, this host has {present}."


def check_given_password(password: str | None, server: Server | None, machine: Machine) -> None:
    """Raises WrongPassword when a password was given and a running instance of `server` does not take it."""
    if password is None or server is None:
        return
    for instance in server.instances:
        if machine.services.is_active(instance.unit):
            machine.directory.check_password(instance.ldapi_uri, password)
