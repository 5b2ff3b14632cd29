"""The offline tools of 389 Directory Server: subcommands of ``ns-slapd`` itself.

Called directly and not through ``dsctl``, which costs more than a second each time.  They run as root, read the
instance's configuration and drop to its account by themselves.
"""

from __future__ import annotations

import logging
import os
import re
import select
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from ipabackup.directory.compact import Compacted, compacted, widen
from ipabackup.directory.config_copy import ExportSource
from ipabackup.directory.generation import renew
from ipabackup.directory.instances import Instance
from ipabackup.directory.ldif_scan import LdifCounter, LdifSummary
from ipabackup.errors import DirectoryFailure
from ipabackup.host.processes import Completed, Enough, Processes

NS_SLAPD = "ns-slapd"
#: Seconds that one offline import or export may take: 100,000 entries take about 100 on a slow machine.
LIMIT = 6 * 3600.0
#: How often a tool that crashes is tried.
ATTEMPTS = 3
_CHUNK = 1 << 20
#: Seconds in which an export of some size fills a part of the pipe.
_GATHERING = 0.01
_log = logging.getLogger(__name__)


class ToolCrashed(DirectoryFailure):
    """A tool was ended by a signal.

    The mdb library has a race at a tool's very end (a thread lets go of a lock table that is no longer mapped), seen as
    a segmentation fault about once in some hundred runs on a busy machine: another run is worth trying.
    """


class DirectoryTools(Protocol):
    """Backs up, exports, restores and imports instances that are not running."""

    def server_version(self) -> str:
        """The version of the installed server (`3.1.2`), or an empty string."""
        ...

    def archive(self, instance: Instance, target: Path) -> None:
        """Write the binary backup (``db2bak``) of all backends, changelog included, into the new folder `target`."""
        ...

    def unarchive(self, instance: Instance, source: Path) -> None:
        """Put the binary backup in `source` in the place of the instance's databases (``bak2db``)."""
        ...

    def compacted(self, folder: Path) -> Compacted | None:
        """What the mdb database in the binary backup `folder` becomes when compacted; None when it stays as it is."""
        ...

    def export(self, source: ExportSource, backend: str, take: Callable[[bytes], None]) -> LdifSummary:
        """Export `backend` with its replication state (``db2ldif -r``); `take` gets the LDIF piece by piece."""
        ...

    def load(self, instance: Instance, backend: str, source: Path) -> None:
        """Replace `backend` by the content of the LDIF `source` (``ldif2db``)."""
        ...

    def renew(self, instance: Instance) -> tuple[str, ...]:
        """Give the databases of `instance` a new replication generation; returns the replicated suffixes."""
        ...


class OfflineTools:
    """The directory tools of this very host."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    def server_version(self) -> str:
        """See DirectoryTools."""
        completed = self._processes.run([NS_SLAPD, "-v"], check=False)
        found = re.search(r"389-Directory/(\S+)", completed.stdout + completed.stderr)
        return found.group(1) if found else ""

    def archive(self, instance: Instance, target: Path) -> None:
        """Write the binary backup (``db2bak``) of all backends, changelog included, into the new folder `target`.

        Raises DirectoryFailure when the tool fails or leaves no database behind.
        """
        words = ("db2archive", "-D", str(instance.config_dir), "-a", str(target))
        self._slapd(*words, log=_log_of(instance), output=target)
        markers = ("data.mdb",) if instance.library == "mdb" else ("DBVERSION",)
        if not all((target / marker).is_file() for marker in markers):
            raise DirectoryFailure(f"The binary backup of slapd-{instance.name} holds no database.")

    def unarchive(self, instance: Instance, source: Path) -> None:
        """See DirectoryTools."""
        self._slapd("archive2db", "-D", str(instance.config_dir), "-a", str(source), log=_log_of(instance))

    def compacted(self, folder: Path) -> Compacted | None:
        """See DirectoryTools."""
        return compacted(folder) if (folder / "data.mdb").is_file() else None

    def export(self, source: ExportSource, backend: str, take: Callable[[bytes], None]) -> LdifSummary:
        """Export `backend` with its replication state (``db2ldif -r``); `take` gets the LDIF piece by piece.

        It never lies on the disk: the tool writes to a named pipe.  The entries are counted as they go by, against the
        number that the tool says it processed.  When they agree it is not waited for: it would take another tenth of a
        second, and have all file systems of the host write out what they have.

        Raises DirectoryFailure, of which ToolCrashed is worth another try, and whatever `take` raises.
        """
        said = _size(source.error_log)
        pipe = source.error_log.with_name(f"{backend}.pipe")
        words = ("db2ldif", "-D", str(source.config_dir), "-n", backend, "-r", "-q", "-a", str(pipe))
        counter = LdifCounter()

        def counted(piece: bytes) -> None:
            counter.feed(piece)
            take(piece)

        enough = Enough()

        def ended() -> None:
            if source.may_be_ended and _whole(counter.close(), _processed(source.error_log, said)):
                enough.say()

        status = pipe.parent.stat()
        os.mkfifo(pipe, 0o600)
        try:
            os.chown(pipe, status.st_uid, status.st_gid)
            _through(pipe, lambda: self._once(*words, log=source.error_log, enough=enough), counted, ended)
        finally:
            pipe.unlink()
        summary = counter.close()
        processed = _processed(source.error_log, said)
        if not summary.whole or (processed is not None and summary.total != processed):
            raise DirectoryFailure(
                f"The export of {backend} holds {summary.total} entries"
                + (f" of {processed}" if processed is not None else "")
                + ("" if summary.whole else " and breaks off in the middle of one")
                + "."
            )
        return summary

    def load(self, instance: Instance, backend: str, source: Path) -> None:
        """See DirectoryTools."""
        words = ("ldif2db", "-D", str(instance.config_dir), "-n", backend, "-i", str(source))
        completed = self._slapd(*words, log=_log_of(instance))
        skipped = re.search(r"[Ii]mport.*?Skipped (\d+) ent", completed.stdout + completed.stderr)
        if skipped and int(skipped.group(1)):
            raise DirectoryFailure(f"The import into {backend} skipped {skipped.group(1)} entries: {completed.said}")

    def renew(self, instance: Instance) -> tuple[str, ...]:
        """See DirectoryTools."""
        return renew(instance)

    def _slapd(self, *words: str, log: Path, output: Path | None = None) -> Completed:
        """Run one tool; when it crashes, remove what it wrote to `output` and run it again."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._once(*words, log=log)
            except ToolCrashed as crash:
                if attempt == ATTEMPTS:
                    raise
                _log.warning("%s Trying again.", crash.message)
            if output is not None:
                _remove(output)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, *words: str, log: Path, enough: Enough | None = None) -> Completed:
        said = _size(log)
        completed = self._processes.run([NS_SLAPD, *words], check=False, timeout=LIMIT, enough=enough)
        if not completed.ok:
            kind = ToolCrashed if completed.status < 0 else DirectoryFailure
            raise kind(f"{NS_SLAPD} {words[0]} failed with status {completed.status}: {_reason(completed, log, said)}.")
        return completed


def _through(
    pipe: Path, run: Callable[[], Completed], take: Callable[[bytes], None], ended: Callable[[], None]
) -> None:
    """Let `run` write to the named pipe while `take` gets what comes out of it; raises what either raises.

    `ended` is called when the output has ended, and the tool that wrote it perhaps not.
    """
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    # As long as this end is open too, the reader does not take the time before the tool opens its own for the end.
    guard = os.open(pipe, os.O_WRONLY | os.O_CLOEXEC)
    first = threading.Lock()
    os.set_blocking(reading, True)
    widen(reading)

    def let_go() -> None:
        if first.acquire(blocking=False):
            os.close(guard)

    def tool() -> Completed:
        try:
            return run()
        finally:
            let_go()

    with ThreadPoolExecutor(1, thread_name_prefix="export") as pool:
        running = pool.submit(tool)
        try:
            while piece := os.read(reading, _CHUNK):
                let_go()
                take(piece)
                if len(piece) < _CHUNK // 4:
                    # The tool writes entry by entry: to wake for each takes longer than the export itself.
                    time.sleep(_GATHERING)
            ended()
        finally:
            # A tool that still writes ends when nobody reads; one that has not opened its end yet would wait for ever.
            select.select([reading], [], [])
            os.close(reading)
        running.result()


def _log_of(instance: Instance) -> Path:
    return instance.log_dir / "errors"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()


def _whole(summary: LdifSummary, processed: int | None) -> bool:
    """Whether an export holds what the tool says it processed."""
    return summary.whole and summary.total == processed


def _processed(error_log: Path, start: int) -> int | None:
    """The number of entries that the export says it processed, in what it wrote to its log since byte `start`.

    None as long as it has not.
    """
    if not error_log.exists():
        return None
    with error_log.open("rb") as stream:
        stream.seek(start)
        found = re.findall(rb"Processed (\d+) entries", stream.read())
    return int(found[-1]) if found else None


def _reason(completed: Completed, log: Path, start: int) -> str:
    """The errors that the tool printed or wrote to its `log` since byte `start`, else its last words."""
    lines = (completed.stderr + completed.stdout).splitlines()
    if log.exists():
        with log.open("rb") as stream:
            stream.seek(start)
            lines += stream.read().decode("utf-8", "replace").splitlines()
    errors = [line for line in lines if any(f" - {level} - " in line for level in ("ERR", "CRIT", "ALERT", "EMERG"))]
    return " / ".join((errors or lines)[-4:]).strip() or "it said nothing"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
