"""The images that hosts are made from.

The base is Debian's: pulled where a registry answers, made with mmdebstrap elsewhere.  The server image is
built from the Containerfile; its tag is a hash of all that goes into it, so it is built again exactly when
that changed.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import docker.errors

from lab.engine import Engine, api_message, names_of
from lab.errors import ImageError

ROOT = Path(__file__).resolve().parent.parent

SUITE = "trixie"
BASE_FROM_REGISTRY = f"debian:{SUITE}"
BASE_TAG = f"ipalab-base:{SUITE}"
SERVER_REPOSITORY = "ipalab-server"

#: How many server images are kept: other checkouts and open labs may still use the last ones.
KEPT = 4

#: Seconds that a registry has for its answer before the base is made here.
REGISTRY_PATIENCE = 20

#: The shortest useful Debian: what is not in it comes with the Containerfile.
MMDEBSTRAP = ("mmdebstrap", "--variant=minbase", "--include=ca-certificates", SUITE, "-")

Say = Callable[[str], None]


def ensure_server_image(engine: Engine, say: Say = print) -> str:
    """Return the tag of the server image, building what is missing of it."""
    base = ensure_base_image(engine, say)
    tag = f"{SERVER_REPOSITORY}:{source_hash(base_id=str(engine.client.images.get(base).id))}"
    if exists(engine, tag):
        return tag
    say(f"Building the server image {tag} (a few minutes the first time, seconds after a change of the code)")
    context = io.BytesIO(pack_context(_sources(ROOT)))
    for line in build(engine, context, tag, base=base, target="server"):
        say(f"  {line}")
    remove_stale(engine, tag)
    return tag


def remove_stale(engine: Engine, fresh: str, role: str = "server") -> None:
    """Remove older images of a role, unless a host still stands on one; never `fresh`, which may look older than it
    is: a build that finds all its layers keeps their date.
    """
    for image in engine.images(role)[KEPT:]:
        for name in names_of(image):
            if name != fresh:
                engine.remove_image(name)


def ensure_base_image(engine: Engine, say: Say = print) -> str:
    """Return the tag of the base image: the one at hand, else a pulled one, else one made here."""
    if exists(engine, BASE_TAG):
        return BASE_TAG
    if not exists(engine, BASE_FROM_REGISTRY):
        _try_to_pull(say)
    if exists(engine, BASE_FROM_REGISTRY):
        engine.client.images.get(BASE_FROM_REGISTRY).tag(*BASE_TAG.split(":"))
        return BASE_TAG
    say(f"No registry answers: making a Debian {SUITE} with mmdebstrap (about 20 s)")
    _bootstrap(engine)
    return BASE_TAG


def exists(engine: Engine, tag: str) -> bool:
    """Whether the engine has an image of this name."""
    try:
        engine.client.images.get(tag)
    except docker.errors.ImageNotFound:
        return False
    return True


def _try_to_pull(say: Say) -> None:
    """Pull the base by the engine's own client, which can be ended when nobody answers."""
    client = shutil.which("docker") or shutil.which("podman")
    if client is None:
        return
    say(f"Asking for {BASE_FROM_REGISTRY}")
    try:
        subprocess.run(
            [client, "pull", "--quiet", BASE_FROM_REGISTRY],
            check=False,
            capture_output=True,
            timeout=REGISTRY_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        say(f"  no answer in {REGISTRY_PATIENCE} s")


def _bootstrap(engine: Engine) -> None:
    if shutil.which("mmdebstrap") is None:
        raise ImageError(
            f"There is no base image: {BASE_FROM_REGISTRY} cannot be pulled, mmdebstrap is not installed.\n"
            f"Install mmdebstrap, or import a Debian {SUITE} yourself: docker import FILE.tar {BASE_TAG}"
        )
    with tempfile.TemporaryFile() as root, tempfile.TemporaryFile() as log:
        status = subprocess.run(MMDEBSTRAP, stdout=root, stderr=log, check=False, umask=0o022).returncode
        if status != 0:
            log.seek(0)
            raise ImageError(f"mmdebstrap failed ({status}):\n{log.read().decode(errors='replace')[-2000:]}")
        root.seek(0)
        labels = [f"LABEL {name}={value}" for name, value in engine.labels("images", "base").items()]
        # The name with its tag in one: Podman overlooks a tag of its own here.
        engine.client.api.import_image(root, repository=BASE_TAG, changes=[*labels, 'CMD ["/bin/bash"]'])


def source_hash(base_id: str, root: Path = ROOT) -> str:
    """Hash what the server image is made of: the Containerfile, the node's code, the base."""
    return hash_of(_sources(root), base_id, root)


def hash_of(sources: Iterable[Path], base_id: str, root: Path = ROOT) -> str:
    """Hash files, with their paths and whether they may be run, and the image that they are put on."""
    digest = hashlib.sha256(base_id.encode())
    for path in sources:
        digest.update(f"\0{path.relative_to(root)}\0{path.stat().st_mode & stat.S_IXUSR:o}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _sources(root: Path) -> Iterator[Path]:
    yield root / "Containerfile"
    for path in sorted((root / "lab" / "node").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def as_root_has_it(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same member with the owner and the mode that root's programs usually have.

    Those of the checkout say who got it, and with which umask; of that only whether it may be run belongs to it.
    """
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o755 if member.isdir() or member.mode & stat.S_IXUSR else 0o644
    return member


def pack_context(sources: Iterable[Path]) -> bytes:
    """Pack a build's context: the sources alone, with one time for all, so that layers are reused."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sources:
            member = as_root_has_it(tar.gettarinfo(path, arcname=str(path.relative_to(ROOT))))
            member.mtime = 0
            with path.open("rb") as file:
                tar.addfile(member, file)
    return buffer.getvalue()


def build(
    engine: Engine,
    context: io.BytesIO,
    tag: str,
    *,
    base: str,
    containerfile: str = "Containerfile",
    target: str | None = None,
    role: str = "server",
) -> Iterator[str]:
    """Build an image (up to the stage `target`), on the image `base`; yields what is worth telling while it does.

    Raises :class:`ImageError` with the end of the build's output.
    """
    last: list[str] = []
    try:
        events: Iterator[dict[str, Any]] = engine.client.api.build(
            fileobj=context,
            custom_context=True,
            dockerfile=containerfile,
            tag=tag,
            target=target,
            buildargs={"BASE": base},
            labels=engine.labels("images", role),
            rm=True,
            forcerm=True,
            decode=True,
        )
        for event in events:
            text = str(event.get("stream", "")).rstrip()
            if "error" in event:
                tail = "\n".join(line[:200] for line in last[-20:])
                raise ImageError(f"The {role} image cannot be built: {event['error']}\n{tail}")
            if text:
                last.append(text)
                # A package manager prints thousands of lines; the steps and the errors tell enough.
                if text.startswith(("Step ", "E:", "W:", "Successfully")):
                    yield text if len(text) < 100 else f"{text[:97]}..."
    except docker.errors.APIError as error:
        raise ImageError(f"The {role} image cannot be built: {api_message(error)}") from error
