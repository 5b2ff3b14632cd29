"""What a host says of itself."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ipabackup.server import installed_version, system_hostnames
from tests.host_of_its_own import make_host


@pytest.mark.row("R3")
@pytest.mark.parametrize(
    ("kernel", "known"), [("ipa1.example.test", ("ipa1.example.test",)), ("ipa1", ("ipa1", "ipa1.example.test"))]
)
def test_a_host_that_knows_its_whole_name_asks_no_resolver_for_it(
    kernel: str, known: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: kernel)
    asked: list[str] = []

    def canonical(name: str) -> str:
        asked.append(name)
        return "ipa1.example.test"

    monkeypatch.setattr(socket, "getfqdn", canonical)
    assert system_hostnames() == known
    assert asked == [name for name in (kernel,) if "." not in name]


@pytest.mark.parametrize(
    ("written", "version"),
    [
        ('# of the whole\nVERSION = "4.13.1"\nVENDOR_VERSION = "4.13.1-2.el10"\n', "4.13.1"),
        ("VERSION='4.12.2'\n", "4.12.2"),
        ('NUM_VERSION = 41301\nAPI_VERSION = "2.254"\n', "4.12.0"),
        (None, "4.12.0"),
    ],
)
def test_the_version_is_that_of_the_python_packages_or_else_what_the_command_says(
    written: str | None, version: str, tmp_path: Path
) -> None:
    machine = make_host(tmp_path).machine
    if written is not None:
        place = tmp_path / "packages" / "ipapython" / "version.py"
        place.parent.mkdir(parents=True)
        place.write_text(written)
    assert installed_version(machine) == version
