"""The results as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from benchmarks.cases import COMPARED, MEMORY, MEMORY_LIMIT, OURS, Run
from benchmarks.results import Results
from benchmarks.summary import Comparison, cases, compare, middle, peak_memory, sizes, verdicts

GOOD, BAD = "✓", "✗"

#: Between these lines of docs/benchmarks.md the figures stand.
BEGIN, END = "<!-- figures: written by a run -->", "<!-- end of figures -->"


def markdown(results: Results) -> str:
    """The whole report: what holds, the ratios, the figures behind them, the machine, the remarks."""
    runs = results.runs
    broken, looked_at = verdicts(runs)
    memory = peak_memory(runs)
    parts = [
        f"Measured {results.date}; medians.",
        f"**{looked_at - len(broken)} of {looked_at} limits hold.**",
    ]
    bad = [*broken, *(" ".join(line.split()) for line in results.given_up)]
    if bad:
        parts.append("\n".join(f"- {BAD} {line}" for line in bad))
    if memory is not None:
        mark = GOOD if memory < MEMORY_LIMIT else BAD
        parts.append(f"{MEMORY.title.capitalize()}, any run: {memory:.0f} MiB (< {MEMORY_LIMIT:.0f}) {mark}")
    found = compare(runs)
    for users in sizes(runs):
        here = [comparison for comparison in found if comparison.users == users]
        size = results.databases.get(users)
        repeated = max(Counter((run.case, run.side) for run in runs if run.users == users).values())
        databases = "" if size is None else f", databases {size / 1e6:.0f} MB"
        parts += [
            f"### {users:,} users (runs of each: {repeated}{databases})",
            ratios(here),
            figures(runs, here, users),
        ]
    parts.append("### Machine\n\n" + _table(("", ""), results.machine.items()))
    remarks = [*results.remarks, *(_failure(run) for run in runs if run.failures)]
    if remarks:
        parts.append("### Remarks\n\n" + "\n".join(f"- {remark}" for remark in remarks))
    return "\n\n".join(parts) + "\n"


def ratios(comparisons: Sequence[Comparison]) -> str:
    """A table of ratios, ours to documented, with their limits: a row a measure, a column a case."""
    names = list(dict.fromkeys(comparison.case.title for comparison in comparisons))
    rows = []
    for measure in COMPARED:
        cells = {one.case.title: _ratio(one) for one in comparisons if one.measure == measure}
        rows.append((measure.title, *(cells[name] for name in names)))
    return _table(("ours / documented", *names), rows)


def figures(runs: Sequence[Run], comparisons: Sequence[Comparison], users: int) -> str:
    """A table of the medians themselves: documented → ours."""
    names = {comparison.case.name: comparison.case.title for comparison in comparisons}
    rows = []
    for measure in COMPARED:
        cells = {one.case.name: one for one in comparisons if one.measure == measure}
        values = (_pair(cells[name]) for name in names)
        rows.append((f"{measure.title}, {measure.unit}", *values))
    memory = (_number(middle(runs, users, case.name, OURS, MEMORY)) for case in cases(runs) if case.name in names)
    rows.append((f"{MEMORY.title}, {MEMORY.unit}", *memory))
    return _table(("documented → ours", *names.values()), rows)


def write_between(text: str, figures_text: str) -> str:
    """Put the figures into the document, in the place of those before; ValueError where it has no place for them."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no lines '{BEGIN}' and '{END}'")
    return f"{head}{begin}\n\n{figures_text}\n{end}{tail}"


def _ratio(comparison: Comparison) -> str:
    limit, holds = comparison.limit, comparison.holds
    if limit == 0:
        shown = _number(comparison.ours) if comparison.ours else "0"
        shown = f"{shown} {comparison.measure.unit}" if comparison.ours else shown
    elif comparison.ratio is not None:
        shown = f"{comparison.ratio:.2f}"
    elif comparison.documented == 0 and comparison.ours:
        shown = f"0 → {_number(comparison.ours)} {comparison.measure.unit}"
    else:
        return ""
    if limit is not None:
        shown += f" (0) {_mark(holds)}" if limit == 0 else f" (≤ {limit:g}) {_mark(holds)}"
    return shown


def _pair(comparison: Comparison) -> str:
    if comparison.documented is None and comparison.ours is None:
        return ""
    return f"{_number(comparison.documented)} → {_number(comparison.ours)}"


def _mark(holds: bool | None) -> str:
    return "" if holds is None else GOOD if holds else BAD


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _failure(run: Run) -> str:
    first = " ".join(run.failures[0].split())[:200]
    times = "once" if len(run.failures) == 1 else f"{len(run.failures)} times"
    return f"{run.users} users, {run.case}, {run.side}: failed {times} before it went well, and was done again: {first}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
