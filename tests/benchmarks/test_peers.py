"""The verdict on how fast other masters are filled."""

from __future__ import annotations

import re

from benchmarks.peers import _LEFT, FULL_SIZE, Filled, _middle
from ipabackup.directory import masters, refresh


def test_the_limits_hold_for_so_many_users_only() -> None:
    assert Filled(FULL_SIZE, 2, 200, 12.0, 48.0, True).holds
    assert not Filled(FULL_SIZE, 2, 200, 31.0, 120.0, True).holds, "too slow in itself"
    assert not Filled(FULL_SIZE, 2, 200, 12.0, 20.0, False).holds, "not half of what it takes anyway"
    assert Filled(100, 2, 0, 12.0, 13.0, False).holds


def test_what_was_broken_off_is_told_as_a_bound() -> None:
    assert "ratio under 0.25" in str(Filled(FULL_SIZE, 2, 200, 12.0, 48.0, True))
    assert "more than 48.0 s" in str(Filled(FULL_SIZE, 2, 200, 12.0, 48.0, True))
    assert "ratio 0.60 (< 30 s, <= 0.5) DOES NOT HOLD" in str(Filled(FULL_SIZE, 2, 200, 12.0, 20.0, False))


def test_the_median_is_a_bound_where_what_was_broken_off_might_be_it() -> None:
    assert _middle([60.0, 24.0, 80.0], True) == (60.0, False)
    assert _middle([80.0], True) == (80.0, True)
    assert _middle([24.0, 80.0], True) == (52.0, True)
    assert _middle([60.0, 24.0, 30.0], False) == (30.0, False)


def test_what_the_other_side_goes_without_is_what_the_program_uses() -> None:
    replaced = dict(re.findall(r"^(masters|refresh)\.([\w.]+) = ", _LEFT, re.MULTILINE))
    assert replaced == {"masters": "LdapMasters.awake", "refresh": "FLOW_OPEN"}
    assert callable(masters.LdapMasters.awake)
    assert set(refresh.FLOW_OPEN) == set(refresh.FLOW_DEFAULT)
