"""Finding an engine, and reading what is written on things there."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import engine, network, owner
from lab.engine import candidates, connect
from lab.errors import NoEngine


def test_docker_host_is_the_only_candidate_when_it_is_set() -> None:
    assert list(candidates({"DOCKER_HOST": "tcp://elsewhere:2375"})) == ["tcp://elsewhere:2375"]


def test_sockets_that_exist_are_candidates_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SOCKETS", (str(tmp_path / "absent"), "{runtime}/podman.sock"))
    (tmp_path / "podman.sock").touch()
    assert list(candidates({"XDG_RUNTIME_DIR": str(tmp_path)})) == [f"unix://{tmp_path}/podman.sock"]


def test_no_engine_is_an_error_that_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    with pytest.raises(NoEngine) as caught:
        connect()
    assert "/nowhere.sock" in str(caught.value)
    assert "quickstart prepare" in str(caught.value)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", "from lab.owner import this_process as t; print(t(), flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def test_an_owner_is_alive_until_its_process_ends(child: "subprocess.Popen[str]") -> None:
    assert child.stdout is not None
    name = child.stdout.readline().strip()
    assert owner.is_alive(name)
    child.kill()
    child.wait()
    assert not owner.is_alive(name)


def test_another_process_with_the_same_number_is_no_owner() -> None:
    boot, pid, started = owner.this_process().split(":")
    assert not owner.is_alive(f"{boot}:{pid}:{int(started) + 1}")
    assert not owner.is_alive(f"other-boot:{pid}:{started}")


@pytest.mark.parametrize("name", ["", "root", "a:b", "a:b:c"])
def test_an_owner_that_is_not_understood_is_left_in_peace(name: str) -> None:
    assert owner.is_alive(name)


def test_the_workers_of_a_run_share_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(owner.SESSION_VARIABLE, "boot:1:2")
    assert owner.session() == "boot:1:2"
    monkeypatch.delenv(owner.SESSION_VARIABLE)
    assert owner.session() == owner.this_process()
    assert str(os.getpid()) in owner.this_process()


ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
br-1\t4072D50A\t00000000\t0001\t0\t0\t0\tF0FFFFFF\t0\t0\t0
"""


def test_networks_that_the_machine_has_routes_to_are_read(tmp_path: Path) -> None:
    table = tmp_path / "route"
    table.write_text(ROUTES)
    assert [str(found) for found in network._of_routes(table)] == ["10.213.114.64/28"]
    assert list(network._of_routes(tmp_path / "absent")) == []


def test_hosts_get_the_addresses_after_the_gateway() -> None:
    subnet = next(network.RANGE.subnets(new_prefix=network.PREFIX))
    addresses = list(network.host_addresses(subnet))
    assert addresses[0] == "10.213.0.2"
    assert len(addresses) == 13
