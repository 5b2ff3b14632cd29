"""An uninstall finds what was there before."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.node.sysrestore import Sysrestore

NAMES = st.text("abcdefgXYZ_.-", min_size=1, max_size=12).filter(lambda name: name.strip(".-") == name)


def test_a_saved_file_comes_back_with_its_content_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "krb5.conf"
    path.write_text("before")
    path.chmod(0o640)
    Sysrestore(tmp_path / "kept").save(path)
    path.write_text("after")
    path.chmod(0o600)
    assert Sysrestore(tmp_path / "kept").restore(path)
    assert (path.read_text(), path.stat().st_mode & 0o7777) == ("before", 0o640)


def test_only_the_first_save_of_a_file_counts(tmp_path: Path) -> None:
    kept, path = Sysrestore(tmp_path / "kept"), tmp_path / "hosts"
    path.write_text("before")
    kept.save(path)
    path.write_text("changed by the first component")
    kept.save(path)
    kept.restore(path)
    assert path.read_text() == "before"


def test_a_file_that_was_not_there_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "sssd.conf"
    Sysrestore(tmp_path / "kept").save(path)
    path.write_text("new")
    assert Sysrestore(tmp_path / "kept").restore(path)
    assert not path.exists()


def test_a_file_that_was_never_saved_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_text("mine")
    assert not Sysrestore(tmp_path / "kept").restore(path)
    assert path.read_text() == "mine"


def test_a_file_in_a_folder_that_has_gone_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "bind" / "named.conf"
    path.parent.mkdir()
    path.write_text("before")
    Sysrestore(tmp_path / "kept").save(path)
    path.unlink()
    path.parent.rmdir()
    assert Sysrestore(tmp_path / "kept").restore_all() == [path]
    assert path.read_text() == "before"


def test_the_index_looks_like_freeipas(tmp_path: Path) -> None:
    path = tmp_path / "krb5.conf"
    path.write_text("before")
    path.chmod(0o644)
    Sysrestore(tmp_path / "kept").save(path)
    facts = path.stat()
    lines = (tmp_path / "kept" / "sysrestore.index").read_text().splitlines()
    assert lines[0] == "[files]"
    assert lines[1].endswith(f"-krb5.conf = 33188,{facts.st_uid},{facts.st_gid},{path}")


def test_nothing_is_left_when_everything_was_put_back(tmp_path: Path) -> None:
    kept, path = Sysrestore(tmp_path / "kept"), tmp_path / "hosts"
    path.write_text("before")
    kept.save(path)
    kept.set_state("installation", "complete", True)
    assert not Sysrestore(tmp_path / "kept").is_empty()
    kept.restore_all()
    kept.forget_state()
    assert Sysrestore(tmp_path / "kept").is_empty()
    assert list((tmp_path / "kept").iterdir()) == []


@settings(deadline=None)
@given(values=st.dictionaries(st.tuples(NAMES, NAMES), NAMES, max_size=8))
def test_values_survive_the_disk(tmp_path_factory: pytest.TempPathFactory, values: dict[tuple[str, str], str]) -> None:
    folder = tmp_path_factory.mktemp("kept")
    written = Sysrestore(folder)
    for (section, key), value in values.items():
        written.set_state(section, key, value)
    read = Sysrestore(folder)
    assert {name: read.state(*name) for name in values} == values
    for name, value in values.items():
        assert read.pop_state(*name) == value
        assert Sysrestore(folder).state(*name) is None
