"""Faults: what is run in a host's network, and that all is undone on every way out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, cast

import docker
import docker.errors
import pytest

from lab.engine import Engine
from lab.errors import FaultImpossible, LabError
from lab.faults import cut, cut_rules, heal, kill, partition, pause, paused, slow_down, slow_line
from lab.host import Host
from lab.topology import load

RULE = "delete element inet ipalab cut {{ {} }}"


@dataclass
class FakeContainer:
    """A container that can be paused and killed."""

    id: str
    status: str = "running"
    labels: dict[str, str] = field(default_factory=lambda: {"ipabackup.lab": "lab1", "ipabackup.lab.owner": "me"})
    attrs: dict[str, Any] = field(default_factory=lambda: {"Image": "sha256:1"})
    gone: bool = False

    def reload(self) -> None:
        if self.gone:
            raise docker.errors.NotFound("gone")

    def pause(self) -> None:
        if self.status != "running":
            raise docker.errors.APIError("not running")
        self.status = "paused"

    def unpause(self) -> None:
        self.status = "running"

    def kill(self) -> None:
        self.status = "exited"

    def wait(self) -> None:
        assert self.status == "exited"


@dataclass
class FakeEngine:
    """Notes the tools that are run in hosts' networks: (host, words); says what it is told to say."""

    ran: list[tuple[str, str]] = field(default_factory=list)
    options: list[dict[str, Any]] = field(default_factory=list)
    fails: dict[str, str] = field(default_factory=dict)

    @property
    def containers(self) -> FakeEngine:
        return self

    def run(self, image: str, command: list[str], *, entrypoint: list[str], **options: Any) -> None:
        words = " ".join([*entrypoint, *command])
        self.ran.append((options["network_mode"].removeprefix("container:"), words))
        self.options.append(options)
        for part, said in self.fails.items():
            if part in words:
                raise docker.errors.ContainerError(cast(Any, self), 1, command, image, cast(str, said.encode()))

    def undone(self) -> list[tuple[str, str]]:
        """What takes something away."""
        return [(host, words) for host, words in self.ran if " delete " in words or " del " in words]


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def hosts(engine: FakeEngine) -> list[Host]:
    """The masters of a triangle, 10.213.0.2 to .4."""
    topology = load("triangle")
    real = Engine(cast(docker.DockerClient, engine))
    return [
        Host(real, topology, member, cast(Any, FakeContainer(member.name)), f"10.213.0.{number}")
        for number, member in enumerate(topology.members, 2)
    ]


def _leave_by_error(fault: AbstractContextManager[None], made: Callable[[], bool]) -> None:
    """Leave a fault's block by an exception, after a look whether it was made."""

    def inside() -> None:
        assert made()
        raise KeyError

    with pytest.raises(KeyError), fault:
        inside()


def test_each_side_of_a_cut_drops_what_comes_from_the_other(engine: FakeEngine, hosts: list[Host]) -> None:
    one, two, _ = hosts
    cut(one, two)
    assert engine.ran == [("ipa1", f"nft {cut_rules('10.213.0.3')}"), ("ipa2", f"nft {cut_rules('10.213.0.2')}")]
    assert "ip saddr @cut drop" in cut_rules("10.213.0.3")


def test_the_tool_has_the_right_to_change_the_network_and_no_other(engine: FakeEngine, hosts: list[Host]) -> None:
    cut(*hosts[:2])
    for options in engine.options:
        assert (options["cap_drop"], options["cap_add"]) == (["ALL"], ["NET_ADMIN"])
        assert "privileged" not in options
        assert options["labels"]["ipabackup.lab"] == "lab1"
        assert options["labels"]["ipabackup.lab.owner"] == "me"


def test_a_partition_heals_when_the_block_fails(engine: FakeEngine, hosts: list[Host]) -> None:
    _leave_by_error(partition(*hosts), lambda: not engine.undone())
    expected = {("ipa1", "3"), ("ipa2", "2"), ("ipa1", "4"), ("ipa3", "2")}
    assert set(engine.undone()) == {(host, f"nft {RULE.format(f'10.213.0.{last}')}") for host, last in expected}


def test_a_partition_heals_what_was_cut_when_a_later_cut_fails(engine: FakeEngine, hosts: list[Host]) -> None:
    engine.fails["element inet ipalab cut { 10.213.0.4 }"] = "Operation not permitted"
    with pytest.raises(FaultImpossible, match="Operation not permitted"), partition(*hosts):
        pytest.fail("the block must not run")
    assert ("ipa2", f"nft {RULE.format('10.213.0.2')}") in engine.undone()


def test_a_host_that_is_off_or_gone_has_nothing_to_heal(engine: FakeEngine, hosts: list[Host]) -> None:
    one, two, three = hosts
    with partition(*hosts):
        kill(two)
        cast(FakeContainer, three.container).gone = True
    assert {host for host, _ in engine.undone()} == {"ipa1"}
    heal([one, two, three])


def test_healing_what_is_whole_is_no_error_and_other_trouble_is(engine: FakeEngine, hosts: list[Host]) -> None:
    engine.fails = {"delete table": "Error: No such file or directory", "qdisc del": "Cannot delete qdisc with handle"}
    engine.fails["qdisc del"] += " of zero."
    heal(hosts)
    engine.fails["delete table"] = "Operation not permitted"
    with pytest.raises(FaultImpossible, match="Operation not permitted"):
        heal(hosts)
    # All of them were tried nevertheless.
    assert {host for host, _ in engine.ran[-6:]} == {"ipa1", "ipa2", "ipa3"}


def test_a_host_that_is_off_cannot_be_cut_off(hosts: list[Host]) -> None:
    kill(hosts[0])
    with pytest.raises(LabError, match=r"ipa1\.example\.test does not run"):
        cut(*hosts[:2])


def test_a_paused_host_goes_on_when_the_block_fails(hosts: list[Host]) -> None:
    container = cast(FakeContainer, hosts[0].container)
    _leave_by_error(paused(hosts[0]), lambda: container.status == "paused")
    assert container.status == "running"


def test_a_host_that_is_off_cannot_be_paused(hosts: list[Host]) -> None:
    kill(hosts[0])
    with pytest.raises(FaultImpossible, match="cannot be paused"):
        pause(hosts[0])


def test_a_line_is_fast_again_when_the_block_fails(engine: FakeEngine, hosts: list[Host]) -> None:
    _leave_by_error(slow_line(hosts[0], kbit=100), lambda: "tbf rate 100kbit" in engine.ran[-1][1])
    assert engine.undone() == [("ipa1", "tc qdisc del dev eth0 root")]


def test_a_delay_that_the_kernel_cannot_make_leaves_no_slow_line_behind(engine: FakeEngine, hosts: list[Host]) -> None:
    engine.fails["netem"] = "Error: Specified qdisc kind is unknown."
    with pytest.raises(FaultImpossible, match="qdisc kind is unknown"):
        slow_down(hosts[0], kbit=100, delay=50)
    assert engine.undone() == [("ipa1", "tc qdisc del dev eth0 root")]
