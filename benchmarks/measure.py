"""Measures the cases on one host: both sides in turn, each run checked for having done what it should."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks import users
from benchmarks.cases import DOCUMENTED, OURS, Case, Run, case_of
from benchmarks.prober import watched
from benchmarks.sides import Sides, step_seconds
from benchmarks.watcher import resources
from lab.errors import LabError
from lab.execute import CommandResult
from lab.host import Host

#: How often a run is tried before the measurement is given up.
ATTEMPTS = 3

_MARKER = "made-after-the-backup"

Say = Callable[[str], None]


class WrongResult(Exception):
    """A command ended well, and what it should have done is not done."""


@dataclass(frozen=True)
class GivenUp:
    """A run that failed each time; ``message`` says how the last time."""

    users: int
    case: Case
    side: str
    message: str

    def __str__(self) -> str:
        return f"{self.users} users, {self.case.title}, {self.side}: given up after {ATTEMPTS} failures: {self.message}"


def order(cases: Sequence[Case]) -> Iterator[tuple[str, Case]]:
    """Say which sides of which cases one repetition runs: in turn, so that both meet the same machine.

    A case that is compared with another's documented runs adds that one where it is not asked for.
    """
    documented: set[str] = set()
    for case in cases:
        other = case.against or case.name
        if other not in documented:
            documented.add(other)
            yield DOCUMENTED, case_of(other)
        yield OURS, case


def measure(sides: Sides, count: int, cases: Sequence[Case], repeat: int, say: Say) -> Iterator[Run | GivenUp]:
    """Run each side of each case ``repeat`` times on a host with ``count`` users; yields the runs as they end.

    A run that fails is tried again, twice, and says so in its result.  Raises LabError when the host does not come
    back to itself in between.
    """
    for repetition in range(1, repeat + 1):
        for side, case in order(cases):
            run = _persistent(sides, count, case, side, say)
            if isinstance(run, GivenUp):
                yield run
                continue
            say(
                f"  {count} users, {repetition}/{repeat}, {case.title}, {side}: {run.wall:.1f} s, without directory"
                f" {run.ldap_down:.1f} s, KDC {run.kdc_down:.1f} s, HTTPS {run.https_down:.1f} s"
            )
            yield run


def _persistent(sides: Sides, count: int, case: Case, side: str, say: Say) -> Run | GivenUp:
    failures: list[str] = []
    while len(failures) < ATTEMPTS:
        try:
            return _once(sides, count, case, side, tuple(failures))
        except (LabError, WrongResult) as error:
            say(f"  {case.title}, {side}, FAILED: {error}")
            failures.append(str(error)[:500])
            sides.clean()
    return GivenUp(count, case, side, failures[-1])


def _once(sides: Sides, count: int, case: Case, side: str, failures: tuple[str, ...]) -> Run:
    host = sides.host
    if case.restores:
        if (side, case.restores) not in sides.backups:
            backup = case_of(case.restores)
            sides.keep(side, backup, sides.run(side, backup))
        _add_marker(host)
    else:
        sides.forget(side, case)
    host.wait_ready()
    # What the run before has written is not this one's to wait for.
    host.run(["sync"])
    with resources(host) as peaks, watched(host) as seen:
        result = sides.run(side, case)
    host.wait_ready()
    size = None if case.restores else sides.keep(side, case, result)
    _check_directory(host, count, restored=bool(case.restores))
    return Run(
        users=count,
        case=case.name,
        side=side,
        wall=result.duration,
        ldap_down=seen.downtime("ldap"),
        kdc_down=seen.downtime("kdc"),
        https_down=seen.downtime("https"),
        disk=peaks.used,
        lost=peaks.lost,
        size=size,
        memory=peaks.own if side == OURS else None,
        tree=peaks.tree if side == OURS else None,
        steps=_steps(result) if side == OURS else None,
        failures=failures,
    )


def _steps(result: CommandResult) -> dict[str, float]:
    return step_seconds(result)


def _marker_dn(host: Host) -> str:
    return f"cn={_MARKER},cn=groups,cn=accounts,{host.topology.suffix}"


def _add_marker(host: Host) -> None:
    """Add an entry that a restore has to take away."""
    import ldap

    with host.ldap() as connection:
        try:
            connection.add_s(_marker_dn(host), [("objectClass", [b"top", b"groupOfNames"]), ("cn", [_MARKER.encode()])])
        except ldap.ALREADY_EXISTS:
            # Of an attempt that failed.
            return


def _check_directory(host: Host, count: int, *, restored: bool) -> None:
    """See that all users are there, and after a restore that the marker is not; raises WrongResult."""
    import ldap

    with host.ldap() as connection:
        base = f"cn=users,cn=accounts,{host.topology.suffix}"
        [(_, attributes)] = connection.search_s(base, ldap.SCOPE_BASE, attrlist=["numSubordinates"])
        found = int(attributes["numSubordinates"][0])
        if found < count:
            raise WrongResult(f"{found} users are there instead of {count}.")
        for number in (0, count - 1):
            connection.search_s(f"uid={users.name(number)},{base}", ldap.SCOPE_BASE, attrlist=["uid"])
        if not restored:
            return
        try:
            connection.search_s(_marker_dn(host), ldap.SCOPE_BASE, attrlist=["cn"])
        except ldap.NO_SUCH_OBJECT:
            return
        raise WrongResult("What was added after the backup is still there after its restore.")
