"""What a backup knows of its server beyond the header, so that a restore can be planned on a host with nothing left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ipabackup.directory.agreements import Door
from ipabackup.directory.instances import Instance
from ipabackup.errors import DamagedBackup
from ipabackup.host.accounts import Group, User
from ipabackup.server import Server

#: Name of the document within the backup.
SERVER = "server.json"
#: Name of the document with the number of entries of every backend.
ENTRIES = "entries.json"


@dataclass(frozen=True)
class BackendRecord:
    """A backend in a backup: entries in its LDIF come at the end, in `entries.json`."""

    name: str
    suffix: str


@dataclass(frozen=True)
class InstanceRecord:
    """An instance in a backup: all that is needed to put its data back where it was."""

    name: str
    user: str
    library: str
    config_dir: str
    database_dir: str
    ldif_dir: str
    backup_dir: str
    log_dir: str
    backends: tuple[BackendRecord, ...]


@dataclass(frozen=True)
class ServerRecord:
    """What a backup knows of its server, apart from the header: the document ``record/server.json``.

    `type` and `time` (ISO 8601) repeat the header's, so that a header cannot be exchanged; `users` and `groups` own
    files of the backup; `units` were enabled; `paths` are the inventory's on that server, `logs` and `exclusive` those
    among them that are logs, or IPA's alone; `booleans` are None where SELinux was off; `online` is True for a copy of
    a running directory; `masters` are the realm's, this one included, if they were known, and `doors` lead to further
    instances of those that this one supplied.
    """

    host: str
    realm: str
    domain: str
    basedn: str
    ipa_version: str
    directory_version: str
    instances: tuple[InstanceRecord, ...]
    type: str
    time: str
    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    units: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    exclusive: tuple[tuple[str, tuple[str, ...]], ...] = ()
    booleans: Mapping[str, bool] | None = None
    online: bool = False
    masters: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    doors: tuple[Door, ...] = ()

    @classmethod
    def of(cls, server: Server, **more: Any) -> ServerRecord:
        """The record of `server`; `more` are the fields that it does not know by itself."""
        return cls(
            host=server.host,
            realm=server.realm,
            domain=server.domain,
            basedn=server.basedn,
            ipa_version=server.ipa_version,
            directory_version=server.directory_version,
            instances=tuple(_instance_record(instance) for instance in server.instances),
            doors=tuple(sorted(server.doors)),
            **more,
        )

    def render(self) -> bytes:
        """The record as JSON."""
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode()

    @classmethod
    def parse(cls, content: bytes) -> ServerRecord:
        """Read what `render` wrote; names that this version does not know are passed over.

        Raises DamagedBackup.
        """
        try:
            values = json.loads(content)
            known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
            known["instances"] = tuple(
                InstanceRecord(
                    **{
                        **_known(InstanceRecord, instance),
                        "backends": tuple(BackendRecord(**_known(BackendRecord, one)) for one in instance["backends"]),
                    }
                )
                for instance in values["instances"]
            )
            known["users"] = tuple(
                User(**{**_known(User, user), "groups": tuple(user["groups"])}) for user in values["users"]
            )
            known["groups"] = tuple(Group(**_known(Group, group)) for group in values["groups"])
            known["exclusive"] = tuple((path, tuple(exclude)) for path, exclude in values["exclusive"])
            for name in ("units", "paths", "logs", "missing", "masters"):
                known[name] = tuple(values.get(name, ()))
            known["doors"] = tuple(Door(*one) for one in values.get("doors", ()))
            return cls(**known)
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedBackup(f"The backup's record of its server cannot be read: {error!r}.") from error


def _known(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in kind.__dataclass_fields__ if name in values}  # type: ignore[attr-defined]


def _instance_record(instance: Instance) -> InstanceRecord:
    return InstanceRecord(
        name=instance.name,
        user=instance.user,
        library=instance.library,
        config_dir=str(instance.config_dir),
        database_dir=str(instance.database_dir),
        ldif_dir=str(instance.ldif_dir),
        backup_dir=str(instance.backup_dir),
        log_dir=str(instance.log_dir),
        backends=tuple(BackendRecord(backend.name, backend.suffix) for backend in instance.backends),
    )
