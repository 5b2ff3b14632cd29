"""A fake of host.selinux: booleans in a dictionary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ipabackup.host.selinux import BooleanState


class FakeSELinux:
    """SELinux with these booleans; None means that it is off."""

    def __init__(self, values: dict[str, bool] | None = None) -> None:
        self.values = values
        self.labelled: list[str] = []

    def enabled(self) -> bool:
        return self.values is not None

    def booleans(self, names: Sequence[str]) -> dict[str, BooleanState]:
        values = self.values or {}
        return {name: BooleanState(values[name], values[name]) for name in names if name in values}

    def set_booleans(self, values: Mapping[str, bool]) -> None:
        if self.values is None:
            raise AssertionError("SELinux is off: nobody may set booleans")
        self.values.update(values)

    def restore_labels(self, paths: Sequence[str]) -> None:
        self.labelled += paths
