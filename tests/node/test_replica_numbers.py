"""Numbers that tell masters apart, and what an update vector says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.node.facts import RealmFacts
from lab.node.replica.authority import serial_range
from lab.node.replica.removal import numbers_of, orphans
from lab.node.replica.suffixes import (
    AUTHORITY_SUFFIX,
    CA_REPLICA_ID,
    DOMAIN_REPLICA_ID,
    domain_suffix,
    lacking,
    next_number,
    update_vector,
)

FACTS = RealmFacts("EXAMPLE.TEST", "example.test", "ipa1.example.test")
# As a FreeIPA 4.13 pair has it.
VECTOR = [
    b"{replicageneration} 6b0212ed000000040000",
    b"{replica 3 ldap://ipa2.example.test:389} 6b021320000000030000 6b021320000800030000",
    b"{replica 4 ldap://ipa1.example.test:389} 6b0212f4000000040000 6b021321000600040000",
    b"{replica 7 ldap://ipa3.example.test:389}",
]


def test_agreements_have_freeipas_names() -> None:
    assert domain_suffix(FACTS).agreement_dn("ipa2.example.test") == (
        r"cn=meToipa2.example.test,cn=replica,cn=dc\3Dexample\2Cdc\3Dtest,cn=mapping tree,cn=config"
    )
    assert AUTHORITY_SUFFIX.agreement_dn("ipa2.example.test") == (
        r"cn=caToipa2.example.test,cn=replica,cn=o\3Dipaca,cn=mapping tree,cn=config"
    )


def test_an_update_vector_tells_the_newest_change_of_each_replica() -> None:
    assert update_vector(VECTOR) == {3: "6b021320000800030000", 4: "6b021321000600040000", 7: ""}


def test_what_one_vector_lacks_is_what_the_other_has_more() -> None:
    whole = update_vector(VECTOR)
    assert lacking(whole, whole) == {}
    assert lacking({}, whole) == {number: change for number, change in whole.items() if change}
    assert lacking({**whole, 4: "6b021321000500040000"}, whole) == {4: "6b021321000600040000"}
    assert lacking(whole, {**whole, 4: "6b021321000500040000"}) == {}


def test_a_host_is_found_by_its_whole_name() -> None:
    assert numbers_of(VECTOR, "ipa2.example.test") == [3]
    assert numbers_of(VECTOR, "ipa3.example.test") == [7]
    assert numbers_of(VECTOR, "pa2.example.test") == []
    assert numbers_of(VECTOR, "ipa2xexample.test") == []


@given(st.integers(1, 200), st.sets(st.integers(1, 200)))
def test_no_replica_gets_a_number_that_another_ever_had(counter: int, used: set[int]) -> None:
    number = next_number(counter, used)
    assert number >= counter
    assert number not in used | {DOMAIN_REPLICA_ID, CA_REPLICA_ID}


@given(st.integers(1, 65534), st.integers(1, 65534))
def test_no_two_authorities_share_a_serial_number(one: int, other: int) -> None:
    first, last = serial_range(one)
    assert 0xFFFFFFF < first <= last
    if one < other:
        assert last < serial_range(other)[0]


def test_masters_that_only_the_deleted_one_connects_are_orphans() -> None:
    star = {"hub": ["a", "b"], "a": ["hub"], "b": ["hub"]}
    assert orphans(star, "hub") == ["b"]
    assert orphans(star, "a") == []
    triangle = {"a": ["b", "c"], "b": ["a", "c"], "c": ["a", "b"]}
    assert orphans(triangle, "a") == []
    one_way = {"a": ["b", "c"], "b": ["a", "c"], "c": ["a"]}
    assert orphans(one_way, "a") == ["c"]
    assert orphans({"a": []}, "a") == []
