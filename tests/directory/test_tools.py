"""The offline tools: what they are asked, and what is believed of their answers."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ipabackup.directory import tools as tools_module
from ipabackup.directory.config_copy import ExportSource, export_config, relocated
from ipabackup.directory.instances import Backend, Instance
from ipabackup.directory.tools import OfflineTools, ToolCrashed
from ipabackup.errors import DirectoryFailure, NoSpace
from ipabackup.host.processes import Completed, SystemProcesses
from tests.fakes.processes import Answer, FakeProcesses

LDIF = "version: 1\n\n" + "".join(f"dn: cn={n}\ncn: {n}\n\n" for n in range(3))


def instance(root: Path, library: str = "mdb") -> Instance:
    state = root / "state"
    config = root / "slapd-X"
    config.mkdir(parents=True)
    return Instance(
        "X", config, state / "db", state / "ldif", state / "bak", root / "log", root / "run", root / "socket", "dirsrv",
        389, library, "", (Backend("userRoot", "dc=x", state / "db" / "userRoot"),),
    )  # fmt: skip


def ignored(piece: bytes) -> None:
    """What goes by is of no interest."""


def exporting(
    root: Path, text: str, processed: int, crashes: int = 0
) -> tuple[OfflineTools, ExportSource, FakeProcesses]:
    """Tools whose export writes `text` and logs that it processed so many entries, after crashing some times."""
    log = root / "errors"
    left = [crashes]

    def answer(argv: tuple[str, ...]) -> Answer:
        target = Path(argv[argv.index("-a") + 1])
        assert target.is_fifo(), "an export never lies on the disk"
        target.write_text(text)
        if left[0]:
            left[0] -= 1
            return Completed(argv, -11, "", "")
        with log.open("a") as file:
            file.write(f"[x] - INFO - db2ldif - export userRoot: Processed {processed} entries (100%).\n")
        return ""

    processes = FakeProcesses(answer)
    return OfflineTools(processes), ExportSource(root, log), processes


@pytest.mark.row("B3")
def test_an_export_is_counted(tmp_path: Path) -> None:
    tools, source, processes = exporting(tmp_path, LDIF, 3)
    assert tools.export(source, "userRoot", ignored).entries == 3
    (argv,) = processes.ran
    assert argv[:2] == ("ns-slapd", "db2ldif")
    assert "-r" in argv, "with replication state"


@pytest.mark.row("R14")
@pytest.mark.parametrize(
    ("text", "processed"), [(LDIF, 4), (LDIF[:-1], 3), (LDIF[:-8], 3)], ids=["fewer", "no end", "broken off"]
)
def test_an_export_that_is_not_whole_fails_although_the_tool_says_nothing(
    tmp_path: Path, text: str, processed: int
) -> None:
    tools, source, _ = exporting(tmp_path, text, processed)
    with pytest.raises(DirectoryFailure, match=f"of {processed}"):
        tools.export(source, "userRoot", ignored)


@pytest.mark.parametrize(("may_be_ended", "lingers"), [(True, 60), (False, 1)])
def test_a_tool_whose_output_is_whole_is_not_waited_for_where_it_may_be_ended(
    tmp_path: Path, may_be_ended: bool, lingers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, whole, tool = tmp_path / "errors", tmp_path / "whole", tmp_path / "tool"
    whole.write_text(LDIF)
    said = "export userRoot: Processed 3 entries (100%)."
    tool.write_text(f'#!/bin/sh\nexec 3>"$9"; cat {whole} >&3; echo "{said}" >{log}; exec 3>&-; exec sleep {lingers}\n')
    tool.chmod(0o755)
    monkeypatch.setattr(tools_module, "NS_SLAPD", str(tool))
    begun = time.monotonic()
    source = ExportSource(tmp_path, log, may_be_ended)
    assert OfflineTools(SystemProcesses()).export(source, "userRoot", ignored).entries == 3
    assert (time.monotonic() - begun < lingers) == may_be_ended


def test_a_tool_is_not_ended_before_it_has_said_that_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, whole, tool = tmp_path / "errors", tmp_path / "whole", tmp_path / "tool"
    whole.write_text(LDIF)
    tool.write_text(f'#!/bin/sh\ncat {whole} >"$9"; sleep 0.5; echo "Processed 4 entries (100%)." >{log}\n')
    tool.chmod(0o755)
    monkeypatch.setattr(tools_module, "NS_SLAPD", str(tool))
    with pytest.raises(DirectoryFailure, match="3 entries of 4"):
        OfflineTools(SystemProcesses()).export(ExportSource(tmp_path, log, True), "userRoot", ignored)


@pytest.mark.row("B3")
def test_what_is_exported_arrives_whole_whatever_it_takes(tmp_path: Path) -> None:
    text = "version: 1\n\n" + "".join(f"dn: cn={n}\ncn: {'x' * 1000}\n\n" for n in range(3000))
    tools, source, _ = exporting(tmp_path, text, 3000)
    pieces: list[bytes] = []
    tools.export(source, "userRoot", pieces.append)
    assert b"".join(pieces).decode() == text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["errors"]


def test_a_crash_is_told_apart_from_a_failure(tmp_path: Path) -> None:
    tools, source, _ = exporting(tmp_path, LDIF, 3, crashes=1)
    with pytest.raises(ToolCrashed, match="status -11"):
        tools.export(source, "userRoot", ignored)
    tools.export(source, "userRoot", ignored)


def test_who_cannot_take_the_export_ends_it(tmp_path: Path) -> None:
    tools, source, _ = exporting(tmp_path, LDIF * 10_000, 30_000)

    def full(piece: bytes) -> None:
        raise NoSpace("the disk is full")

    with pytest.raises(NoSpace, match="the disk is full"):
        tools.export(source, "userRoot", full)


def test_a_tool_that_never_writes_ends_the_export(tmp_path: Path) -> None:
    tools = OfflineTools(FakeProcesses(lambda argv: Completed(argv, 1, "", "[1] - ERR - no such backend\n")))
    with pytest.raises(DirectoryFailure, match="no such backend"):
        tools.export(ExportSource(tmp_path, tmp_path / "errors"), "userRoot", ignored)


def test_a_tool_that_crashes_every_time_fails(tmp_path: Path) -> None:
    tools = OfflineTools(FakeProcesses(lambda argv: Completed(argv, -11, "", "")))
    with pytest.raises(DirectoryFailure, match="status -11"):
        tools.archive(instance(tmp_path), tmp_path / "binary")


@pytest.mark.row("R14")
def test_a_tools_own_errors_are_in_the_message(tmp_path: Path) -> None:
    said = "[1] - INFO - noise\n[2] - ERR - ldif2db - no such backend\n"
    tools = OfflineTools(FakeProcesses(lambda argv: Completed(argv, 1, "", said)))
    with pytest.raises(DirectoryFailure, match="no such backend") as caught:
        tools.load(instance(tmp_path), "userRoot", tmp_path / "in.ldif")
    assert "noise" not in str(caught.value)


@pytest.mark.row("R14")
def test_errors_that_a_tool_wrote_to_its_log_alone_are_in_the_message_too(tmp_path: Path) -> None:
    here = instance(tmp_path)
    log = here.log_dir / "errors"
    log.parent.mkdir()
    log.write_text("[0] - ERR - an old story\n")

    def answer(argv: tuple[str, ...]) -> Answer:
        with log.open("a") as file:
            file.write("[1] - NOTICE - slapd_system_isFIPS\n[2] - ERR - unable to open the archive\n")
        return Completed(argv, 1, "", "[1] - NOTICE - slapd_system_isFIPS\n")

    with pytest.raises(DirectoryFailure, match="unable to open the archive") as caught:
        OfflineTools(FakeProcesses(answer)).unarchive(here, tmp_path / "bak")
    assert "old story" not in str(caught.value)
    assert "isFIPS" not in str(caught.value)


@pytest.mark.row("R14")
def test_an_import_that_skips_entries_fails(tmp_path: Path) -> None:
    tools = OfflineTools(FakeProcesses(lambda argv: Completed(argv, 0, "", "import userRoot: Skipped 2 entries\n")))
    with pytest.raises(DirectoryFailure, match="skipped 2"):
        tools.load(instance(tmp_path), "userRoot", tmp_path / "in.ldif")


@pytest.mark.row("B3")
@pytest.mark.parametrize(("library", "marker"), [("mdb", "data.mdb"), ("bdb", "DBVERSION")])
def test_a_binary_backup_without_a_database_fails(tmp_path: Path, library: str, marker: str) -> None:
    target = tmp_path / "bak"
    tools = OfflineTools(FakeProcesses())
    with pytest.raises(DirectoryFailure, match="holds no database"):
        tools.archive(instance(tmp_path, library), target)
    target.mkdir()
    (target / marker).touch()
    tools.archive(instance(tmp_path / "again", library), target)


def test_a_relocated_configuration_points_to_the_copy_alone(tmp_path: Path) -> None:
    here = instance(tmp_path)
    dse = (
        f"dn: cn=config\nnsslapd-lockdir: /run/lock\nnsslapd-rootdn: cn=Directory\n  Manager\n\n"
        f"dn: cn=config,cn=ldbm\nnsslapd-directory: {here.database_dir}\n\n"
        f"dn: cn=userRoot,cn=ldbm\nnsslapd-directory: {here.database_dir}/userRoot\n\n"
    )
    moved = relocated(dse.encode(), {"nsslapd-directory": "/copy", "nsslapd-lockdir": "/state"}, here).decode()
    assert str(here.database_dir) not in moved
    assert "nsslapd-directory: /copy\n" in moved
    assert "nsslapd-directory: /copy/userRoot\n" in moved
    assert "nsslapd-lockdir: /state\n" in moved
    assert "nsslapd-rootdn: cn=Directory Manager\n" in moved


@pytest.mark.parametrize(("library", "may_be_ended"), [("mdb", True), ("bdb", False)])
def test_an_export_configuration_leaves_the_live_one_alone(library: str, may_be_ended: bool, tmp_path: Path) -> None:
    here = instance(tmp_path, library)
    dse = f"dn: cn=config\nnsslapd-errorlog: /var/log/errors\nnsslapd-directory: {here.database_dir}\n\n"
    (here.config_dir / "dse.ldif").write_text(dse)
    source = export_config(here, tmp_path / "binary", tmp_path / "config")
    assert (here.config_dir / "dse.ldif").read_text() == dse
    assert f"nsslapd-directory: {tmp_path}/binary" in (source.config_dir / "dse.ldif").read_text()
    assert source.error_log.is_relative_to(tmp_path / "config")
    assert source.may_be_ended == may_be_ended, "a Berkeley database that is not closed has to be recovered"
