"""SELinux: on or off, and booleans that must be set twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipabackup.host.processes import CommandFailed
from ipabackup.host.selinux import BooleanState, SystemSELinux
from tests.fakes.processes import Answer, FakeProcesses

pytestmark = pytest.mark.row("R11")


class Policy:
    """getsebool, setsebool and semanage as one small host; `half` lets setsebool fail after the running
    value.
    """

    def __init__(self, half: bool = False) -> None:
        self.now = {"httpd_can_network_connect": False, "httpd_manage_ipa": False}
        self.boot = dict(self.now)
        self.half = half

    def __call__(self, argv: tuple[str, ...]) -> Answer:
        if argv[0] == "getsebool":
            if argv[1] not in self.now:
                return 1, f"Error getting active value for {argv[1]}"
            return f"{argv[1]} --> {'on' if self.now[argv[1]] else 'off'}\n"
        if argv[0] == "semanage":
            return "".join(
                f"{name:30s} ({'on' if self.now[name] else 'off':4s},{'on' if boot else 'off':>5s})  Allow\n"
                for name, boot in self.boot.items()
            )
        if argv[0] == "setsebool":
            for word in argv[2:]:
                name, value = word.split("=")
                self.now[name] = value == "on"
                if not self.half:
                    self.boot[name] = value == "on"
            return (255, "Connection refused") if self.half else ""
        raise AssertionError(argv)


def test_booleans_are_read_for_now_and_for_the_next_boot() -> None:
    policy = Policy()
    policy.now["httpd_manage_ipa"] = True
    states = SystemSELinux(FakeProcesses(policy)).booleans(["httpd_manage_ipa", "no_such_boolean"])
    assert states == {"httpd_manage_ipa": BooleanState(now=True, at_boot=False)}


def test_booleans_are_set_for_good() -> None:
    policy = Policy()
    processes = FakeProcesses(policy)
    SystemSELinux(processes).set_booleans({"httpd_manage_ipa": True, "httpd_can_network_connect": True})
    assert policy.boot == policy.now == {"httpd_can_network_connect": True, "httpd_manage_ipa": True}
    assert ("setsebool", "-P", "httpd_can_network_connect=on", "httpd_manage_ipa=on") in processes.ran


def test_one_that_is_set_only_until_the_next_boot_is_an_error() -> None:
    with pytest.raises(CommandFailed, match=r"httpd_manage_ipa.*Connection refused"):
        SystemSELinux(FakeProcesses(Policy(half=True))).set_booleans({"httpd_manage_ipa": True})


def test_where_there_is_no_selinuxfs_it_is_off_and_nobody_is_asked(tmp_path: Path) -> None:
    processes = FakeProcesses()
    assert not SystemSELinux(processes, filesystem=tmp_path).enabled()
    assert processes.ran == []
    (tmp_path / "enforce").write_text("1")
    assert SystemSELinux(processes, filesystem=tmp_path).enabled()
    assert not SystemSELinux(FakeProcesses(lambda _: (1, "")), filesystem=tmp_path).enabled()


def test_without_semanage_the_running_value_counts() -> None:
    policy = Policy()
    selinux = SystemSELinux(FakeProcesses(lambda argv: None if argv[0] == "semanage" else policy(argv)))
    assert selinux.booleans(["httpd_manage_ipa"])["httpd_manage_ipa"].at_boot is None
    selinux.set_booleans({"httpd_manage_ipa": True})
