"""Names that follow from the realm, the domain and the host."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.node.ca.layout import place_of
from lab.node.facts import PKI_IPA, InstallOptions, NotConfigured, RealmFacts, read_facts
from lab.node.install.client import default_conf

FACTS = RealmFacts("EXAMPLE.TEST", "example.test", "ipa1.example.test")


def test_layout_follows_from_the_names() -> None:
    assert FACTS.basedn == FACTS.suffix == "dc=example,dc=test"
    assert FACTS.instance == "EXAMPLE-TEST"
    assert FACTS.ldapi_uri == "ldapi://%2Frun%2Fslapd-EXAMPLE-TEST.socket"
    assert FACTS.master_dn == "cn=ipa1.example.test,cn=masters,cn=ipa,cn=etc,dc=example,dc=test"
    assert FACTS.dirsrv_unit == "dirsrv@EXAMPLE-TEST.service"


def test_the_authority_of_dogtag_9_has_a_directory_instance_of_its_own() -> None:
    assert FACTS.directories == (FACTS.directory,) == (FACTS.authority_directory,)
    upgraded = replace(FACTS, dogtag_version=9)
    assert upgraded.directories == (FACTS.directory, PKI_IPA), "the one with the list of services is started first"
    assert upgraded.authority_directory.unit == "dirsrv@PKI-IPA.service"
    assert (PKI_IPA.port, PKI_IPA.secure_port) == (7389, 7390)
    assert upgraded.ldapi_uri == FACTS.ldapi_uri


def test_both_layouts_of_the_authority_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "default.conf"
    for version in (9, 10):
        path.write_text(default_conf(replace(FACTS, dogtag_version=version), ca_less=False))
        assert read_facts(path).dogtag_version == version
    assert place_of(10).config == Path("/etc/pki/pki-tomcat/ca/CS.cfg")
    assert place_of(9).config == Path("/etc/pki-ca/CS.cfg")
    assert place_of(9).links == {
        Path("/var/lib/pki-ca/conf"): Path("/etc/pki-ca"),
        Path("/var/lib/pki-ca/logs"): Path("/var/log/pki-ca"),
    }
    assert not set(place_of(9).folders) & set(place_of(10).folders)


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
