"""Pytest plugin: ``docs/scenarios.md``, the list of all scenarios, written from the scenarios themselves.

``--write-scenarios`` runs nothing and writes it; ``--write-scenarios=FILE`` writes it elsewhere.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.plugins.rows import rows_of
from tests.plugins.schedule import SCENARIOS, Durations

PAGE = SCENARIOS.parent / "docs" / "scenarios.md"

_HEAD = """\
# Scenarios

Written by `python -m pytest scenarios --write-scenarios`; do not edit. Each is a test below `scenarios/` that runs end
to end in the lab. *Rows* are those of [requirements.md](requirements.md); *seconds* come from
`scenarios/durations.json`, without the installation that the first user of a topology waits for.
"""


@dataclass(frozen=True)
class Entry:
    """A scenario, its variants taken together; ``seconds`` of all of them, None when nobody has measured them."""

    path: str
    subject: str
    name: str
    asserts: str
    rows: tuple[str, ...]
    variants: int
    seconds: float | None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's option."""
    group = parser.getgroup("catalogue", "the list of scenarios")
    group.addoption("--write-scenarios", nargs="?", const=str(PAGE), metavar="FILE", help=f"write {PAGE.name}")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Run nothing when the list is to be written."""
    if config.getoption("--write-scenarios"):
        config.option.collectonly = True
        config.option.verbose = -3


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write the list, where it was asked for."""
    target = session.config.getoption("--write-scenarios")
    if target:
        found = entries((item for item in session.items if SCENARIOS in item.path.parents), Durations.read())
        Path(target).write_text(render(found), encoding="utf-8")


def entries(items: Iterable[pytest.Item], durations: Durations) -> list[Entry]:
    """The scenarios among ``items``, in the order of their files and of their places in them."""
    together: dict[str, list[pytest.Item]] = {}
    for item in items:
        together.setdefault(item.nodeid.partition("[")[0], []).append(item)
    found = []
    for nodeid, variants in together.items():
        function = getattr(variants[0], "function", None)
        module = getattr(variants[0], "module", None)
        known = [durations.scenarios[item.nodeid].seconds for item in variants if item.nodeid in durations.scenarios]
        path, _, name = nodeid.partition("::")
        found.append(
            Entry(
                path=path,
                subject=_first_line(module),
                name=name.removeprefix("test_").replace("_", " "),
                asserts=" ".join((inspect.getdoc(function) or "").split()),
                rows=tuple(sorted({row for item in variants for row in rows_of(item)}, key=_in_order)),
                variants=len(variants),
                seconds=sum(known) if len(known) == len(variants) else None,
            )
        )
    return sorted(found, key=lambda entry: entry.path)


def _first_line(documented: object) -> str:
    return (inspect.getdoc(documented) or "").partition("\n")[0]


def _in_order(row: str) -> tuple[str, int]:
    return row[0], int(row[1:])


def render(found: Iterable[Entry]) -> str:
    """The page."""
    return "\n".join([_HEAD, *_lines(list(found))]) + "\n"


def _lines(found: list[Entry]) -> Iterator[str]:
    for path in dict.fromkeys(entry.path for entry in found):
        here = [entry for entry in found if entry.path == path]
        yield f"## {path}\n\n{here[0].subject}\n"
        yield "| scenario | rows | seconds |\n|---|---|---:|"
        for entry in here:
            case = f"**{entry.name}**" + (f" ({entry.variants} variants)" if entry.variants > 1 else "")
            said = f"{case}<br>{entry.asserts}" if entry.asserts else case
            seconds = "" if entry.seconds is None else f"{entry.seconds:.0f}"
            yield f"| {said.replace('|', chr(92) + '|')} | {' '.join(entry.rows)} | {seconds} |"
        yield ""
    measured = [entry.seconds for entry in found if entry.seconds is not None]
    yield f"{sum(entry.variants for entry in found)} scenarios, {sum(measured) / 60:.0f} minutes of one worker."
