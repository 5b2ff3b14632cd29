"""Listeners of a plan's events: progress for people, JSON for programs, a log file for later."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, TextIO

from ipabackup.cli.outlet import put
from ipabackup.errors import IpaBackupError, UsageError
from ipabackup.steps import Event, Listener

_PROGRESS_EVERY = 0.5


class Display:
    """What one command prints and logs.

    `quiet` prints nothing but errors, `verbose` also notes, `as_json` one JSON object an event and nothing else.
    """

    def __init__(
        self,
        log_file: Path | None,
        *,
        quiet: bool = False,
        verbose: bool = False,
        as_json: bool = False,
        out: TextIO | None = None,
    ) -> None:
        self._out = out if out is not None else sys.stdout
        self._quiet, self._verbose, self._json = quiet, verbose, as_json
        self._log: IO[str] | None = _opened(log_file) if log_file is not None else None
        self._total = 0
        self._position: dict[str, int] = {}
        self._last_progress = 0.0
        self._pending = False
        self._loses_lines = False
        self._handler = _Forward(self)
        logging.getLogger("ipabackup").addHandler(self._handler)

    def listeners(self) -> list[Listener]:
        """The functions to give to `run_plan`."""
        if self._json:
            return [self._print_json, self._write_log]
        if self._quiet:
            return [self._write_log]
        return [self._print_text, self._write_log]

    def say(self, text: str) -> None:
        """Print a line for people, and log it."""
        if not self._quiet and not self._json:
            put(text, self._out)
        self._log_line("INFO", text)

    def data(self, kind: str, **values: Any) -> None:
        """Print one JSON object beside the events, when JSON was asked for."""
        if self._json:
            put(json.dumps({"kind": kind, **values}, default=str), self._out)

    def failure(self, error: IpaBackupError) -> None:
        """Log the failure that ends the command."""
        if self._pending:
            put("", self._out)
            self._pending = False
        self._log_line("ERROR", f"{error} (exit status {error.exit_status})")
        self.data("error", message=error.message, state=error.state, remedy=error.remedy, status=error.exit_status)

    def close(self) -> None:
        """Close the log file."""
        logging.getLogger("ipabackup").removeHandler(self._handler)
        if self._log is not None:
            with suppress(OSError):
                self._log.close()
            self._log = None

    def logged(self, level: str, text: str) -> None:
        """Log, and when there is more to say than usual print, what an adapter has to say."""
        if self._verbose and not self._json:
            self._own_line(f"        {text}")
        self._log_line(level, text)

    def _print_json(self, event: Event) -> None:
        line = {
            "kind": event.kind,
            "step": event.step,
            "message": event.message,
            "seconds": round(event.seconds, 3),
            **event.data,
        }
        put(json.dumps(line, default=str), self._out)

    def _print_text(self, event: Event) -> None:
        if event.kind == "plan":
            steps = list(event.data.get("steps", ()))
            self._total = len(steps)
            self._position = {name: number for number, name in enumerate(steps, start=1)}
            put(event.message, self._out)
        elif event.kind == "start":
            self._last_progress = 0.0
            number = self._position.get(event.step, 0)
            put(f"  [{number}/{self._total}] {event.message} ...", self._out, end="")
            self._pending = True
        elif event.kind == "done":
            again = "" if self._pending else f"        {event.message}:"
            put(f"{again} done ({event.seconds:.1f} s)", self._out)
            self._pending = False
        elif event.kind == "failed":
            put(f" FAILED: {event.message}", self._out)
            self._pending = False
        elif event.kind == "warning":
            self._own_line(f"        warning: {event.message}")
        elif event.kind == "result" or (event.kind == "note" and self._verbose):
            self._own_line(f"        {event.message}")
        elif event.kind == "progress" and self._out.isatty():
            self._show_progress(event)

    def _show_progress(self, event: Event) -> None:
        if event.seconds - self._last_progress < _PROGRESS_EVERY:
            return
        self._last_progress = event.seconds
        done, total = int(event.data.get("done", 0)), int(event.data.get("total", 0))
        share = f" of {total / 1e6:.0f}" if total else ""
        text = f" {done / 1e6:.0f}{share} MB"
        put(text + "\b" * len(text), self._out, end="")

    def _own_line(self, text: str) -> None:
        if self._pending:
            put("", self._out)
            self._pending = False
        put(text, self._out)

    def _write_log(self, event: Event) -> None:
        if event.kind == "progress":
            return
        level = {"warning": "WARNING", "failed": "ERROR"}.get(event.kind, "INFO")
        step = f"{event.step}: " if event.step else ""
        duration = f" ({event.seconds:.3f} s)" if event.kind in ("done", "failed", "finished") else ""
        self._log_line(level, f"{step}{event.kind}: {event.message}{duration}")

    def _log_line(self, level: str, text: str) -> None:
        if self._log is None:
            return
        moment = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        try:
            for line in text.splitlines() or [""]:
                self._log.write(f"{moment} {level} {line}\n")
            self._log.flush()
        except OSError as error:
            # What a full disk does not take stays in memory, and is tried with the next line.
            if not self._loses_lines and not self._quiet and not self._json:
                self._own_line(f"        warning: the log cannot be written: {error}")
            self._loses_lines = True
        except RuntimeError:
            # As in `put`.
            return


class _Forward(logging.Handler):
    """Brings what adapters log into the display."""

    def __init__(self, display: Display) -> None:
        super().__init__(logging.INFO)
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        self._display.logged(record.levelname, record.getMessage())


def _opened(path: Path) -> IO[str]:
    try:
        file = path.open("a", encoding="utf-8", errors="backslashreplace")
        path.chmod(0o600)
    except OSError as error:
        raise UsageError(
            f"The log file cannot be written: {error}.", remedy="Choose another with --log-file."
        ) from error
    return file
