"""Replica update vectors are read as 389 DS writes them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ipabackup.directory.vectors import Vector, parse_vector, seconds_of

CHANGES = st.integers(0, 2**64 - 1).map(lambda number: f"{number:016x}0000")
ELEMENTS = st.dictionaries(st.integers(1, 65535), st.none() | st.tuples(CHANGES, CHANGES).map(sorted))


@given(CHANGES, ELEMENTS)
def test_every_vector_comes_back_as_it_was_written(generation: str, elements: dict[int, list[str] | None]) -> None:
    values = [f"{{replicageneration}} {generation}"]
    for number, span in elements.items():
        values.append(f"{{replica {number} ldap://ipa1.example.test:389}}{' ' + ' '.join(span) if span else ''}")
    assert parse_vector(values) == Vector(
        generation,
        {number: span[1] if span else "" for number, span in elements.items()},
        {number: span[0] if span else "" for number, span in elements.items()},
    )


def test_a_vector_may_name_a_replica_without_a_url_and_hold_other_things() -> None:
    assert parse_vector(["{replica 7} 6b0246aa000100070000 6b0246ab000100070000", "{dbgen} 1"]) == Vector(
        "", {7: "6b0246ab000100070000"}, {7: "6b0246aa000100070000"}
    )


def test_half_of_an_element_and_an_empty_one_beside_it_hide_no_change() -> None:
    first = "6b0246aa000100070000"
    assert parse_vector([f"{{replica 7 ldap://x}} {first}"]) == Vector("", {7: first}, {7: first})
    whole, empty = f"{{replica 7 ldap://x}} {first} 6b0246ab000100070000", "{replica 7 ldap://x}"
    for values in ([whole, empty], [empty, whole]):
        assert parse_vector(values) == Vector("", {7: "6b0246ab000100070000"}, {7: first})


def test_a_change_number_tells_when_the_change_was_made() -> None:
    assert seconds_of("6b025264000300040000") == 1795314276
    assert seconds_of("") == 0
