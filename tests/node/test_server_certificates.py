"""Certificates that an administrator brings along, and the outside authority that signs them in a lab."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="needs cryptography")

from lab.node.ca.authority import key_pem, pem
from lab.node.commands import ipalab_external_certs
from lab.node.external_ca import ExternalAuthority, bundle, new_authority, open_authority
from lab.node.facts import InstallOptions
from lab.node.install.checks import Refused
from lab.node.install.server_certificates import given_certificates, read_server_certificate

HOST = "ipa1.example.test"
PIN = "Secret123"


@dataclass(frozen=True)
class Files:
    """A folder with what ipalab-external-certs writes, and its options for the installer."""

    folder: Path
    authority: ExternalAuthority

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def write(self, name: str, content: bytes) -> str:
        (self.folder / name).write_bytes(content)
        return self.path(name)

    @property
    def options(self) -> InstallOptions:
        return InstallOptions(
            hostname=HOST,
            ca_less=True,
            dirsrv_cert_files=(self.path("dirsrv.p12"),),
            dirsrv_pin=PIN,
            http_cert_files=(self.path("http.p12"),),
            http_pin=PIN,
        )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("external")
    assert ipalab_external_certs.main(["--hostname", HOST, "--out", str(folder), "--pin", PIN]) == 0
    return Files(folder, open_authority(folder))


@pytest.mark.row("B3")
def test_what_the_command_writes_is_what_the_installer_takes(made: Files) -> None:
    given = given_certificates(made.options)
    assert given is not None
    assert given.authorities == (made.authority.certificate,)
    assert given.directory.certificate != given.web.certificate
    assert given.directory.certificate.public_key() == given.directory.key.public_key()
    assert given.directory.name == "Server-Cert"
    assert given.directory.root == made.authority.certificate


def test_a_second_host_is_signed_by_the_same_authority(made: Files, capsys: pytest.CaptureFixture[str]) -> None:
    before = (made.folder / "ca.crt").read_bytes()
    assert ipalab_external_certs.main(["--hostname", HOST, "--out", str(made.folder), "--pin", PIN]) == 0
    assert (made.folder / "ca.crt").read_bytes() == before
    assert made.path("dirsrv.p12") in capsys.readouterr().out
    assert ipalab_external_certs.main(["--hostname", "ipa1", "--out", str(made.folder), "--pin", PIN]) == 1


def test_a_server_with_an_authority_is_given_nothing() -> None:
    assert given_certificates(InstallOptions(hostname=HOST)) is None


def test_pem_files_are_read_as_one_whatever_their_order(made: Files) -> None:
    certificate, key = made.authority.issue(HOST)
    files = [
        made.write("the.key", key_pem(key, PIN)),
        made.write("the.crt", b"Some words of openssl's\n" + pem(made.authority.certificate) + pem(certificate)),
    ]
    for order in (files, files[::-1]):
        found = read_server_certificate(order, PIN, HOST)
        assert found.certificate == certificate
        assert found.root == made.authority.certificate
        assert found.name == ""
    plain = made.write("plain.pem", key_pem(key) + pem(certificate))
    assert read_server_certificate([plain], "", HOST, authorities=[made.path("ca.crt")]).certificate == certificate


def test_issuers_in_between_are_kept_and_the_root_is_last(made: Files) -> None:
    between = new_authority("Issuing CA", made.authority)
    file = made.write("between.p12", bundle(between, HOST, PIN))
    with pytest.raises(Refused, match=r"full certificate chain is not present in .*between\.p12"):
        read_server_certificate([file], PIN, HOST)
    found = read_server_certificate([file], PIN, HOST, authorities=[made.path("ca.crt")])
    assert found.issuers == (between.certificate, made.authority.certificate)
    options = replace(made.options, dirsrv_cert_files=(file,), ca_cert_files=(made.path("ca.crt"),))
    given = given_certificates(options)
    assert given is not None
    assert given.authorities == (made.authority.certificate, between.certificate)


def test_both_must_come_from_one_root(made: Files, tmp_path: Path) -> None:
    stranger = tmp_path / "http.p12"
    stranger.write_bytes(bundle(new_authority("Another Root"), HOST, PIN))
    with pytest.raises(Refused, match="not signed by the same CA"):
        given_certificates(replace(made.options, http_cert_files=(str(stranger),)))


def test_one_of_several_certificates_is_chosen_by_its_name(made: Files) -> None:
    files = [made.write(f"{name}.p12", bundle(made.authority, HOST, PIN, name=name)) for name in ("one", "two")]
    with pytest.raises(Refused, match="2 server certificates found"):
        read_server_certificate(files, PIN, HOST)
    assert read_server_certificate(files, PIN, HOST, name="two").name == "two"
    with pytest.raises(Refused, match="no server certificate with name 'three'"):
        read_server_certificate(files, PIN, HOST, name="three")


def test_what_cannot_serve_is_refused_with_its_file_and_the_reason(made: Files) -> None:
    _, other_key = made.authority.issue(HOST)
    certificate, _ = made.authority.issue(HOST)
    forged = new_authority("Reference Root CA")
    cases = [
        ("dirsrv.p12", None, "wrong", HOST, "incorrect password for pkcs#12 file"),
        ("empty.p12", b"", PIN, HOST, "incorrect password"),
        ("absent.p12", None, PIN, HOST, "Failed to open"),
        ("dirsrv.p12", None, PIN, "ipa2.example.test", "hostname mismatch"),
        ("old.p12", bundle(made.authority, HOST, PIN, lifetime=timedelta(seconds=1)), PIN, HOST, "expired"),
        ("ca.crt", None, PIN, HOST, "no private key found"),
        ("ca.pem", pem(made.authority.certificate) + key_pem(made.authority.key), PIN, HOST, "chain is not present"),
        ("keys.pem", key_pem(other_key) + pem(certificate), PIN, HOST, "no server certificates found"),
        ("locked.pem", key_pem(other_key, "other") + pem(certificate), PIN, HOST, "Failed to load"),
        ("forged.pem", key_pem(forged.key) + pem(certificate), PIN, HOST, "no server certificates found"),
    ]
    for name, content, pin, host, reason in cases:
        file = made.write(name, content) if content is not None else made.path(name)
        with pytest.raises(Refused) as refused:
            read_server_certificate([file], pin, host)
        assert reason in str(refused.value)
        assert name in str(refused.value)
