"""Exports of an instance's backends: which of them run at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ipabackup.archive.writer import PayloadWriter
from ipabackup.directory.config_copy import ExportSource
from ipabackup.directory.ldif_scan import LdifSummary
from ipabackup.exports import Exports
from tests.host_of_its_own import HOST, OwnHost, make_host


@pytest.fixture
def host(tmp_path: Path) -> OwnHost:
    return make_host(tmp_path)


@pytest.mark.row("B3")
@pytest.mark.parametrize(("library", "expected"), [("mdb", 2), ("bdb", 1)])
def test_backends_are_exported_at_once_where_processes_may_share_a_database(
    host: OwnHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, expected: int
) -> None:
    export, lock = host.directory.export, threading.Lock()
    configurations: set[Path] = set()
    running = most = 0

    def slow_export(source: ExportSource, backend: str, take: Callable[[bytes], None]) -> LdifSummary:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            configurations.add(source.config_dir)
        # The other one gets its time to come, if it may.
        deadline = time.monotonic() + 1
        while most < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        try:
            return export(source, backend, take)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(host.directory, "export", slow_export)
    (found,) = host.server().instances
    domain = found.backends[0]
    instance = replace(found, library=library, backends=(domain, replace(domain, name="ipaca", suffix="o=ipaca")))
    host.directory.entries["ipaca"] = ["o=ipaca"]
    staging = tmp_path / "staging"
    staging.mkdir()
    host.directory.archive(instance, staging / "binary")
    payload = PayloadWriter(tmp_path / "payload.tar")
    exports = Exports(host.machine.tools, HOST)
    try:
        exports.begin(instance, staging, payload)
        exported = exports.of(instance, payload)
    finally:
        exports.cancel()
        payload.abort()
    assert [one.backend.name for one in exported] == [backend.name for backend in instance.backends]
    assert most == expected
    assert len(configurations) == 2, "each has a configuration, and with it locks and a log, of its own"
