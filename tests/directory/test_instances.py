"""Instances are found by their configuration alone."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from ipabackup.directory import instances
from ipabackup.directory.instances import discover_instances, instance_from_config, normalised, parse_config
from ipabackup.errors import IpaBackupError

DSE = """\
dn: cn=config
objectClass: top
nsslapd-port: {port}
nsslapd-localuser: dirsrv
nsslapd-ldapifilepath: /run/slapd-{name}.socket
nsslapd-bakdir: /var/lib/dirsrv/slapd-{name}/bak
nsslapd-errorlog: /var/log/dirsrv/slapd-{name}/errors

dn: cn=config,cn=ldbm database,cn=plugins,cn=config
objectClass: top
nsslapd-backend-implement: {library}
nsslapd-directory: /var/lib/dirsrv/slapd-{name}/db

dn: cn=userRoot, cn=ldbm database, cn=plugins, cn=config
objectClass: top
objectClass: nsBackendInstance
cn: userRoot
nsslapd-suffix: dc=example,
 dc=test
nsslapd-directory: /var/lib/dirsrv/slapd-{name}/db/userRoot
{more}
"""
CA = """
dn: cn=ipaca,cn=ldbm database,cn=plugins,cn=config
objectClass: nsBackendInstance
cn: ipaca
nsslapd-suffix: o=ipaca
"""


def configure(root: Path, name: str, port: int = 389, library: str = "mdb", more: str = "") -> Path:
    folder = root / f"slapd-{name}"
    folder.mkdir()
    (folder / "dse.ldif").write_text(DSE.format(name=name, port=port, library=library, more=more))
    return folder


@pytest.mark.row("B3")
def test_one_instance_with_two_backends(tmp_path: Path) -> None:
    configure(tmp_path, "EXAMPLE-TEST", more=CA)
    (instance,) = discover_instances(tmp_path)
    assert (instance.name, instance.library, instance.user, instance.port) == ("EXAMPLE-TEST", "mdb", "dirsrv", 389)
    assert [(backend.name, backend.suffix) for backend in instance.backends] == [
        ("userRoot", "dc=example,dc=test"),
        ("ipaca", "o=ipaca"),
    ]
    assert instance.unit == "dirsrv@EXAMPLE-TEST.service"
    assert instance.ldapi_uri == "ldapi://%2Frun%2Fslapd-EXAMPLE-TEST.socket"


@pytest.mark.row("B3")
def test_a_server_without_a_ca_has_one_backend(tmp_path: Path) -> None:
    configure(tmp_path, "EXAMPLE-TEST")
    (instance,) = discover_instances(tmp_path)
    assert [backend.name for backend in instance.backends] == ["userRoot"]


@pytest.mark.row("B3")
def test_two_instances_are_both_found_and_removed_ones_are_not(tmp_path: Path) -> None:
    configure(tmp_path, "EXAMPLE-TEST")
    configure(tmp_path, "PKI-IPA", port=7389, library="bdb")
    configure(tmp_path, "OLD.removed")
    (tmp_path / "slapd-EMPTY").mkdir()
    found = discover_instances(tmp_path)
    assert [(one.name, one.port, one.library) for one in found] == [
        ("EXAMPLE-TEST", 389, "mdb"),
        ("PKI-IPA", 7389, "bdb"),
    ]


@pytest.mark.row("B3")
def test_an_instance_that_is_just_writing_its_configuration_is_not_overlooked(tmp_path: Path) -> None:
    folder = configure(tmp_path, "EXAMPLE-TEST")
    (folder / "dse.ldif").rename(folder / "dse.ldif.bak")
    writing = threading.Timer(0.05, lambda: shutil.copy(folder / "dse.ldif.bak", folder / "dse.ldif"))
    writing.start()
    try:
        (instance,) = discover_instances(tmp_path)
    finally:
        writing.join()
    assert instance.name == "EXAMPLE-TEST"


def test_a_configuration_that_is_replaced_is_as_hidden_as_it_was(tmp_path: Path) -> None:
    folder = configure(tmp_path, "EXAMPLE-TEST")
    (folder / "dse.ldif").chmod(0o600)
    instances.write_config(folder, b"dn: cn=config\n\n")
    assert (folder / "dse.ldif").read_bytes() == b"dn: cn=config\n\n"
    assert (folder / "dse.ldif").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == ["dse.ldif"]


def test_an_instance_that_has_lost_its_configuration_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "_RENAMING", 0.01)
    folder = configure(tmp_path, "EXAMPLE-TEST")
    (folder / "dse.ldif").rename(folder / "dse.ldif.bak")
    assert discover_instances(tmp_path) == ()


def test_a_configuration_without_a_choice_of_library_is_bdb() -> None:
    entries = parse_config(b"dn: cn=config\nobjectClass: top\n\n", "test")
    assert instance_from_config(Path("/etc/dirsrv/slapd-X"), entries).library == "bdb"


def test_backends_are_looked_up_in_any_case(tmp_path: Path) -> None:
    configure(tmp_path, "EXAMPLE-TEST")
    (instance,) = discover_instances(tmp_path)
    assert instance.backend("USERROOT").name == "userRoot"
    with pytest.raises(KeyError):
        instance.backend("nosuch")


def test_a_configuration_that_is_no_ldif_is_named(tmp_path: Path) -> None:
    (configure(tmp_path, "BROKEN") / "dse.ldif").write_bytes(b"dn: cn=config\nthis is not a line of LDIF\n\n")
    with pytest.raises(IpaBackupError, match="slapd-BROKEN"):
        discover_instances(tmp_path)


def test_spellings_of_a_dn_compare_equal() -> None:
    assert normalised("CN=userRoot , cn=ldbm database") == normalised("cn=userroot,CN=ldbm database")
