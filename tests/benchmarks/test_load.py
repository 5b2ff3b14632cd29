"""The users that a directory is filled with, and what the documented procedure takes."""

import base64
import io

import ldif
import pytest

from benchmarks import users
from benchmarks.sides import paths_for_tar

SUFFIX, REALM = "dc=example,dc=test", "EXAMPLE.TEST"


def parsed(numbers: range) -> dict[str, dict[str, list[bytes]]]:
    text = "".join(users.entries(numbers, SUFFIX, REALM))
    parser = ldif.LDIFRecordList(io.StringIO(text))
    parser.parse()
    return dict(parser.all_records)


def test_every_user_and_every_group_is_an_entry_of_its_own() -> None:
    found = parsed(range(100, 350))
    assert len(found) == 250 + 3
    first = found[f"uid=bench000100,cn=users,cn=accounts,{SUFFIX}"]
    assert first["krbPrincipalName"] == [b"bench000100@EXAMPLE.TEST"]
    groups = {dn: entry for dn, entry in found.items() if dn.startswith("cn=benchteam")}
    for dn, entry in found.items():
        for group in entry.get("memberOf", []):
            assert dn.encode() in groups[group.decode()]["member"]


def test_no_unique_id_comes_twice_in_one_import_or_another() -> None:
    seen = [entry["nsUniqueId"][0] for numbers in (range(300), range(300, 600)) for entry in parsed(numbers).values()]
    assert len(set(seen)) == len(seen)
    assert len({entry["ipaUniqueID"][0] for entry in parsed(range(600)).values()}) == 606


def test_the_same_numbers_give_the_same_users_with_keys_of_their_own() -> None:
    assert parsed(range(100)) == parsed(range(100))
    keys = {entry["krbPrincipalKey"][0] for dn, entry in parsed(range(100)).items() if dn.startswith("uid=")}
    assert len(keys) == 100
    assert {len(key) for key in keys} == {185}


def test_a_hash_has_the_form_that_the_directory_reads() -> None:
    [secret] = parsed(range(100))[f"uid=bench000007,cn=users,cn=accounts,{SUFFIX}"]["userPassword"]
    scheme, salt, digest = secret.decode().split("$")
    assert scheme == "{PBKDF2-SHA512}100000"
    assert (len(base64.b64decode(salt)), len(base64.b64decode(digest))) == (24, 64)


HOME = "/var/lib/dirsrv/slapd-EXAMPLE-TEST"


def item(path: str, kind: str = "directory", *exclude: str) -> dict[str, object]:
    return {"path": path, "kind": kind, "service": "x", "exclusive": False, "exclude": list(exclude)}


@pytest.fixture
def listed() -> list[dict[str, object]]:
    return [
        item("/etc/ipa"),
        item("/etc/ipa/nssdb"),
        item("/etc/hosts", "file"),
        item("/var/lib/ipa", "directory", "/var/lib/ipa/backup"),
        item("/var/log/pki", "log"),
        item("/var/log/pki", "required-directory"),
        item(HOME, "directory", f"{HOME}/db", f"{HOME}/bak", f"{HOME}/ldif"),
    ]


def test_the_documented_procedure_takes_the_same_files_and_the_databases_as_its_design_lists_them(
    listed: list[dict[str, object]],
) -> None:
    paths = paths_for_tar(listed, "EXAMPLE-TEST")
    assert paths.whole == ("etc/ipa", "var/lib/ipa", HOME.lstrip("/"))
    assert paths.alone == ("var/log/pki",)


def test_the_documented_procedure_takes_no_backups_and_no_exports(listed: list[dict[str, object]]) -> None:
    without = paths_for_tar(listed, "EXAMPLE-TEST").without
    assert without == ("var/lib/ipa/backup", *(f"{HOME}/{name}/*".lstrip("/") for name in ("bak", "ldif")))
