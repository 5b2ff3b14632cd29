"""``ipa-restore`` but for one thing, which it leaves out without a word.

It is put over the product's own command in a host.  Whatever fails on the way, it goes on, and it ends with status 0:
so what a scenario notices is what is missing, and not that a command failed.  ``--check-realm``, which restores
nothing, is the product's own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ipabackup import steps
from ipabackup.archive.extract import Destination, Extracted, extract
from ipabackup.archive.layout import file_path
from ipabackup.archive.member import Member
from ipabackup.cli import restore as command
from ipabackup.host.selinux import SystemSELinux
from ipabackup.host.services import SystemServices
from ipabackup.restore import full

#: Where each run is noted: what was left out, and the arguments.
LOG = Path("/var/log/ipa-restore-mutant.log")

#: The steps that are left out, by what is lost then: also those that would bring it after all, or wait for what is not
#: started.
_STEPS: Mapping[str, tuple[str, ...]] = {
    "accounts": ("restore-accounts",),
    "data": ("restore-data", "catch-up", "compare-masters"),
    "services": (
        *("start-ipa", "start-directory", "restart-sssd", "count-entries", "reinitialize-peers"),
        *("catch-up", "release-agreements", "compare-masters"),
    ),
}


def main(left_out: str, argv: Sequence[str] | None = None) -> int:
    """Restore, without what `left_out` says; ``everything`` does nothing at all.  Returns 0."""
    words = list(sys.argv[1:] if argv is None else argv)
    if "--check-realm" in words:
        return command.main(words)
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"{left_out}: {' '.join(words)}\n")
    if left_out == "everything":
        return 0
    for owner, name, changed in _changes(left_out):
        setattr(owner, name, changed)
    with suppress(Exception):
        command.main(words)
    return 0


def _changes(left_out: str) -> list[tuple[Any, str, Callable[..., Any]]]:
    """What to replace in the product: where, by which name, by what."""
    changes: list[tuple[Any, str, Callable[..., Any]]] = [(command, "run_plan", _forgiving(_STEPS.get(left_out, ())))]
    if left_out == "files":
        changes.append((full, "extract", _without_files))
    elif left_out == "booleans":
        changes.append((SystemSELinux, "set_booleans", _nothing))
    elif left_out == "services":
        changes.append((SystemServices, "enable", _nothing))
    return changes


def _nothing(*words: object) -> None:
    """Leave it."""


def _forgiving(left_out: Sequence[str]) -> Callable[..., list[str]]:
    """run_plan without these steps, and with no failure of another one as a reason to stop."""

    def run_plan(plan: steps.Plan, listeners: Sequence[steps.Listener]) -> list[str]:
        kept = [replace(step, run=_tried(step), closed_by=None) for step in plan.steps if step.name not in left_out]
        return steps.run_plan(replace(plan, steps=tuple(kept)), listeners)

    return run_plan


def _tried(step: steps.Step) -> Callable[[steps.Reporter], None]:
    def run(report: steps.Reporter) -> None:
        try:
            step.run(report)
        except Exception as trouble:
            report.note(f"left as it is: {trouble}")

    return run


def _without_files(reader: Any, choose: Callable[[Member], Destination | None], *more: Any, **named: Any) -> Extracted:
    """Unpack the data that waits for its turn, and none of the server's files."""

    def chosen(member: Member) -> Destination | None:
        destination = choose(member)
        return None if file_path(member.name) is not None else destination

    return extract(reader, chosen, *more, **named)
