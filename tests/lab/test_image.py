"""What goes into a server image, and the hash that names it."""

import io
import tarfile
from pathlib import Path

import pytest

from lab import image
from lab.image import pack_context, source_hash


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "lab" / "node").mkdir(parents=True)
    (tmp_path / "Containerfile").write_text("FROM base\n")
    (tmp_path / "lab" / "node" / "a.py").write_text("a = 1\n")
    (tmp_path / "lab" / "host.py").write_text("not in the image\n")
    return tmp_path


def test_the_hash_changes_with_what_goes_into_the_image(checkout: Path) -> None:
    seen = {source_hash("base1", checkout), source_hash("base2", checkout)}
    (checkout / "lab" / "node" / "a.py").write_text("a = 2\n")
    seen.add(source_hash("base1", checkout))
    (checkout / "lab" / "node" / "a.py").chmod(0o755)
    seen.add(source_hash("base1", checkout))
    (checkout / "lab" / "node" / "a.py").rename(checkout / "lab" / "node" / "b.py")
    seen.add(source_hash("base1", checkout))
    (checkout / "Containerfile").write_text("FROM other\n")
    seen.add(source_hash("base1", checkout))
    assert len(seen) == 6


def test_the_hash_does_not_change_with_anything_else(checkout: Path) -> None:
    before = source_hash("base", checkout)
    (checkout / "lab" / "host.py").write_text("changed\n")
    cache = checkout / "lab" / "node" / "__pycache__"
    cache.mkdir()
    (cache / "a.pyc").write_bytes(b"compiled")
    (checkout / "lab" / "node" / "a.py").chmod(0o600)
    assert source_hash("base", checkout) == before, "the checkout was made with a narrow umask"


@pytest.mark.parametrize(("kept", "packed"), [(0o600, 0o644), (0o664, 0o644), (0o700, 0o755), (0o755, 0o755)])
def test_what_goes_into_the_image_is_for_everybody_whoever_made_the_checkout(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, kept: int, packed: int
) -> None:
    monkeypatch.setattr(image, "ROOT", checkout)
    source = checkout / "lab" / "node" / "a.py"
    source.chmod(kept)
    with tarfile.open(fileobj=io.BytesIO(pack_context([source]))) as context:
        (member,) = context.getmembers()
    assert (member.name, member.mode, member.uid, member.gname) == ("lab/node/a.py", packed, 0, "root")
