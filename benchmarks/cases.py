"""What is measured: the cases, the measures, and the limits that each has to hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

DOCUMENTED, OURS = "documented", "ours"

MIB = 1024 * 1024


@dataclass(frozen=True)
class Measure:
    """Something that is measured of each run; ``name`` is the field of :class:`Run`, ``unit`` is ``s`` or ``MiB``."""

    name: str
    title: str
    unit: str

    def of(self, run: Run) -> float | None:
        """The run's value in this unit; None where it does not apply."""
        value = getattr(run, self.name)
        if value is None:
            return None
        return float(value) / MIB if self.unit == "MiB" else float(value)


LDAP_DOWN = Measure("ldap_down", "downtime of the directory", "s")
KDC_DOWN = Measure("kdc_down", "downtime of the KDC", "s")
HTTPS_DOWN = Measure("https_down", "downtime of HTTPS", "s")
WALL = Measure("wall", "wall", "s")
SIZE = Measure("size", "size", "MiB")
DISK = Measure("disk", "extra disk at peak", "MiB")
MEMORY = Measure("memory", "memory of our processes at peak", "MiB")

#: Those that are compared as ratios, in the order of the tables.
COMPARED = (LDAP_DOWN, KDC_DOWN, HTTPS_DOWN, WALL, SIZE, DISK)

#: At any size (MiB).
MEMORY_LIMIT = 200.0

#: The number of users from which a case's limits hold; below, no ratio may exceed :data:`LIMIT_BELOW`.
FULL_SIZE, LIMIT_BELOW = 100_000, 1.0


@dataclass(frozen=True)
class Case:
    """A backup or a restore that both sides do.

    ``restores`` names the case whose backup a restore takes.  ``against`` names the case whose documented runs
    this one is compared with: its own unless said.  ``limits`` maps names of measures to the highest ratio, ours
    to documented, at :data:`FULL_SIZE` users; 0 means that ours has none of it, whatever the other has.
    """

    name: str
    title: str
    restores: str = ""
    against: str = ""
    limits: Mapping[str, float] | None = None

    def limit(self, measure: Measure, users: int) -> float | None:
        """The highest ratio that is allowed, or None where nothing is demanded."""
        if self.limits is None or measure.name not in self.limits:
            return None
        at_full_size = self.limits[measure.name]
        return at_full_size if users >= FULL_SIZE or at_full_size == 0 else LIMIT_BELOW


def _limits(ldap_down: float, wall: float, disk: float, size: float | None = None) -> dict[str, float]:
    limits = {"ldap_down": ldap_down, "wall": wall, "disk": disk}
    return limits if size is None else {**limits, "size": size}


CASES = (
    Case("full", "full", limits=_limits(0.25, 0.4, 0.9, 0.55)),
    Case("full-hot", "full --hot", against="full", limits=_limits(0, 0.35, 0.9, 0.55)),
    Case("data-offline", "data offline", limits=_limits(0.3, 0.4, 0.9, 0.55)),
    Case("data-online", "data online", limits=_limits(0, 0.6, 0.9, 0.55)),
    Case("restore-full", "restore full", restores="full", limits=_limits(0.2, 0.3, 0.6)),
    Case("restore-data", "restore data", restores="data-offline", limits=_limits(0.2, 0.25, 0.6)),
    Case("restore-data-online", "restore data online", restores="data-offline"),
)


@dataclass(frozen=True)
class Run:
    """One run of one side of a case.

    Seconds, and bytes: ``size`` of the backup that was made (None: of a restore), ``disk`` taken at the peak beyond
    what was taken before, ``lost`` the same as the whole file system shows it (with what anybody else on the
    machine did), ``memory`` of our own processes and ``tree`` of them and all that they started (None: not ours).
    ``steps`` are the seconds of our plan's steps.  ``failures`` are the messages of attempts that failed before.
    """

    users: int
    case: str
    side: str
    wall: float
    ldap_down: float
    kdc_down: float
    https_down: float
    disk: int
    lost: int
    size: int | None = None
    memory: int | None = None
    tree: int | None = None
    steps: Mapping[str, float] | None = None
    failures: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The values by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Run:
        """Read what :meth:`as_json` gave."""
        return cls(**{**values, "failures": tuple(values.get("failures", ()))})


def case_of(name: str) -> Case:
    """Find a case by its name; KeyError."""
    return {one.name: one for one in CASES}[name]
