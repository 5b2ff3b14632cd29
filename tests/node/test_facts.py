"""Names that follow from the realm, the domain and the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.node.facts import InstallOptions, NotConfigured, RealmFacts, read_facts
from lab.node.install.client import default_conf

FACTS = RealmFacts("EXAMPLE.TEST", "example.test", "ipa1.example.test")


def test_layout_follows_from_the_names() -> None:
    assert FACTS.basedn == FACTS.suffix == "dc=example,dc=test"
    assert FACTS.instance == "EXAMPLE-TEST"
    assert FACTS.ldapi_uri == "ldapi://%2Frun%2Fslapd-EXAMPLE-TEST.socket"
    assert FACTS.master_dn == "cn=ipa1.example.test,cn=masters,cn=ipa,cn=etc,dc=example,dc=test"
    assert FACTS.dirsrv_unit == "dirsrv@EXAMPLE-TEST.service"


@pytest.mark.parametrize("ca_less", [False, True])
def test_what_the_installer_writes_is_read_back(tmp_path: Path, ca_less: bool) -> None:
    path = tmp_path / "default.conf"
    path.write_text(default_conf(FACTS, ca_less=ca_less))
    assert read_facts(path) == FACTS
    assert f"enable_ra = {not ca_less}" in path.read_text()


@pytest.mark.parametrize("text", ["", "[global]\n", "[global]\nrealm = EXAMPLE.TEST\ndomain = example.test\n"])
def test_a_file_that_does_not_name_the_server_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "default.conf"
    path.write_text(text)
    with pytest.raises(NotConfigured, match="host"):
        read_facts(path)


def test_a_missing_file_means_that_there_is_no_server(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="not configured"):
        read_facts(tmp_path / "default.conf")


def test_passwords_do_not_show_in_a_repr() -> None:
    assert "Secret123" not in repr(InstallOptions(dm_password="Secret123", admin_password="Secret123"))
