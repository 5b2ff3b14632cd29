"""SSSD's cache, which knows users and groups as they were before a restore."""

from __future__ import annotations

from pathlib import Path

STATE = Path("/var/lib/sss")


def forget(state: Path) -> list[Path]:
    """Remove what SSSD has cached below `state` and return it; SSSD must be stopped.

    ``sss_cache -E`` does not do: it only makes entries expire, and one whose number has changed stays in
    the way.
    """
    cached = [
        *sorted((state / "db").glob("cache_*.ldb")),
        *sorted((state / "db").glob("timestamps_*.ldb")),
        *sorted(path for path in (state / "mc").glob("*") if path.is_file()),
    ]
    for path in cached:
        path.unlink()
    return cached
