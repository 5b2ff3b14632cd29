"""systemctl and ipactl: what is asked, and how the answers are read."""

from __future__ import annotations

import pytest

from ipabackup.host.processes import CommandFailed, Completed
from ipabackup.host.services import SystemServices, start_all
from tests.fakes.processes import FakeProcesses

RUNNING = "Directory Service: RUNNING\nkrb5kdc Service: RUNNING\nipa: INFO: The ipactl command was successful\n"
PARTLY = "Directory Service: RUNNING\nkrb5kdc Service: STOPPED\n"
STOPPED = "Directory Service must be running in order to obtain status of other services\nDirectory Service: STOPPED\n"


@pytest.mark.row("B1")
@pytest.mark.parametrize(
    ("status", "output", "running", "configured"),
    [
        (0, RUNNING, True, True),
        (1, PARTLY, True, True),
        (3, STOPPED, False, True),
        (4, "IPA is not configured (see man pages of ipa-server-install for help)\n", False, False),
    ],
)
def test_ipactl_status_is_read_as_it_is_printed(status: int, output: str, running: bool, configured: bool) -> None:
    services = SystemServices(FakeProcesses(lambda argv: Completed(argv, status, output, "")))
    assert services.ipa_running() is running
    assert services.ipa_configured() is configured


def test_without_ipactl_nothing_is_configured_and_nothing_runs() -> None:
    services = SystemServices(FakeProcesses(lambda _: None))
    assert not services.ipa_running()
    assert not services.ipa_configured()


@pytest.mark.row("R14")
def test_a_unit_that_does_not_start_is_an_error_with_what_systemd_said() -> None:
    services = SystemServices(FakeProcesses(lambda _: (1, "Job for sssd.service failed.")))
    with pytest.raises(CommandFailed, match=r"systemctl start -- sssd\.service.*Job for sssd"):
        services.start("sssd.service")
    with pytest.raises(CommandFailed):
        services.ipa_start()


@pytest.mark.row("B1", "R14")
def test_one_that_does_not_start_keeps_no_other_one_from_being_started() -> None:
    processes = FakeProcesses(lambda argv: (1, f"{argv[-1]} is ill.") if argv[-1] in ("b", "d") else "")
    with pytest.raises(CommandFailed, match=r"(?s)b is ill.*d is ill"):
        start_all(SystemServices(processes), ["a", "b", "c", "d"])
    assert [argv[-1] for argv in processes.ran] == ["a", "b", "c", "d"]


@pytest.mark.row("B1", "R14")
def test_a_directory_server_that_takes_its_time_is_not_given_up_before_systemd_does() -> None:
    """Ten minutes are what its unit has to stop, and it may start for as long as it likes."""
    processes = FakeProcesses()
    services = SystemServices(processes)
    services.stop("dirsrv@EXAMPLE-TEST.service")
    services.restart("dirsrv@EXAMPLE-TEST.service")
    services.ipa_stop()
    services.ipa_start()
    assert len(processes.limits) == 4
    assert min(processes.limits) > 2 * 600


def test_a_unit_that_is_not_there_is_told_from_one_that_is() -> None:
    states = {"sssd.service": "loaded\n", "gone.service": "not-found\n", "masked.service": "masked\n"}
    services = SystemServices(FakeProcesses(lambda argv: states[argv[-1]]))
    assert [services.exists(unit) for unit in states] == [True, False, False]


def test_enabling_nothing_asks_nobody() -> None:
    processes = FakeProcesses()
    services = SystemServices(processes)
    services.enable()
    services.disable()
    assert processes.ran == []
    services.enable("a.service", "b.timer")
    assert processes.ran == [("systemctl", "enable", "--", "a.service", "b.timer")]
