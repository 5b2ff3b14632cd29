"""ipa-csreplica-manage: the agreements by which masters replicate the certificate authority's data."""

from __future__ import annotations

from collections.abc import Sequence

from lab.node.replica.manage import run_command


def main(argv: Sequence[str] | None = None) -> int:
    return run_command("ipa-csreplica-manage", argv, authority=True)
