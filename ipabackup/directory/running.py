"""What the operations ask of a running instance: one interface, and the real thing behind it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Protocol

from ipabackup.directory import connection, tasks
from ipabackup.directory.instances import Backend, Instance
from ipabackup.directory.stored import stored_entries


class Directory(Protocol):
    """A running instance, named by the URI of its socket.  Deeds raise DirectoryFailure, tasks also DirectoryDied."""

    def check_password(self, uri: str, password: str) -> None:
        """Raises WrongPassword unless `password` is Directory Manager's."""
        ...

    def count_entries(self, uri: str, suffix: str, created_before: datetime | None = None) -> int:
        """The number of entries below `suffix` that are not tombstones; with `created_before`, only older ones."""
        ...

    def stored_entries(self, instance: Instance, backend: Backend) -> int | None:
        """The same as its database says it, at once, also of entries that are younger; None where it does not."""
        ...

    def count_deleted(self, uri: str, suffix: str, since: datetime) -> int:
        """The number of entries below `suffix` older than `since` and deleted after it, as far as anything tells."""
        ...

    def masters(self, uri: str, basedn: str) -> dict[str, frozenset[str]]:
        """The masters of the realm that the directory knows, and the services that are enabled on each."""
        ...

    def backup(self, uri: str, target: Path) -> None:
        """Write the binary backup of all databases into the new folder `target`."""
        ...

    def restore(self, uri: str, source: Path) -> None:
        """Take all databases from the binary backup in `source`."""
        ...

    def load(self, uri: str, backend: str, source: Path) -> None:
        """Replace `backend` by the content of the LDIF `source`."""
        ...


class LocalDirectory:
    """The instances of this very host."""

    def check_password(self, uri: str, password: str) -> None:
        """See Directory."""
        connection.check_password(uri, password)

    def count_entries(self, uri: str, suffix: str, created_before: datetime | None = None) -> int:
        """See Directory."""
        return connection.count_entries(uri, suffix, created_before)

    def count_deleted(self, uri: str, suffix: str, since: datetime) -> int:
        """See Directory."""
        return connection.count_deleted(uri, suffix, since)

    def stored_entries(self, instance: Instance, backend: Backend) -> int | None:
        """See Directory."""
        return stored_entries(instance, backend)

    def masters(self, uri: str, basedn: str) -> dict[str, frozenset[str]]:
        """See Directory."""
        return connection.masters(uri, basedn)

    def backup(self, uri: str, target: Path) -> None:
        """See Directory."""
        tasks.backup_online(uri, target)

    def restore(self, uri: str, source: Path) -> None:
        """See Directory."""
        tasks.restore_online(uri, source)

    def load(self, uri: str, backend: str, source: Path) -> None:
        """See Directory."""
        tasks.import_online(uri, backend, source)
