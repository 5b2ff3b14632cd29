"""Exports that run beside the archiving of the databases they are made from: each keeps a processor busy.

They begin as soon as there is a copy, while the directory server is still being started again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ipabackup.archive.layout import ldif_name
from ipabackup.archive.writer import Growing, Payload
from ipabackup.directory.config_copy import ExportSource, export_config
from ipabackup.directory.instances import Backend, Instance
from ipabackup.directory.ldif_scan import LdifSummary
from ipabackup.directory.service_scan import ServiceScan
from ipabackup.directory.tools import ATTEMPTS, DirectoryTools, ToolCrashed
from ipabackup.errors import IpaBackupError

#: What the names of threads begin with that have to do with exports.
EXPORTING = "export"


@dataclass(frozen=True)
class Exported:
    """A backend's LDIF that waits to be brought into the payload, and what was seen as it went by.

    That is how many entries there are, and the services of this host.
    """

    backend: Backend
    member: Growing
    summary: LdifSummary
    services: list[str]


@dataclass(frozen=True)
class Opened:
    """The compacted database of a binary copy, being read: `size` is in bytes."""

    size: int
    content: BinaryIO
    reading: ExitStack


class Cancelled(IpaBackupError):
    """The backup has come to its end, and nobody wants the export any more."""


class Exports:
    """The exports of one backup of `host`."""

    def __init__(self, tools: DirectoryTools, host: str) -> None:
        self._tools, self._host = tools, host
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=EXPORTING)
        self._beside = ThreadPoolExecutor(1, thread_name_prefix=EXPORTING)
        self._sources: dict[str, Future[list[ExportSource]]] = {}
        self._opened: dict[str, Future[Opened | None]] = {}
        self._running: dict[str, Future[list[Exported] | None]] = {}
        self._cancelled = False

    def begin(self, instance: Instance, staging: Path, payload: Payload) -> None:
        """Begin to work on the binary copy of `instance` in `staging`.

        Find out its size when compacted, begin to read it as it is now, and then export all its backends.

        The export writes to the copy.  One that cannot be compacted has to be archived before.
        """
        opened: Future[Opened | None] = Future()
        self._opened[instance.name] = opened
        self._sources[instance.name] = self._beside.submit(_sources, instance, staging)
        self._running[instance.name] = self._pool.submit(self._work, instance, staging, payload, opened)

    @contextmanager
    def compacted(self, instance: Instance) -> Iterator[Opened | None]:
        """The compacted database of `instance`, which was begun; None when its copy has to be archived as it is.

        Raises DirectoryFailure when it could not be read to its end.
        """
        opened = self._opened[instance.name].result()
        if opened is None:
            yield None
            return
        with opened.reading:
            yield opened

    def of(self, instance: Instance, payload: Payload) -> list[Exported]:
        """The exports of `instance`, which was begun; raises what they failed with."""
        exported = self._running[instance.name].result()
        if exported is None:
            exported = self._pool.submit(self._all, instance, payload).result()
        return exported

    def cancel(self) -> None:
        """End what still runs."""
        self._cancelled = True
        for pool in (self._pool, self._beside):
            pool.shutdown(wait=True, cancel_futures=True)
        for opened in self._opened.values():
            # The program that nobody reads from any more ends with an error, which is nobody's concern.
            with suppress(Exception):
                if opened.done() and (found := opened.result()) is not None:
                    found.reading.close()

    def _work(
        self, instance: Instance, staging: Path, payload: Payload, opened: Future[Opened | None]
    ) -> list[Exported] | None:
        try:
            smaller = self._tools.compacted(staging / "binary")
            if smaller is None:
                opened.set_result(None)
                return None
            reading = ExitStack()
            opened.set_result(Opened(smaller.size, reading.enter_context(smaller.content()), reading))
        except BaseException as error:
            opened.set_exception(error)
            raise
        return self._all(instance, payload)

    def _all(self, instance: Instance, payload: Payload) -> list[Exported]:
        """Export all backends: at once where the library lets several processes have one database open (mdb)."""
        at_once = len(instance.backends) if instance.library == "mdb" else 1

        def export(backend: Backend, source: ExportSource) -> Exported:
            return self._one(backend, source, payload.growing, ldif_name(instance.name, backend.name))

        sources = self._sources[instance.name].result()
        with ThreadPoolExecutor(at_once, thread_name_prefix=EXPORTING) as pool:
            return list(pool.map(export, instance.backends, sources))

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


def _sources(instance: Instance, staging: Path) -> list[ExportSource]:
    """A configuration for the export of each backend."""
    return [
        export_config(instance, staging / "binary", staging / f"config-{backend.name}") for backend in instance.backends
    ]
