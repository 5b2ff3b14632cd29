"""SELinux: whether it is on, its booleans, and labels by its policy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ipabackup.host.processes import CommandFailed, CommandMissing, Processes

_BOOLEAN = re.compile(r"^(?P<name>\w+)\s+\((?P<now>on|off)\s*,\s*(?P<boot>on|off)\s*\)", re.MULTILINE)


@dataclass(frozen=True)
class BooleanState:
    """A boolean's value in the running kernel, and the one that the next boot will set (None: not known)."""

    now: bool
    at_boot: bool | None


class SELinux(Protocol):
    """What the product needs of SELinux.  Where it is off, only ``enabled`` may be called."""

    def enabled(self) -> bool:
        """True when the running kernel enforces or reports by an SELinux policy."""
        ...

    def booleans(self, names: Sequence[str]) -> dict[str, BooleanState]:
        """The state of those of these booleans that the policy has."""
        ...

    def set_booleans(self, values: Mapping[str, bool]) -> None:
        """Set booleans, now and for every boot; raises CommandFailed unless both took effect."""
        ...

    def restore_labels(self, paths: Sequence[str]) -> None:
        """Give these paths, and all below them, the labels that the policy wants."""
        ...


class SystemSELinux:
    """SELinux of this very host, by way of policycoreutils."""

    def __init__(self, processes: Processes, *, filesystem: Path = Path("/sys/fs/selinux")) -> None:
        self._processes = processes
        self._filesystem = filesystem

    def enabled(self) -> bool:
        """See SELinux.  A container sees no selinuxfs of its own, and then SELinux is none of its business."""
        if not (self._filesystem / "enforce").exists():
            return False
        try:
            return self._processes.run(["selinuxenabled"], check=False).ok
        except CommandMissing:
            return True

    def booleans(self, names: Sequence[str]) -> dict[str, BooleanState]:
        """See SELinux."""
        at_boot = self._at_boot()
        states = {}
        for name in names:
            shown = self._processes.run(["getsebool", name], check=False)
            if shown.ok:
                states[name] = BooleanState(shown.stdout.strip().endswith(" on"), at_boot.get(name))
        return states

    def set_booleans(self, values: Mapping[str, bool]) -> None:
        """See SELinux.

        ``setsebool -P`` can fail half-way: the running value is set and the stored one is not (seen while
        SSSD is stopped and ``sss`` stands in nsswitch.conf).  Hence both are read back.
        """
        if not values:
            return
        words = [f"{name}={'on' if value else 'off'}" for name, value in sorted(values.items())]
        ended = self._processes.run(["setsebool", "-P", *words], check=False)
        states = self.booleans(sorted(values))
        wrong = [
            name
            for name, value in sorted(values.items())
            if name not in states or states[name].now != value or states[name].at_boot not in (value, None)
        ]
        if wrong or not ended.ok:
            raise CommandFailed(
                f"SELinux booleans could not be set for good: {', '.join(wrong or sorted(values))} ({ended.said})",
                ended,
            )

    def restore_labels(self, paths: Sequence[str]) -> None:
        """See SELinux."""
        if paths:
            self._processes.run(["restorecon", "-R", "--", *paths])

    def _at_boot(self) -> dict[str, bool]:
        """The stored values of all booleans; empty where semanage is not installed."""
        try:
            listed = self._processes.run(["semanage", "boolean", "-l"], check=False)
        except CommandMissing:
            return {}
        return {found["name"]: found["boot"] == "on" for found in _BOOLEAN.finditer(listed.stdout)}
