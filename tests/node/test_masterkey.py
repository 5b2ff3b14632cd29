"""The Kerberos master key on its way between the stash file and the directory."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.node import masterkey
from lab.node.facts import RealmFacts
from lab.node.ldapi import Directory, encoded
from lab.node.masterkey import BadKey, MasterKey, decode, encode, read_stash, stash

FACTS = RealmFacts("EXAMPLE.TEST", "example.test", "ipa1.example.test")
KEYS = st.builds(MasterKey, st.integers(1, 2**31 - 1), st.integers(1, 2**15 - 1), st.binary(min_size=1, max_size=300))
# What kdb5_ldap_util create -s of MIT Kerberos 1.21 left in a lab that is gone, and the value that was made of it.
STASH_OF_MIT = bytes.fromhex(
    "0502 00000047 0002 000c 4558414d504c452e54455354 0001 4b 0001 4d 00000001 6b023468 01 0012 0020"
    "097c440bf9f9cf83db837f0da0551bf12338ffe6aec72967b95d1501020ead83 00000001"
)
VALUE = base64.b64decode("MCoCAQEwJQIBEgQgCXxEC/n5z4Pbg38NoFUb8SM4/+auxylnuV0VAQIOrYM=")


class Realm:
    """The realm's entry, and nothing else."""

    def __init__(self, **attributes: bytes) -> None:
        self.attributes = {name: [value] for name, value in attributes.items()}

    def get(self, dn: str, attributes: list[str]) -> dict[str, list[bytes]] | None:
        assert dn == FACTS.realm_dn
        return {name: self.attributes[name] for name in attributes if name in self.attributes}

    def replace(self, dn: str, attributes: dict[str, Any]) -> None:
        assert dn == FACTS.realm_dn
        self.attributes |= {name: encoded(values) for name, values in attributes.items()}


def refresh(realm: Realm, path: Path) -> bool:
    return masterkey.refresh(cast(Directory, realm), FACTS, path)


def test_the_kdcs_own_stash_is_read() -> None:
    master = read_stash(STASH_OF_MIT)
    assert (master.kvno, master.enctype, len(master.key)) == (1, 18, 32)
    assert encode(master) == VALUE
    assert decode(VALUE) == master


@given(KEYS, st.integers(0, 2**32 - 1))
def test_a_key_survives_both_forms(master: MasterKey, written: int) -> None:
    assert read_stash(stash(master, "EXAMPLE.TEST", written)) == master
    assert decode(encode(master)) == master


@given(KEYS)
def test_no_half_of_a_key_is_taken_for_a_key(master: MasterKey) -> None:
    for whole, read in ((stash(master, "EXAMPLE.TEST", 0), read_stash), (encode(master), decode)):
        for end in (0, 1, 2, len(whole) // 2, len(whole) - 5, len(whole) - 1):
            with pytest.raises(BadKey):
                read(whole[:end])


@given(st.binary(max_size=200))
def test_rubbish_is_refused_and_nothing_worse(data: bytes) -> None:
    for read in (read_stash, decode):
        try:
            read(data)
        except BadKey:
            continue


def test_the_newest_key_of_a_stash_counts() -> None:
    old, new = MasterKey(1, 18, b"o" * 32), MasterKey(2, 18, b"n" * 32)
    both = stash(new, "EXAMPLE.TEST", 0) + stash(old, "EXAMPLE.TEST", 0)[2:]
    assert read_stash(both) == new


def test_a_key_never_shows_in_a_message() -> None:
    assert "secret" not in repr(MasterKey(1, 18, b"secret"))


@pytest.mark.row("T13")
def test_a_stash_of_another_installation_gives_way_to_the_directorys(tmp_path: Path) -> None:
    path = tmp_path / "stash"
    mine, restored = MasterKey(1, 18, b"m" * 32), MasterKey(1, 18, b"r" * 32)
    path.write_bytes(stash(mine, "EXAMPLE.TEST", 0))
    realm = Realm()
    masterkey.store(cast(Directory, realm), FACTS, path)
    assert not refresh(realm, path)
    realm.replace(FACTS.realm_dn, {"krbMKey": encode(restored)})
    assert refresh(realm, path)
    assert read_stash(path.read_bytes()) == restored
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_directory_without_a_key_leaves_the_stash_alone(tmp_path: Path) -> None:
    path = tmp_path / "stash"
    path.write_bytes(STASH_OF_MIT)
    assert not refresh(Realm(), path)
    assert path.read_bytes() == STASH_OF_MIT


@pytest.mark.parametrize("damage", [None, b"", b"\x05\x02", STASH_OF_MIT[:40]])
def test_a_missing_or_damaged_stash_is_written_anew(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "stash"
    if damage is not None:
        path.write_bytes(damage)
    assert refresh(Realm(krbMKey=VALUE), path)
    assert read_stash(path.read_bytes()) == decode(VALUE)


def test_a_damaged_value_in_the_directory_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "stash"
    path.write_bytes(STASH_OF_MIT)
    with pytest.raises(BadKey):
        refresh(Realm(krbMKey=VALUE[:-1]), path)
    assert path.read_bytes() == STASH_OF_MIT


def test_without_a_server_the_kdc_may_start(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert masterkey.main() == 0
    assert "stays as it is" in caplog.text
