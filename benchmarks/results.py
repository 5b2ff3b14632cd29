"""One run of the benchmarks: what was measured, where, and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cases import Run


@dataclass
class Results:
    """All that a run of the benchmarks found.

    ``databases`` maps numbers of users to the bytes of the databases; ``remarks`` are whatever a reader must know
    before trusting a figure, ``given_up`` the runs that failed again and again.
    """

    date: str
    machine: dict[str, str]
    runs: list[Run] = field(default_factory=list)
    databases: dict[int, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        values: dict[str, Any] = {**asdict(self), "runs": [run.as_json() for run in self.runs]}
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        fresh.rename(path)

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read what :meth:`write` wrote."""
        values = json.loads(path.read_text(encoding="utf-8"))
        values["runs"] = [Run.from_json(run) for run in values["runs"]]
        values["databases"] = {int(users): size for users, size in values["databases"].items()}
        return cls(**values)
