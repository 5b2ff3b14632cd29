"""ipa-replica-manage: the agreements by which masters replicate the domain, and masters that leave."""

from __future__ import annotations

from collections.abc import Sequence

from lab.node.replica.manage import run_command


def main(argv: Sequence[str] | None = None) -> int:
    return run_command("ipa-replica-manage", argv, authority=False)
