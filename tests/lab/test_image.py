"""The hash that names a server image."""

from pathlib import Path

import pytest

from lab.image import source_hash


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
    assert source_hash("base", checkout) == before
