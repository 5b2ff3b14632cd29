"""The medians as a picture: a row of bars for each measure, a column for each number of users."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases import DISK, LDAP_DOWN, SIZE, WALL, Case, Measure
from benchmarks.results import Results
from benchmarks.summary import Comparison, compare, sizes

MEASURES = (LDAP_DOWN, WALL, SIZE, DISK)


def plot(results: Results, path: Path) -> None:
    """Draw the picture; its format goes by the file's name (.svg, .png).  Needs matplotlib."""
    import matplotlib as mpl

    mpl.use("Agg")
    # The same figures give the same file.
    mpl.rcParams["svg.hashsalt"] = "benchmarks"
    import matplotlib.pyplot as plt

    found = compare(results.runs)
    columns = sizes(results.runs)
    figure, axes = plt.subplots(
        len(MEASURES),
        len(columns),
        figsize=(1 + 5 * len(columns), 2.6 * len(MEASURES)),
        squeeze=False,
        layout="constrained",
    )
    for row, measure in enumerate(MEASURES):
        for column, users in enumerate(columns):
            here = [one for one in found if one.users == users and one.measure == measure and one.ours is not None]
            _bars(axes[row][column], here, measure)
            if row == 0:
                axes[row][column].set_title(f"{users:,} users")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle("Beside the documented procedure: medians")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def _bars(axis: Any, comparisons: Sequence[Comparison], measure: Measure) -> None:
    cases: list[Case] = [one.case for one in comparisons]
    places = range(len(cases))
    width = 0.4
    sides = (
        ("documented", "#9aa5b1", -width / 2, [one.documented for one in comparisons]),
        ("ours", "#1f6feb", width / 2, [one.ours for one in comparisons]),
    )
    for label, colour, shift, values in sides:
        heights = [max(value or 0.0, 0.0) for value in values]
        bars = axis.bar([place + shift for place in places], heights, width, label=label, color=colour)
        axis.bar_label(bars, labels=[f"{height:.3g}" for height in heights], fontsize=7)
    axis.set_ylabel(f"{measure.title}, {measure.unit}", fontsize=8)
    axis.set_xticks(list(places), [case.title for case in cases], fontsize=7, rotation=20)
    axis.margins(y=0.15)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
