"""ipactl starts, stops and shows a master's services as FreeIPA's does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.node.commands.ipactl import main
from lab.node.control import Control
from lab.node.install.checks import Refused
from lab.node.masters import BY_ENTRY, MasterService
from lab.node.run import CommandFailed, Completed

DIRECTORY = "dirsrv@EXAMPLE-TEST.service"
AUTHORITY_DIRECTORY = "dirsrv@PKI-IPA.service"
SERVICES = [BY_ENTRY[name] for name in ("KDC", "KPASSWD", "HTTP")]
UNITS = [service.unit for service in SERVICES]


class FakeUnits:
    """Units that start and stop as told, but for those that are broken."""

    def __init__(self, active: list[str], broken: tuple[str, ...] = ()) -> None:
        self.active = active
        self.broken = broken
        self.done: list[str] = []

    def start(self, unit: str) -> None:
        self.done.append(f"start {unit}")
        if unit in self.broken:
            raise CommandFailed(f"systemctl start {unit}", Completed("", "it broke", 1))
        if unit not in self.active:
            self.active.append(unit)

    def stop(self, unit: str) -> None:
        self.done.append(f"stop {unit}")
        if f"stuck {unit}" in self.broken:
            raise CommandFailed(f"systemctl stop {unit}", Completed("", "it hangs", 1))
        if unit in self.active:
            self.active.remove(unit)

    def restart(self, unit: str) -> None:
        self.stop(unit)
        self.start(unit)

    def is_active(self, unit: str) -> bool:
        return unit in self.active


class Master:
    """A master of three services, whose directory answers only while it runs."""

    def __init__(self, folder: Path, *, running: bool, broken: tuple[str, ...] = (), go_on: bool = False) -> None:
        self.units = FakeUnits([DIRECTORY, *UNITS] if running else [], broken)
        self.services = list(SERVICES)
        self.list = folder / "ipa" / "services.list"
        self.control = Control(self.units, [DIRECTORY], self.listed, go_on=go_on, services_list=self.list)

    def listed(self) -> list[MasterService]:
        if not self.units.is_active(DIRECTORY):
            raise Refused("the directory does not answer")
        return self.services


def test_start_begins_with_the_directory_and_keeps_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    master = Master(tmp_path, running=False)
    master.control.start()
    assert master.units.done == [f"start {unit}" for unit in (DIRECTORY, *UNITS)]
    assert json.loads(master.list.read_text()) == ["dirsrv", "krb5kdc", "kadmin", "httpd"]
    assert capsys.readouterr().out.splitlines() == [
        "Starting Directory Service",
        "Starting krb5kdc Service",
        "Starting kadmin Service",
        "Starting httpd Service",
    ]


def test_stop_ends_with_the_directory_and_drops_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    master = Master(tmp_path, running=False)
    master.control.start()
    capsys.readouterr()
    master.control.stop()
    assert master.units.active == []
    assert not master.list.exists()
    assert capsys.readouterr().out.splitlines() == [
        "Stopping httpd Service",
        "Stopping kadmin Service",
        "Stopping krb5kdc Service",
        "Stopping Directory Service",
    ]


def test_stop_uses_the_list_when_the_directory_is_down(tmp_path: Path) -> None:
    master = Master(tmp_path, running=False)
    master.control.start()
    master.units.active.remove(DIRECTORY)
    master.control.stop()
    assert master.units.active == []


def test_a_service_that_stays_up_makes_stop_fail_after_the_others_were_stopped(tmp_path: Path) -> None:
    master = Master(tmp_path, running=True, broken=(f"stuck {UNITS[1]}",))
    with pytest.raises(Refused, match=r"Failed to stop kadmin Service.*it hangs"):
        master.control.stop()
    assert master.units.active == [UNITS[1]]


def test_a_service_that_does_not_start_stops_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    master = Master(tmp_path, running=False, broken=(UNITS[1],))
    with pytest.raises(Refused, match="Aborting ipactl") as refusal:
        master.control.start()
    assert refusal.value.status == 1
    assert master.units.active == []
    assert not master.list.exists()
    assert "it broke" in capsys.readouterr().err


def test_force_goes_on_without_the_broken_service(tmp_path: Path) -> None:
    master = Master(tmp_path, running=False, broken=(UNITS[1],), go_on=True)
    master.control.start()
    assert master.units.active == [DIRECTORY, UNITS[0], UNITS[2]]


def test_a_directory_that_does_not_start_starts_nothing_else(tmp_path: Path) -> None:
    master = Master(tmp_path, running=False, broken=(DIRECTORY,))
    with pytest.raises(Refused, match="Failed to start Directory Service"):
        master.control.start()
    assert master.units.done == [f"start {DIRECTORY}"]


def test_restart_stops_what_is_not_listed_any_more(tmp_path: Path) -> None:
    master = Master(tmp_path, running=True)

    def forget_httpd() -> list[MasterService]:
        return SERVICES if not master.units.done else SERVICES[:2]

    master.control.listed = forget_httpd
    master.control.restart()
    assert master.units.active == [DIRECTORY, *UNITS[:2]]
    assert master.units.done.index(f"stop {UNITS[0]}") < master.units.done.index(f"stop {DIRECTORY}")


def test_restart_starts_a_server_that_is_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    master = Master(tmp_path, running=False)
    master.control.restart()
    assert master.units.active == [DIRECTORY, *UNITS]
    assert capsys.readouterr().out.splitlines()[:2] == ["Starting Directory Service", "Starting krb5kdc Service"]


def test_status_of_a_healthy_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Master(tmp_path, running=True).control.status()
    assert capsys.readouterr().out.splitlines() == [
        "Directory Service: RUNNING",
        "krb5kdc Service: RUNNING",
        "kadmin Service: RUNNING",
        "httpd Service: RUNNING",
    ]


def test_status_names_what_is_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    master = Master(tmp_path, running=True)
    master.units.stop(UNITS[1])
    with pytest.raises(Refused, match=r"1 service\(s\) are not running") as refusal:
        master.control.status()
    assert refusal.value.status == 3
    assert "kadmin Service: STOPPED" in capsys.readouterr().out


def test_status_without_directory_and_without_list_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Refused, match="Directory Service must be running") as refusal:
        Master(tmp_path, running=False).control.status()
    assert refusal.value.status == 3
    assert capsys.readouterr().out.splitlines() == ["Directory Service: STOPPED"]


def test_a_damaged_list_is_said_to_be_damaged(tmp_path: Path) -> None:
    master = Master(tmp_path, running=False)
    master.list.parent.mkdir()
    master.list.write_text("[")
    with pytest.raises(Refused, match="damaged") as refusal:
        master.control.status()
    assert refusal.value.status == 4


@pytest.mark.parametrize("action", ["start", "stop", "restart", "status"])
def test_a_host_without_server_is_told_so_with_a_status_of_its_own(
    action: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main([action], tmp_path / "default.conf")
    said = capsys.readouterr().err
    assert (status, said) in [
        (4 if action == "status" else 6, "IPA is not configured (see man pages of ipa-server-install for help)\n"),
        (4, "You must be root to run ipactl.\n"),
    ]


@pytest.fixture
def upgraded(tmp_path: Path) -> Master:
    """A master with two directory instances, nothing of which runs."""
    master = Master(tmp_path, running=False)
    master.control.directory_units = (DIRECTORY, AUTHORITY_DIRECTORY)
    return master


@pytest.mark.row("L6")
def test_both_directory_instances_start_before_all_others_and_stop_after_them(
    upgraded: Master, capsys: pytest.CaptureFixture[str]
) -> None:
    upgraded.control.start()
    assert upgraded.units.done == [f"start {unit}" for unit in (DIRECTORY, AUTHORITY_DIRECTORY, *UNITS)]
    upgraded.units.done.clear()
    upgraded.control.stop()
    assert upgraded.units.done == [f"stop {unit}" for unit in (*reversed(UNITS), AUTHORITY_DIRECTORY, DIRECTORY)]
    assert capsys.readouterr().out.count("Directory Service") == 2, "FreeIPA's names them as one"


@pytest.mark.row("L6")
def test_a_second_directory_instance_that_is_down_shows_in_the_status(
    upgraded: Master, capsys: pytest.CaptureFixture[str]
) -> None:
    upgraded.control.start()
    upgraded.units.active.remove(AUTHORITY_DIRECTORY)
    with pytest.raises(Refused, match=r"1 service\(s\) are not running"):
        upgraded.control.status()
    assert "Directory Service: STOPPED" in capsys.readouterr().out


@pytest.mark.row("L6")
def test_a_second_directory_instance_that_does_not_start_starts_nothing_else(upgraded: Master) -> None:
    upgraded.units.broken = (AUTHORITY_DIRECTORY,)
    with pytest.raises(Refused, match="Failed to start Directory Service"):
        upgraded.control.start()
    assert not set(UNITS) & set(upgraded.units.active)
