"""What SELinux says on a host: its mode, its booleans now and after the next boot, the labels of files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lab.host import Host

_BOOLEAN = re.compile(r"^(\w+)\s+\((on|off)\s*,\s*(on|off)\s*\)", re.MULTILINE)


@dataclass(frozen=True)
class Boolean:
    """A boolean's value in the running kernel, and in the policy that the next boot loads."""

    running: bool
    stored: bool


def mode(host: Host) -> str:
    """Enforcing, Permissive or Disabled."""
    return host.run(["getenforce"]).stdout.strip()


def booleans(host: Host, names: Sequence[str]) -> dict[str, Boolean]:
    """Read booleans: the running values from the kernel itself, the stored ones from the policy's store."""
    files = " ".join(f"/sys/fs/selinux/booleans/{name}" for name in names)
    result = host.run(["sh", "-c", f"cat {files} && echo && semanage boolean -l"])
    # Each file holds the value and the one that waits to be committed, without a line's end.
    kernel = re.findall(r"([01]) [01]", result.lines[0])
    assert len(kernel) == len(names), result.describe()
    stored = {name: at_boot == "on" for name, _, at_boot in _BOOLEAN.findall(result.stdout)}
    return {name: Boolean(value == "1", stored[name]) for name, value in zip(names, kernel, strict=True)}


def labels(host: Host, folders: Sequence[str]) -> dict[str, str]:
    """Read the label of each file below these folders."""
    lines = host.run(["find", *folders, "-xdev", "-printf", "%p\\t%Z\\n"]).lines
    return dict(line.split("\t", 1) for line in lines)
