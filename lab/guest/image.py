"""The image of guests: the server image, with a kernel, a policy and a disk."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from lab.engine import Engine
from lab.image import ROOT, Say, build, exists, hash_of, pack_context, remove_stale

REPOSITORY = "ipalab-guest"
ROLE = "guest"

_HERE = Path(__file__).parent


def ensure_guest_image(engine: Engine, server: str, say: Say = print) -> str:
    """Return the tag of the guests' image that stands on the image ``server``, made now when there is none."""
    sources = list(_sources())
    tag = f"{REPOSITORY}:{hash_of(sources, str(engine.client.images.get(server).id))}"
    if exists(engine, tag):
        return tag
    say(f"Building the image of guests {tag} (about 90 s: a kernel, a policy, a disk with labels)")
    containerfile = str((_HERE / "Containerfile").relative_to(ROOT))
    context = io.BytesIO(pack_context(sources))
    for line in build(engine, context, tag, base=server, containerfile=containerfile, role=ROLE):
        say(f"  {line}")
    remove_stale(engine, tag, ROLE)
    return tag


def _sources() -> Iterator[Path]:
    yield _HERE / "Containerfile"
    for path in sorted((_HERE / "root").iterdir()):
        if path.is_file():
            yield path
