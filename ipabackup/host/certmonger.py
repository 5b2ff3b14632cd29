"""certmonger's own files: one for every certificate that it tracks, one for every authority that it knows.

The files are lines of ``name=value`` (certmonger 0.79; continuation lines begin with a space).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

UNIT = "certmonger.service"
STATE = Path("/var/lib/certmonger")

#: What makes two files of a folder the same thing: the place of the certificate, or the authority's name.
_IDENTITY = {
    "requests": ("cert_storage_type", "cert_storage_location", "cert_nickname"),
    "cas": ("id",),
}


def duplicates(state: Path, kept: Collection[str]) -> list[Path]:
    """Files in certmonger's folder `state` that speak of the same certificate or authority as one named in
    `kept`.

    `kept` holds paths relative to `state` (``requests/20261121233053``).  After a restore over a later
    installation both installations' requests would track the same certificate.
    """
    found = []
    for folder, names in _IDENTITY.items():
        files = sorted(path for path in (state / folder).glob("*") if path.is_file())
        ours = {_identity(path, names) for path in files if f"{folder}/{path.name}" in kept}
        found += [path for path in files if f"{folder}/{path.name}" not in kept and _identity(path, names) in ours]
    return found


def _identity(path: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    values: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith(" "):
            values.setdefault(name, value)
    return tuple(values.get(name, "") for name in names)
