"""Changes of a new instance's dse.ldif."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path

import ldif
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.node.install import dse
from lab.node.install.checks import Refused

DSE = """\
dn: cn=config
objectClass: top
cn: config
nsslapd-port: 389
nsslapd-errorlog-level: 16384

dn: cn=config,cn=ldbm database,cn=plugins,cn=config
objectClass: top
cn: config
nsslapd-backend-implement: mdb
nsslapd-directory: %db_dir%
"""
SHIPPED = Path(__file__).parents[2] / "lab" / "node" / "image" / "bdb.ldif"


def parsed(text: str) -> dict[str, dict[str, list[bytes]]]:
    records = ldif.LDIFRecordList(io.StringIO(text))
    records.parse_entry_records()
    return dict(records.all_records)


def after(changes: str) -> dict[str, dict[str, list[bytes]]]:
    return parsed(dse.changed(DSE, dse.read_changes(changes, "some.ldif")))


def test_no_changes_leave_every_entry_as_it_was() -> None:
    assert after("") == parsed(DSE)


def test_values_are_replaced_added_and_deleted_whatever_the_case() -> None:
    changed = after(
        "version: 1\n\n# a remark\ndn: CN=config\nchangetype: modify\nreplace: NSSLAPD-PORT\nNSSLAPD-PORT: 3389\n-\n"
        "add: nsslapd-maxbersize\nnsslapd-maxbersize: 5\n-\ndelete: nsslapd-errorlog-level\n-\n\n\n"
        "dn: cn=config, cn=ldbm database, cn=plugins, cn=config\nchangetype: modify\n"
        "delete: nsslapd-directory\nnsslapd-directory: %db_dir%\n-\n"
    )
    assert changed["cn=config"] == {
        "objectClass": [b"top"],
        "cn": [b"config"],
        "nsslapd-port": [b"3389"],
        "nsslapd-maxbersize": [b"5"],
    }
    assert "nsslapd-directory" not in changed[dse.DATABASE]


def test_the_managers_password_is_kept_as_a_quick_hash() -> None:
    config = parsed(dse.changed(DSE, dse.quick_passwords("Secret123")))["cn=config"]
    scheme, _, hashed = config["nsslapd-rootpw"][0].decode().partition("}")
    decoded = base64.b64decode(hashed)
    assert scheme == "{SSHA512"
    assert decoded[:64] == hashlib.sha512(b"Secret123" + decoded[64:]).digest()
    assert len(decoded) > 64
    assert config["passwordStorageScheme"] == [b"SSHA512"]


def test_an_entry_is_added_whole() -> None:
    changed = after("dn: cn=new,cn=config\nobjectClass: top\ncn: new\n")
    assert changed["cn=new,cn=config"] == {"objectClass": [b"top"], "cn": [b"new"]}
    assert len(changed) == 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ("dn: cn=absent\nchangetype: modify\nreplace: a\na: b\n-\n", "no entry cn=absent"),
        ("dn: cn=config\nobjectClass: top\ncn: config\n", "already"),
        ("dn: cn=config\nchangetype: modify\ndelete: nsslapd-port\nnsslapd-port: 1\n-\n", "no such value"),
        ("dn: cn=config\nchangetype: modify\ndelete: absent\n-\n", "no such value"),
        ("dn: cn=config\nchangetype: delete\n", "some.ldif"),
        ("dn: cn=config\nchangetype: modify\nreplace: A\na: b\n-\n", "spell it the same"),
        ("this is no LDIF\n", "some.ldif is not LDIF"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(changes: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        after(changes)


def test_the_database_library_is_chosen_by_the_changes() -> None:
    assert dse.database_library([]) == "mdb"
    assert dse.database_library(dse.read_changes_file(str(SHIPPED))) == "bdb"
    other = dse.read_changes(SHIPPED.read_text().replace("implement: bdb", "implement: gdbm"), "x")
    with pytest.raises(Refused, match="gdbm"):
        dse.database_library(other)
    elsewhere = dse.read_changes("dn: cn=config\nchangetype: modify\nreplace: x\nx: bdb\n-\n", "x")
    assert dse.database_library(elsewhere) == "mdb"


def test_a_file_that_cannot_be_read_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="absent"):
        dse.read_changes_file(str(tmp_path / "absent.ldif"))


def test_a_template_keeps_its_placeholders_on_one_line(tmp_path: Path) -> None:
    templates = tmp_path / "data"
    templates.mkdir()
    long = "x" * 70
    (templates / dse.TEMPLATE).write_text(DSE.replace("%db_dir%", f"{long}%db_dir%/{long}"))
    (templates / "other.ldif").write_text("dn: cn=other\n")
    small = dse.read_changes(dse.SMALL_BDB, "built in")
    data = dse.changed_templates(tmp_path / "share", small, templates) / "dirsrv" / "data"
    text = (data / dse.TEMPLATE).read_text()
    assert f"nsslapd-directory: {long}%db_dir%/{long}\n" in text
    assert parsed(text)[dse.DATABASE]["nsslapd-cache-autosize"] == [b"0"]
    assert (data / "other.ldif").read_text() == "dn: cn=other\n"


# python-ldap's writer, which writes the change here, does not encode every kind of white space at the ends.
@given(st.binary(max_size=60).map(lambda value: b"x" + value + b"x"))
def test_any_value_survives(value: bytes) -> None:
    out = io.StringIO()
    ldif.LDIFWriter(out).unparse("cn=config", [(2, "nsslapd-port", [value])])
    changed = after(out.getvalue())
    assert changed["cn=config"]["nsslapd-port"] == [value]
