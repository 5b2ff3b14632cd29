"""What a host says of itself."""

from __future__ import annotations

import socket

import pytest

from ipabackup.server import system_hostnames


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
