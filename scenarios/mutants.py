"""Mutants of ``ipa-restore``: each restores everything but one thing, and every case has to notice its absence.

``python -m scenarios.mutants`` prints ``docs/mutants.md``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import docker.errors
import ldap
import pytest

from lab.errors import CommandFailed, TimedOut
from lab.execute import CommandResult
from lab.host import Host
from lab.product import LAUNCHERS, TARGET, install_product
from scenarios.cases import CASES, Case

#: How a scenario says that something is not as it should be.  What goes wrong in the lab itself is none of these.
NOTICED = (AssertionError, CommandFailed, TimedOut, ldap.LDAPError)

PROGRAM = Path(__file__).parent / "inside" / "mutant.py"
LOG = "/var/log/ipa-restore-mutant.log"
_FOLDER = "/opt/ipabackup-mutant"

_LAUNCHER = """#!/usr/bin/python3 -I
import sys

sys.path[:0] = ["/{target}", "{folder}"]
from mutant import main

sys.exit(main("{left_out}"))
"""

#: What a mutant leaves out, and what that means.
MUTANTS = {
    "everything": "does nothing, and says that all went well",
    "files": "puts back no file of the server; its databases are unpacked and restored",
    "accounts": "creates no missing account",
    "data": "leaves the databases as they are",
    "booleans": "sets no SELinux boolean",
    "services": "starts and enables nothing",
}


@dataclass
class MutantProduct:
    """The product with a mutant in the place of ``ipa-restore``, and the hosts that it was put into."""

    left_out: str
    hosts: list[Host] = field(default_factory=list)

    def __call__(self, host: Host) -> None:
        """Put it into a host."""
        install_product(host)
        host.run(["rm", "-f", LOG])
        host.run(["mkdir", "-p", _FOLDER])
        host.write_file(f"{_FOLDER}/mutant.py", PROGRAM.read_text(encoding="utf-8"))
        launcher = _LAUNCHER.format(target=TARGET, folder=_FOLDER, left_out=self.left_out)
        host.write_file(f"/{LAUNCHERS}/ipa-restore", launcher, mode=0o755)
        self.hosts.append(host)

    def runs(self) -> list[str]:
        """What the mutant was asked to do, on all hosts that are still there."""
        return [line for host in self.hosts if _is_there(host) for line in _log_of(host).lines]


def assert_noticed(mutant: MutantProduct, scenario: Callable[[], None]) -> None:
    """Run a scenario, or its end, in which the mutant restores; raise AssertionError when all seems well to it."""
    with pytest.raises(NOTICED) as noticed:
        scenario()
    runs = mutant.runs()
    assert runs, f"nothing was restored before this was noticed: {noticed.value}"
    assert all(line.startswith(f"{mutant.left_out}: ") for line in runs)
    print(f"{mutant.left_out}: noticed: {noticed.value}")


def _is_there(host: Host) -> bool:
    try:
        host.container.reload()
    except docker.errors.NotFound:
        return False
    return True


def _log_of(host: Host) -> CommandResult:
    return host.run(["sh", "-c", f"cat {LOG} 2>&-"], check=False)


def page() -> str:
    """``docs/mutants.md``."""
    return "\n".join(_page())


_INTRODUCTION = """\
# Mutants

Written by `python -m scenarios.mutants`; do not edit.

A test that cannot fail proves nothing. So each documented case is also run with a *mutant* of `ipa-restore` in its
place: one that leaves one thing out, goes on whatever fails, and ends with status 0. `scenarios/test_mutants.py` sees
that a check of the case itself notices; where it takes long until something can be restored, so does
`scenarios/test_mutants_from_a_snapshot.py`, with one snapshot that all mutants begin with. Each run of all scenarios
has all of them.
"""

_CLOSING = """
An empty field: in this case the mutant does what the product does (accounts are missing in T2 only, booleans are off in
T3 only, a restore of data touches no files, and an online one no services). T15 restores nothing.
"""


def _page() -> Iterator[str]:
    yield _INTRODUCTION
    yield "| mutant | what it does |\n|---|---|"
    yield from (f"| {name} | {meaning} |" for name, meaning in MUTANTS.items())
    yield f"\n| case | scenario | {' | '.join(MUTANTS)} |\n|---|---|{'---|' * len(MUTANTS)}"
    for case in CASES:
        module = inspect.getmodule(case.scenario)
        assert module is not None
        name = module.__name__.rpartition(".")[2]
        yield f"| {case.row} | `{name}.py` | {' | '.join(_fate(case, mutant) for mutant in MUTANTS)} |"
    yield _CLOSING


def _fate(case: Case, mutant: str) -> str:
    return "run" if mutant in case.mutants else ""


if __name__ == "__main__":
    print(page(), end="")
