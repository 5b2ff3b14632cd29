"""Counting entries in an LDIF that arrives in pieces of any size."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipabackup.directory.ldif_scan import count_entries, records, ruv_of, without_ruv

names = st.text(
    st.characters(codec="utf-8", exclude_characters="\n\r\0", exclude_categories=["Cs"]), min_size=1, max_size=20
)


def ldif(dns: list[str]) -> bytes:
    """An export of entries with these DNs, in the form that 389 DS writes."""
    lines = ["version: 1", ""]
    for number, dn in enumerate(dns, start=1):
        plain = dn.isascii() and dn.isprintable() and dn[0] not in " :<" and dn[-1] != " "
        shown = f"dn: {dn}" if plain else f"dn:: {base64.b64encode(dn.encode()).decode()}"
        lines += [f"# entry-id: {number}", shown, "objectClass: top", "description: dn: not an entry", ""]
    return ("\n".join(lines) + "\n").encode() if dns else b"version: 1\n\n"


@pytest.mark.row("R14")
@given(st.lists(names), st.lists(names), st.integers(1, 40))
def test_entries_are_counted_however_the_text_is_cut(live: list[str], dead: list[str], size: int) -> None:
    live = [f"cn={name}" for name in live]
    text = ldif([*live, *(f"nsuniqueid=1-2-3-4,cn={name}" for name in dead)])
    summary = count_entries(text[at : at + size] for at in range(0, len(text), size))
    assert (summary.entries, summary.tombstones, summary.whole) == (len(live), len(dead), True)


@pytest.mark.row("R14")
@given(st.lists(names, min_size=1), st.data())
def test_an_export_that_breaks_off_is_not_whole(live: list[str], data: st.DataObject) -> None:
    text = ldif([f"cn={name}" for name in live])
    cut = data.draw(st.integers(text.index(b"dn:"), len(text) - 2))
    summary = count_entries([text[:cut]])
    assert not summary.whole or summary.total < len(live)


def test_records_join_folded_lines_and_decode_base64() -> None:
    text = b"version: 1\n\n# c\ndn:: Y249w6Q=\ncn: one\n  two\nCN: three\njpeg:< file:///x\n\ndn: cn=b\n\n"
    assert list(records(text.splitlines(keepends=True))) == [
        ("cn=ä", {"cn": [b"one two", b"three"], "jpeg": [b"< file:///x"]}),
        ("cn=b", {}),
    ]


def test_records_take_replication_state_off_and_leave_deleted_values_out() -> None:
    text = (
        b"dn: cn=KDC\ncn;vucsn-6b0229a9000d00040000;mdcsn-6b0229a9000d00040000: KDC\n"
        b"ipaConfigString;vucsn-6b0229a9000d00040000: enabledService\n"
        b"ipaConfigString;vdcsn-6b0229a9000d00040000;deleted: hiddenService\n"
        b"description;adcsn-6b0229a9000d00040000;vdcsn-6b0229a9000d00040000;deletedattribute;deleted:\n"
        b"userCertificate;binary;vucsn-6b0229a9000d00040000:: AAA=\n\n"
    )
    assert list(records(text.splitlines(keepends=True))) == [
        ("cn=KDC", {"cn": [b"KDC"], "ipaconfigstring": [b"enabledService"], "usercertificate;binary": [b"\0\0"]})
    ]


@pytest.mark.row("R8")
@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_ruv_entry_goes_with_the_comment_above_it(place: int) -> None:
    entries = [b"# entry-id: 1\ndn: o=a\ncn: a\n#folded\n x\n\n", b"# entry-id: 3\ndn: cn=b,o=a\ncn: b\n\n"]
    ruv = b"# entry-id: 2\ndn: nsuniqueid=FFFFFFFF-ffffffff-ffffffff-ffffffff,o=a\nnsds50ruv: x\n y\n\n"
    text = b"version: 1\n\n" + b"".join([*entries[:place], ruv, *entries[place:]])
    assert b"".join(without_ruv(text.splitlines(keepends=True))) == b"version: 1\n\n" + b"".join(entries)


@pytest.mark.row("R9")
@given(st.integers(1, 60), st.booleans())
def test_the_update_vector_of_an_export_is_found_however_the_text_is_cut(size: int, upper: bool) -> None:
    unique_id = "ffffffff-ffffffff-ffffffff-ffffffff"
    ruv = (
        f"dn: nsuniqueid={unique_id.upper() if upper else unique_id},o=a\nobjectClass: nsTombstone\n"
        "nsds50ruv: {replicageneration} 6b02\nnsds50ruv: {replica 4 ldap://ipa1.exam\n ple.test:389} 1 2\n\n"
    )
    text = f"version: 1\n\ndn: o=a\nnsds50ruv: not this\n\n# entry-id: 7\n{ruv}dn: cn=b,o=a\ncn: b\n\n".encode()
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert ruv_of(pieces) == ["{replicageneration} 6b02", "{replica 4 ldap://ipa1.example.test:389} 1 2"]
    assert ruv_of([text.replace(ruv.encode(), b"")]) == []
