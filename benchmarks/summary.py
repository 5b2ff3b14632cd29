"""Medians, ratios, and whether they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.cases import (
    COMPARED,
    DOCUMENTED,
    MEMORY,
    MEMORY_LIMIT,
    OURS,
    Case,
    Measure,
    Run,
    case_of,
)


@dataclass(frozen=True)
class Comparison:
    """One measure of one case at one size: both medians (None: not measured or not applicable), and the limit.

    The limit is a ratio; 0 stands for none at all of ours.
    """

    case: Case
    measure: Measure
    users: int
    documented: float | None
    ours: float | None
    limit: float | None

    @property
    def ratio(self) -> float | None:
        """Ours by the documented one, None where one is missing or where the documented one is 0 and ours is not."""
        if self.ours is None or self.documented is None:
            return None
        # A restore may end with less than it began with: it then takes nothing.
        ours, documented = max(self.ours, 0.0), max(self.documented, 0.0)
        if documented == 0:
            return 0.0 if ours == 0 else None
        return ours / documented

    @property
    def holds(self) -> bool | None:
        """Whether the limit is kept; None where there is none, or nothing to compare."""
        if self.limit is None or self.ours is None:
            return None
        if self.limit == 0:
            return self.ours <= 0
        if self.documented is None:
            return None
        return self.ratio is not None and self.ratio <= self.limit


def middle(runs: Sequence[Run], users: int, case: str, side: str, measure: Measure) -> float | None:
    """The median of one side's runs of a case in the measure's unit; None when there is none."""
    chosen = (run for run in runs if (run.users, run.case, run.side) == (users, case, side))
    values = [value for value in map(measure.of, chosen) if value is not None]
    return median(values) if values else None


def compare(runs: Sequence[Run]) -> list[Comparison]:
    """Compare the sides in all that was measured: by size, case, measure."""
    found = []
    for users in sizes(runs):
        for case in cases(runs):
            for measure in COMPARED:
                documented = middle(runs, users, case.against or case.name, DOCUMENTED, measure)
                ours = middle(runs, users, case.name, OURS, measure)
                found.append(Comparison(case, measure, users, documented, ours, case.limit(measure, users)))
    return found


def sizes(runs: Sequence[Run]) -> list[int]:
    """The numbers of users that were measured, ascending."""
    return sorted({run.users for run in runs})


def cases(runs: Sequence[Run]) -> list[Case]:
    """The cases that ours was measured in, in the order of the runs."""
    return list({run.case: case_of(run.case) for run in runs if run.side == OURS}.values())


def peak_memory(runs: Sequence[Run]) -> float | None:
    """The highest memory of our processes in any run (MiB), None when none was measured."""
    values = [value for value in map(MEMORY.of, runs) if value is not None]
    return max(values, default=None)


def verdicts(runs: Sequence[Run]) -> tuple[list[str], int]:
    """What does not hold, a line each, and how many limits were looked at."""
    broken, looked_at = [], 0
    for comparison in compare(runs):
        if comparison.holds is None:
            continue
        looked_at += 1
        if not comparison.holds:
            ratio = "-" if comparison.ratio is None else f"{comparison.ratio:.2f}"
            broken.append(
                f"{comparison.users} users, {comparison.case.title}: {comparison.measure.title}"
                f" {comparison.ours:.1f} to {comparison.documented or 0:.1f} {comparison.measure.unit}, ratio {ratio},"
                f" limit {comparison.limit:g}"
            )
    memory = peak_memory(runs)
    if memory is not None:
        looked_at += 1
        if memory >= MEMORY_LIMIT:
            broken.append(f"{MEMORY.title}: {memory:.0f} MiB, limit {MEMORY_LIMIT:.0f} MiB")
    return broken, looked_at
