"""Hands realms to scenarios: fresh clones of an installed one, with the product on them, gone afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import owner
from lab.artefacts import collect
from lab.engine import Engine, connect
from lab.errors import LabError, NoEngine
from lab.host import Host
from lab.product import install_product
from lab.realm import Realm
from lab.termination import unwind_when_terminated
from lab.topology import Topology, load
from tests.plugins.rows import rows_of
from tests.plugins.run_report import KEPT_LAB, ROWS, RunReport, folder_of
from tests.plugins.schedule import REALM

ARTEFACTS = Path(__file__).parents[1] / "artifacts"

#: Where this run's main process and its workers put what they save.
_FOLDER_VARIABLE = "IPALAB_ARTEFACTS"

_FAILED = pytest.StashKey[bool]()

#: Why a scenario, or all of a file, cannot run on what was asked for: lab files declare it.
_DECLARED = pytest.StashKey[str]()

#: What the next report has to tell: a scenario's phase, and the fixtures of its file, may all make realms.
_TOLD: list[tuple[str, object]] = []

RealmMaker = Callable[..., Realm]
ProductPutter = Callable[[Host], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what a run of scenarios can be told."""
    group = parser.getgroup("lab", "the lab that scenarios run in")
    group.addoption("--keep", action="store_true", help="leave the labs of failed scenarios up")
    group.addoption("--image", default="", help="make the servers from this image instead of the lab's own")
    group.addoption("--lab-file", default="", metavar="FILE", help="a topology that takes the place of 'single'")
    group.addoption("--enforcing", action="store_true", help="have SELinux enforce its policy where it is on")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Name the run that all its labs belong to, before there are workers, and where its results go."""
    if not hasattr(config, "workerinput"):
        os.environ[owner.SESSION_VARIABLE] = owner.this_process()
        folder = ARTEFACTS / time.strftime("%Y-%m-%d-%H-%M-%S")
        os.environ[_FOLDER_VARIABLE] = str(folder)
        if not config.option.collectonly:
            config.option.xmlpath = config.option.xmlpath or str(folder / "junit.xml")
            config.pluginmanager.register(RunReport(folder), "lab-report")
    # Also the workers: who ends a whole group of processes ends them as well.
    unwind_when_terminated()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Remove what killed runs left behind."""
    if hasattr(session.config, "workerinput") or session.config.option.collectonly:
        return
    try:
        connect().remove_of_dead_owners()
    except NoEngine as error:
        raise pytest.UsageError(str(error)) from error


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the run's labs, whatever ended it; scenarios that came to their end have removed their own.

    What an interrupted worker was installing is the worker's own, and the worker is dead by now.
    """
    if hasattr(config, "workerinput") or config.option.collectonly or config.option.keep:
        return
    mine = os.environ.pop(owner.SESSION_VARIABLE, "")
    try:
        engine = connect()
        engine.remove_of_owner(mine)
        engine.remove_of_dead_owners()
    except NoEngine:
        # Then there was none at the start either, which was reported.
        return


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the folder that holds what was saved of failed scenarios."""
    folder = Path(os.environ.get(_FOLDER_VARIABLE, ""))
    if folder.name and folder.exists() and any(path.is_dir() for path in folder.iterdir()):
        terminalreporter.write_line(f"Journals, logs and states of the failed scenarios' hosts: {folder}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Note failures, so that fixtures of the test, and of what it is in, know of them when they end."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    report.user_properties += [(ROWS, " ".join(sorted(rows_of(item)))), *_TOLD]
    _TOLD.clear()
    if report.skipped:
        declared = [node.stash[_DECLARED] for node in item.listchain() if _DECLARED in node.stash]
        report.user_properties += [("may_skip", reason) for reason in declared]
    if report.failed:
        for node in item.listchain():
            node.stash[_FAILED] = True
    return report  # type: ignore[return-value]


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine that the run uses."""
    return connect()


@pytest.fixture
def put_product() -> ProductPutter:
    """Puts ``ipa-backup`` and ``ipa-restore`` into a host."""
    return install_product


@pytest.fixture
def make_realm(request: pytest.FixtureRequest, engine: Engine, put_product: ProductPutter) -> Iterator[RealmMaker]:
    """Make realms that end with the scenario: ``make_realm("single", installed=True, product=True)``."""
    with _realms(request, engine, put_product) as make:
        yield make


@pytest.fixture(scope="module")
def make_shared_realm(request: pytest.FixtureRequest, engine: Engine) -> Iterator[RealmMaker]:
    """Make realms that end with the file's last scenario: for those that leave a realm as they found it."""
    with _realms(request, engine, install_product) as make:
        yield make


@contextmanager
def _realms(request: pytest.FixtureRequest, engine: Engine, put_product: ProductPutter) -> Iterator[RealmMaker]:
    realms: list[Realm] = []

    def make(name: str = "single", *, installed: bool = True, product: bool = True) -> Realm:
        asked = time.monotonic()
        topology = _topology(request, name)
        realm = Realm.up(
            engine,
            topology,
            owner=owner.session(),
            installed=installed,
            image=request.config.getoption("--image"),
            say=print,
        )
        realms.append(realm)
        _TOLD.append((REALM, (realm.topology.name, time.monotonic() - asked - realm.seconds)))
        if product:
            for host in realm.hosts.values():
                put_product(host)
        print(f"lab '{realm.name}' was ready after {realm.seconds:.1f} s")
        return realm

    yield make
    failed = request.node.stash.get(_FAILED, False)
    for realm in realms:
        if failed:
            _save(realm, request.node.nodeid)
        if failed and request.config.getoption("--keep"):
            _TOLD.append((KEPT_LAB, realm.name))
        else:
            realm.down()


def _topology(request: pytest.FixtureRequest, name: str) -> Topology:
    """The topology of this name, or the lab file that takes the place of 'single'.

    Skips a scenario that cannot run, where lab files declare why.
    """
    config = request.config
    lab_file, image = config.getoption("--lab-file"), config.getoption("--image")
    if name != "single" or not lab_file:
        topology = load(name)
        if topology.own_image_only and (image or (lab_file and load(lab_file).image)):
            _skip_declared(request, f"the topology '{name}' asks for what only the lab's own image has")
        return topology
    topology = load(lab_file)
    missing = {need for mark in request.node.iter_markers("needs") for need in mark.args} - topology.capabilities
    if missing:
        _skip_declared(request, f"{lab_file} declares no {' and no '.join(sorted(missing))}")
    return topology


def _skip_declared(request: pytest.FixtureRequest, reason: str) -> None:
    request.node.stash[_DECLARED] = reason
    pytest.skip(reason)


def _save(realm: Realm, nodeid: str) -> None:
    folder = Path(os.environ[_FOLDER_VARIABLE]) / folder_of(nodeid) / realm.name
    for host in realm.hosts.values():
        try:
            for line in collect(host, folder):
                print(f"could not be collected: {line}")
        except LabError as error:
            print(f"nothing could be collected from {host.fqdn}: {error}")


@pytest.fixture
def realm(request: pytest.FixtureRequest, make_realm: RealmMaker) -> Realm:
    """A realm of its own for the scenario, installed and with the product on its masters."""
    mark = request.node.get_closest_marker("topology")
    return make_realm(mark.args[0] if mark else "single")


@pytest.fixture
def master(realm: Realm) -> Host:
    """The first server of the scenario's realm."""
    return realm.master
