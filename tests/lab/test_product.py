"""What is put into a host: dependencies for its own Python, and launchers."""

import zipfile
from pathlib import Path

from lab.product import _launchers, _requirements


def test_dependencies_are_those_of_the_host_s_python() -> None:
    old, new = list(_requirements("3.9")), list(_requirements("3.13"))
    assert any(line.startswith("tomli") for line in old)
    assert not any(line.startswith("tomli") for line in new)
    assert any(line.startswith("zstandard") for line in new)


def test_python_ldap_is_left_to_the_host() -> None:
    assert not any(line.startswith("python-ldap") for line in _requirements("3.13"))


def test_each_declared_command_gets_a_launcher(tmp_path: Path) -> None:
    wheel = tmp_path / "any-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("any-1.dist-info/entry_points.txt", "[console_scripts]\nipa-any = any.cli:main\n")
    ((name, text),) = _launchers(wheel)
    assert name == "ipa-any"
    assert text.startswith("#!/usr/bin/python3 -I\n")
    assert "from any.cli import main\n" in text
    compile(text, name, "exec")
