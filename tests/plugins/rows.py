"""Pytest plugin: tests and the rows of ``docs/requirements.md`` that they prove.

``--row T1`` (again and again, if you like) runs the tests that are marked with one of these rows.
``--list-rows`` runs nothing and prints each row with its tests, and at the end the rows that nothing
proves. ``--skips-fail`` makes a run fail that did less than it was asked for: a test may be skipped only
where its marker ``may_skip("why")`` says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[2] / "docs" / "requirements.md"

#: A row of a table there: ``| B1 | what it asks for … |``.
_ROW = re.compile(r"^\|\s*(?P<id>[A-Z]\d+)\s*\|\s*(?P<text>.+?)\s*\|\s*$")

#: How much of a row's text the list shows.
_WIDTH = 90


def known_rows(path: Path = REQUIREMENTS) -> dict[str, str]:
    """Read the rows: their ids, in the order of the document, and what they say."""
    found = (_ROW.match(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {match["id"]: match["text"] for match in found if match}


def rows_of(item: pytest.Item) -> set[str]:
    """Tell which rows a test is marked with."""
    return {str(row) for mark in item.iter_markers("row") for row in mark.args}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's options."""
    group = parser.getgroup("rows", "the rows of docs/requirements.md")
    group.addoption("--row", action="append", default=[], metavar="ID", help="run what proves this row")
    group.addoption("--list-rows", action="store_true", help="print the rows with their tests, run nothing")
    group.addoption("--skips-fail", action="store_true", help="fail when a test is skipped that may not be")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, and watch for skipped tests where that matters."""
    config.addinivalue_line("markers", "row(*ids): the rows of docs/requirements.md that this test proves")
    config.addinivalue_line("markers", "may_skip(reason): this test is allowed to be skipped")
    if config.getoption("--list-rows"):
        config.option.collectonly = True
        config.option.verbose = -3
    if config.getoption("--skips-fail") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Skips(config), "rows-skips")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check the marked ids against the document, and select."""
    known = known_rows() if REQUIREMENTS.exists() else {}
    for item in items:
        if known and (unknown := rows_of(item) - set(known)):
            raise pytest.UsageError(f"{item.nodeid}: {', '.join(sorted(unknown))} is no row of {REQUIREMENTS.name}")
        for mark in item.iter_markers("may_skip"):
            item.user_properties.append(("may_skip", str(mark.args[0])))
    wanted = set(config.getoption("--row"))
    if not wanted:
        return
    if known and (unknown := wanted - set(known)):
        raise pytest.UsageError(f"--row: {', '.join(sorted(unknown))} is no row of {REQUIREMENTS.name}")
    chosen = [item for item in items if rows_of(item) & wanted]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the list, where it was asked for."""
    if not config.getoption("--list-rows"):
        return
    session = terminalreporter._session
    tests: dict[str, list[str]] = {row: [] for row in known_rows()}
    for item in session.items if session is not None else []:
        for row in rows_of(item):
            tests.setdefault(row, []).append(_short(item.nodeid))
    for line in _listing(tests):
        terminalreporter.write_line(line)


def _listing(tests: dict[str, list[str]]) -> Iterator[str]:
    texts = known_rows()
    for row, proofs in tests.items():
        yield f"{row:<4} {texts.get(row, '')[:_WIDTH]}"
        yield from (f"       {proof}" for proof in sorted(set(proofs)))
    bare = [row for row, proofs in tests.items() if not proofs]
    yield f"{len(tests) - len(bare)} of {len(tests)} rows have a test; nothing proves: {', '.join(bare) or '-'}"


def _short(nodeid: str) -> str:
    """Leave the parameters out: one line a test."""
    return nodeid.partition("[")[0]


class _Skips:
    """Notes what was skipped without leave, and makes the run fail for it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            allowed = any(name == "may_skip" for name, _ in report.user_properties)
            if not allowed:
                self._skipped.append(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._skipped and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._skipped:
            terminalreporter.section("fewer tests ran than were asked for", red=True)
            for nodeid in self._skipped:
                terminalreporter.write_line(f"skipped without leave: {nodeid}")
