"""Exports that run beside the archiving of the databases they are made from: each keeps a processor busy."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ipabackup.archive.layout import ldif_name
from ipabackup.archive.writer import Growing, Payload
from ipabackup.directory.config_copy import ExportSource, export_config
from ipabackup.directory.instances import Backend, Instance
from ipabackup.directory.ldif_scan import LdifSummary
from ipabackup.directory.service_scan import ServiceScan
from ipabackup.directory.tools import ATTEMPTS, DirectoryTools, ToolCrashed
from ipabackup.errors import IpaBackupError


@dataclass(frozen=True)
class Exported:
    """A backend's LDIF that waits to be brought into the payload, and what was seen as it went by.

    That is how many entries there are, and the services of this host.
    """

    backend: Backend
    member: Growing
    summary: LdifSummary
    services: list[str]


class Cancelled(IpaBackupError):
    """The backup has come to its end, and nobody wants the export any more."""


class Exports:
    """The exports of one backup of `host`."""

    def __init__(self, tools: DirectoryTools, host: str) -> None:
        self._tools, self._host = tools, host
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="exports")
        self._running: dict[str, Future[list[Exported]]] = {}
        self._cancelled = False

    def begin(self, instance: Instance, staging: Path, payload: Payload) -> None:
        """Begin to export all backends of `instance` from the binary copy in `staging`."""
        self._running[instance.name] = self._pool.submit(self._all, instance, staging, payload)

    def of(self, instance: Instance, staging: Path, payload: Payload) -> list[Exported]:
        """The exports of `instance`, whenever they were begun; raises what they failed with."""
        if instance.name not in self._running:
            self.begin(instance, staging, payload)
        return self._running[instance.name].result()

    def cancel(self) -> None:
        """End what still runs."""
        self._cancelled = True
        self._pool.shutdown(wait=True)

    def _all(self, instance: Instance, staging: Path, payload: Payload) -> list[Exported]:
        source = export_config(instance, staging / "binary", staging / "config")
        return [
            self._one(backend, source, payload.growing, ldif_name(instance.name, backend.name))
            for backend in instance.backends
        ]

    def _one(self, backend: Backend, source: ExportSource, growing: Callable[[str], Growing], name: str) -> Exported:
        """Export one backend, again when the tool crashes."""
        services = ServiceScan(self._host)
        for attempt in range(1, ATTEMPTS + 1):
            member = growing(name)

            def take(piece: bytes, member: Growing = member) -> None:
                if self._cancelled:
                    raise Cancelled("The export was cancelled.")
                member.write(piece)
                services.feed(piece)

            try:
                summary = self._tools.export(source, backend.name, take)
            except BaseException as error:
                member.abort()
                services.begin()
                if isinstance(error, ToolCrashed) and attempt < ATTEMPTS:
                    continue
                raise
            return Exported(backend, member, summary, services.close())
        raise AssertionError("the last attempt returns or raises")
