"""A run of scenarios as one HTML page that needs nothing else: results, durations, rows, what was saved of failures."""

from __future__ import annotations

import html
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PAGE = "report.html"

#: Name of the property of a report that has the rows which its test proves.
ROWS = "rows"

#: Name of the property of a report that names a lab which was left up.
KEPT_LAB = "kept lab"

_STYLE = """
body { font: 15px/1.4 sans-serif; margin: 2em; color: #222 } table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .25em .8em .25em 0; border-bottom: 1px solid #ddd }
td.seconds, th.seconds { text-align: right; font-variant-numeric: tabular-nums }
.passed { color: #176d2f } .failed { color: #b3151c; font-weight: bold } .skipped { color: #8a6100 }
.line { position: relative; width: 22em; height: 1.1em; background: #f3f3f3 }
.line span { position: absolute; height: 100%; min-width: 1px } .line .setup { background: #b7c7dc }
.line .call { background: #4a76a8 } .line .teardown { background: #b7c7dc }
pre { background: #f7f7f7; padding: .8em; overflow: auto; max-height: 30em }
"""


def folder_of(nodeid: str) -> str:
    """The folder, below that of the run, for what is saved of a failed scenario or of a file's shared realm."""
    return "".join(sign if sign.isalnum() else "-" for sign in nodeid.rpartition("::")[2])


@dataclass(frozen=True)
class Phase:
    """Setup, call or teardown: when it began and ended, in seconds since the epoch."""

    name: str
    began: float
    ended: float


@dataclass
class Scenario:
    """What became of one scenario."""

    nodeid: str
    rows: str = ""
    worker: str = ""
    outcome: str = "passed"
    phases: list[Phase] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it took, with its realm's coming and going."""
        return sum(phase.ended - phase.began for phase in self.phases)


class RunReport:
    """Plugin object: gathers the reports of a run and writes the page at its end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._began = time.time()
        self._scenarios: dict[str, Scenario] = {}
        self._troubles: list[str] = []
        self._kept: list[str] = []

    @property
    def page(self) -> Path:
        """Where the page is, or will be."""
        return self._folder / PAGE

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Files that could not be read are no scenarios, and belong on the page nevertheless."""
        if report.failed:
            self._troubles.append(f"{report.nodeid}\n{report.longreprtext}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a phase of a scenario."""
        one = self._scenarios.setdefault(report.nodeid, Scenario(report.nodeid))
        one.rows = next((str(value) for name, value in report.user_properties if name == ROWS), one.rows)
        one.worker = str(getattr(report, "worker_id", one.worker))
        one.phases.append(Phase(str(report.when), report.start, report.stop))
        self._kept += [str(value) for name, value in report.user_properties if name == KEPT_LAB]
        if report.failed:
            one.outcome = "failed"
        elif report.skipped and one.outcome == "passed":
            one.outcome = "skipped"
        if not report.passed:
            one.said.append(report.longreprtext)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the page; a run without a scenario has none."""
        if self._scenarios or self._troubles:
            self._folder.mkdir(parents=True, exist_ok=True)
            ended = time.time()
            text = render(self._scenarios.values(), self._began, ended, self._troubles, self._saved())
            self.page.write_text(text, encoding="utf-8")

    def _saved(self) -> set[str]:
        return {path.name for path in self._folder.iterdir() if path.is_dir()} if self._folder.is_dir() else set()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name the page, and say how to enter the labs that were left up."""
        if self.page.exists():
            terminalreporter.write_line(f"Report of the run: {self.page}")
        for lab in self._kept:
            terminalreporter.write_line(f"Left up: python -m lab shell --lab {lab}")


def render(scenarios: Iterable[Scenario], began: float, ended: float, troubles: Iterable[str], saved: set[str]) -> str:
    """The page: failed scenarios first; ``saved`` are the names of the folders beside it."""
    ranked = sorted(scenarios, key=lambda one: (one.outcome == "passed", min(phase.began for phase in one.phases)))
    counts = {outcome: sum(one.outcome == outcome for one in ranked) for outcome in ("failed", "skipped", "passed")}
    summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "nothing ran"
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(began))
    rows = "\n".join(_row(one, began, ended, saved) for one in ranked)
    notes = "\n".join(f"<h2>Not collected</h2><pre>{html.escape(text)}</pre>" for text in troubles)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Scenarios: {summary}</title><style>{_STYLE}</style></head><body>
<h1>Scenarios</h1>
<p>{when}, {ended - began:.0f} s: <b>{summary}</b>. {sum(one.seconds for one in ranked):.0f} s of scenarios.</p>
{notes}
<table><tr><th>result</th><th>scenario</th><th>rows</th><th class="seconds">seconds</th><th>when</th></tr>
{rows}
</table></body></html>
"""


def _row(one: Scenario, began: float, ended: float, saved: set[str]) -> str:
    path, _, name = one.nodeid.partition("::")
    cell = f"{html.escape(name.replace('_', ' '))}<br><small>{html.escape(path)}</small>"
    # A realm that is shared was saved under its file's name.
    for folder in (folder_of(one.nodeid), folder_of(path)):
        if one.outcome == "failed" and folder in saved:
            cell += f'<br><a href="{html.escape(folder)}/">journals, logs, states</a>'
    if one.said:
        said = html.escape("\n\n".join(one.said))
        cell += f"<details><summary>what it said</summary><pre>{said}</pre></details>"
    bars = "".join(_bars(one, began, max(ended - began, 0.001)))
    return (
        f'<tr><td class="{one.outcome}">{one.outcome}</td><td>{cell}</td><td>{html.escape(one.rows)}</td>'
        f'<td class="seconds">{one.seconds:.1f}</td>'
        f'<td><div class="line">{bars}</div><small>{html.escape(one.worker)}</small></td></tr>'
    )


def _bars(one: Scenario, began: float, length: float) -> Iterator[str]:
    for phase in one.phases:
        left, width = 100 * (phase.began - began) / length, 100 * (phase.ended - phase.began) / length
        title = f"{phase.name}: {phase.ended - phase.began:.1f} s"
        yield f'<span class="{phase.name}" style="left:{left:.2f}%;width:{width:.2f}%" title="{title}"></span>'
