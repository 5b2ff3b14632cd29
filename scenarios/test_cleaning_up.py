"""The lab removes what it made, and touches nothing else."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lab import owner
from lab.engine import SNAPSHOT, Engine, connect, names_of
from lab.image import ensure_server_image
from lab.realm import Realm
from lab.topology import load
from lab.waiting import wait_for

_BARE_LAB = """
import sys
from lab.engine import connect
from lab.owner import this_process
from lab.realm import Realm
from lab.topology import load
engine = connect(sys.argv[1])
print(engine.client.version()["ApiVersion"], flush=True)
Realm.up(engine, load("single"), name=sys.argv[2], owner=this_process(), installed=False, image=sys.argv[3])
print("up", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def own() -> Iterator[Engine]:
    """The engine, with a label of this test's own: whatever else is labelled there is left in peace."""
    engine = connect(f"ipabackup.test-{secrets.token_hex(4)}")
    yield engine
    engine.prune()


def _bare_lab(engine: Engine, name: str) -> Realm:
    return Realm.up(engine, load("single"), name=name, installed=False, image=ensure_server_image(connect()))


@pytest.mark.row("L1")
def test_prune_leaves_nothing_labelled_and_touches_nothing_unlabelled(own: Engine) -> None:
    image = ensure_server_image(connect())
    name = f"bystander-{secrets.token_hex(4)}"
    bystander = own.client.containers.create(image, name=name, entrypoint=["/bin/true"])
    network = own.client.networks.create(name, internal=True)
    try:
        before = {str(found.id) for found in own.client.images.list()}
        labs = [_bare_lab(own, f"prune-{secrets.token_hex(3)}") for _ in range(2)]
        labs[0].master.container.commit(repository="prune-test", tag=name, changes=f'LABEL {own.namespace}="images"')
        removed = own.prune()
        assert len(removed.containers) == len(removed.networks) == 2
        assert removed.images == [f"prune-test:{name}"]
        assert own.containers() == own.networks() == own.images() == []
        bystander.reload()
        network.reload()
        assert before <= {str(found.id) for found in own.client.images.list()}
    finally:
        bystander.remove(force=True)
        network.remove()


@pytest.mark.row("L1")
def test_the_lab_of_a_killed_process_is_removed_by_the_next_run(own: Engine) -> None:
    image = ensure_server_image(connect())
    name = f"orphan-{secrets.token_hex(3)}"
    argv = [sys.executable, "-c", _BARE_LAB, own.namespace, name, image]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(2)][1] == "up"
        assert own.remove_of_dead_owners().containers == [], "its owner lives"
        process.kill()
    assert own.remove_of_dead_owners().containers == [f"{name}-ipa1"]
    assert own.containers() == own.networks() == []


@pytest.mark.row("L1")
def test_a_lab_is_put_back_to_its_snapshot_which_goes_with_it(own: Engine) -> None:
    with _bare_lab(own, f"back-{secrets.token_hex(3)}") as realm:
        address, lost = realm.master.address, "/root/written-later"
        realm.master.write_file("/root/kept", "as it was\n")
        snapshot = realm.snapshot()
        for _ in range(2):
            realm.revert(snapshot)
            assert realm.master.read_file("/root/kept") == "as it was\n"
            assert not realm.master.testinfra.file(lost).exists
            assert realm.master.address == address
            realm.master.write_file(lost, "")
        assert [names_of(image) for image in own.images(SNAPSHOT)] == [list(snapshot.images.values())]
    assert own.images() == own.containers() == []


@pytest.mark.row("L1")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_lab_up_leaves_nothing(own: Engine, number: signal.Signals) -> None:
    name = f"halfway-{secrets.token_hex(3)}"
    # A build machine may have started this run with SIGINT ignored, and children inherit that.
    argv = ["env", "--default-signal=INT,TERM"]
    argv += [sys.executable, "-m", "lab", "up", "--lab", name, "--bare", "--no-product"]
    shared = connect()
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for("the lab's first host", lambda: shared.containers(name), limit=120)
            os.kill(process.pid, number)
            status = process.wait(60)
        finally:
            process.kill()
    left = (shared.containers(name), shared.networks(name))
    shared.remove(name)
    assert status == 130
    assert left == ([], [])


def test_a_process_is_told_from_another_that_has_its_number() -> None:
    mine = owner.this_process()
    assert owner.is_alive(mine)
    boot, pid, started = mine.split(":")
    assert not owner.is_alive(f"{boot}:{pid}:{int(started) + 1}")
    assert not owner.is_alive(f"another-boot:{pid}:{started}")
