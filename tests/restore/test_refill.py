"""Other masters that are filled with what this one has, without a restore: after one that could not fill them."""

from __future__ import annotations

import pytest

from ipabackup.directory.agreements import Agreement
from ipabackup.directory.masters import PeerFailure
from ipabackup.errors import Incomplete, PeersUnreachable, Refused, UsageError
from ipabackup.restore import reinitialize
from ipabackup.restore.refill import plan_refill
from tests.fakes.directory import FakeMaster
from tests.host_of_its_own import OwnHost
from tests.realm.realms import change


@pytest.fixture(autouse=True)
def pair(second_master: str, host: OwnHost) -> None:
    """Two masters that supply each other, unless a test says otherwise."""
    host.masters.agreements = {"ipa1.example.test": [second_master], second_master: ["ipa1.example.test"]}


def _refilled(host: OwnHost, *named: str) -> list[str]:
    """Run a restore of nothing; returns what it did to agreements and databases."""
    host.directory.deeds.clear()
    plan = plan_refill(host.server(), named, None, host.machine).plan
    assert plan.goes_on, "masters half filled would be worse"
    host.run(plan)
    return list(host.directory.deeds)


@pytest.mark.row("R15")
def test_masters_can_be_filled_without_a_restore_and_those_not_named_supply_them(
    second_master: str, third_master: str, host: OwnHost
) -> None:
    first, third = "ipa1.example.test", third_master
    host.masters.agreements = {first: [second_master], second_master: [first, third], third: [second_master]}
    host.masters.generations[second_master] = "new"
    assert _refilled(host, third) == [
        f"disable {third}",
        f"own change {first}",
        f"refresh {third} from {second_master}",
        f"switch {third} from {second_master} off",
        f"own change {third}",
        f"switch {third} from {second_master} on",
        f"enable {first}",
        f"enable {third}",
        f"own change {first}",
        f"own change {third}",
    ]
    assert host.masters.asleep == set(), "none lets its supplier wait"
    assert [deed for deed in _refilled(host) if deed.startswith("refresh")] == [
        f"refresh {second_master} from {first}",
        f"refresh {third} from {second_master}",
    ]


@pytest.mark.row("R14", "R15")
def test_a_total_update_that_was_given_up_before_is_asked_for_once_more_when_it_fails(
    second_master: str, host: OwnHost
) -> None:
    first = "ipa1.example.test"
    host.masters.given_up = {second_master}
    asked = [deed for deed in _refilled(host) if deed.startswith("refresh")]
    assert asked == [f"refresh {second_master} from {first}"] * 2
    host.masters.broken = {second_master}
    host.masters.given_up = {second_master}
    with pytest.raises(PeersUnreachable, match="it broke"):
        _refilled(host)


@pytest.mark.row("R15")
def test_a_master_of_another_generation_supplies_nobody(second_master: str, third_master: str, host: OwnHost) -> None:
    first, third = "ipa1.example.test", third_master
    host.masters.agreements = {first: [second_master], second_master: [first, third], third: [second_master]}
    with pytest.raises(PeersUnreachable, match=f"{third} has to wait for {second_master}"):
        _refilled(host, third)
    assert host.masters.generations == {first: "new"}


@pytest.mark.row("R15")
def test_a_master_that_lost_the_domains_data_is_told_who_its_supplier_is(second_master: str, host: OwnHost) -> None:
    first = "ipa1.example.test"
    host.masters.emptied = {second_master}
    with pytest.raises(Incomplete, match=f"{second_master} had none.* Run on it: ipactl restart"):
        _refilled(host)
    assert host.directory.deeds == [
        f"disable {second_master}",
        f"own change {first}",
        f"admit {first} to {second_master}",
        f"refresh {second_master} from {first}",
        f"switch {second_master} from {first} off",
        f"own change {second_master}",
        f"disable {first}",
        f"dismiss on {second_master}",
        f"switch {second_master} from {first} on",
        f"enable {first}",
        f"enable {second_master}",
        f"own change {first}",
        f"own change {second_master}",
    ], "its supplier's session, which began under another name, ends before that name goes"


@pytest.mark.row("R15")
def test_one_that_falls_silent_then_is_asked_nothing_more(
    second_master: str, host: OwnHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told who its supplier is until it is filled."""
    monkeypatch.setattr(reinitialize, "_BETWEEN_CALLS", 0.0)
    monkeypatch.setattr(reinitialize, "GONE_LIMIT", 0.0)
    first = "ipa1.example.test"
    host.masters.emptied = host.masters.dying = {second_master}
    with pytest.raises(PeersUnreachable, match=f"{second_master} does not answer any more"):
        _refilled(host)
    assert f"admit {first} to {second_master}" in host.directory.deeds
    assert not {f"dismiss on {second_master}", f"disable {first}"} & set(host.directory.deeds)

    host.masters.dying = set()
    with pytest.raises(Incomplete, match=f"{second_master} had none"):
        _refilled(host)
    assert f"dismiss on {second_master}" in host.directory.deeds


@pytest.mark.row("R15")
def test_one_that_could_not_be_filled_then_forgets_its_supplier(second_master: str, host: OwnHost) -> None:
    host.masters.emptied = host.masters.broken = {second_master}
    with pytest.raises(PeersUnreachable, match="it broke"):
        _refilled(host)
    assert f"dismiss on {second_master}" in host.directory.deeds


@pytest.mark.row("R15")
def test_one_that_does_not_tell_what_it_holds_is_filled_all_the_same(second_master: str, host: OwnHost) -> None:
    first = "ipa1.example.test"
    looks: list[str] = []

    def fall_silent_once() -> None:
        looks.append("look")
        if len(looks) == 1:
            raise PeerFailure(f"{second_master} does not tell its replication state: no answer in time.")

    host.masters.at_each_look = fall_silent_once
    assert f"refresh {second_master} from {first}" in _refilled(host)


@pytest.mark.row("R15")
def test_a_master_that_was_emptied_and_differs_afterwards_is_named(
    second_master: str, host: OwnHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its services are restarted: with another generation in its database it would part from its realm then."""
    first = "ipa1.example.test"
    host.masters.emptied = {second_master}
    host.masters.newest = {first: {4: change(9, 4)}, second_master: {4: change(9, 4), 5: change(20, 5)}}
    host.masters.generations[first] = "6a000000"
    for name in ("FIRST_LOOK", "SETTLE_LIMIT"):
        monkeypatch.setattr(reinitialize, name, 0.0)
    with pytest.raises(Incomplete):
        _refilled(host)
    host.masters.unsaved = {second_master: "6b000000"}
    with pytest.raises(PeersUnreachable, match=f"{second_master} has .* 6a000000, and 6b000000 in its database"):
        _refilled(host)


@pytest.mark.row("R15")
def test_a_supplier_that_fills_once_more_what_it_was_started_with_is_waited_for(
    second_master: str, third_master: str, host: OwnHost
) -> None:
    """What that one has changed of its own is gone from it then, and must not have reached anybody."""
    first, third = "ipa1.example.test", third_master
    host.masters.agreements = {first: [second_master, third], second_master: [first], third: [first]}
    host.masters.ordered = {first: {third}}
    deeds = _refilled(host)
    at = deeds.index(f"switch {third} from {first} on")
    assert deeds[at + 1 :] == [
        f"own change {third}",
        *(f"{deed} {name}" for deed in ("enable", "own change") for name in (first, second_master, third)),
    ]
    assert deeds.count(f"switch {third} from {first} off") == 1, "or it would begin yet again"


@pytest.mark.row("R15")
def test_whom_a_master_has_filled_that_is_filled_once_more_is_so_as_well(
    second_master: str, third_master: str, host: OwnHost
) -> None:
    """They know a change of that one which is gone from itself."""
    first, third = "ipa1.example.test", third_master
    host.masters.agreements = {first: [second_master], second_master: [first, third], third: [second_master]}
    host.masters.ordered = {first: {second_master}}
    deeds = _refilled(host)
    assert deeds[deeds.index(f"switch {second_master} from {first} on") :] == [
        f"switch {second_master} from {first} on",
        f"own change {second_master}",
        f"switch {third} from {second_master} on",
        f"refresh {third} from {second_master}",
        f"own change {third}",
        *(f"{deed} {name}" for deed in ("enable", "own change") for name in (first, second_master, third)),
    ]
    assert host.masters.flows.count((third, {"window": [b"usual"]})) == 2, "as often as it was opened"


@pytest.mark.row("R15")
def test_an_agreement_that_could_not_rest_is_not_switched_on_again(
    second_master: str, host: OwnHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows when it began last, so what it does then would be taken for another total update."""

    def silent(master: FakeMaster, agreement: Agreement, state: str) -> None:
        host.directory.deeds.append(f"switch {agreement.consumer} {state}")
        raise PeerFailure("No answer.")

    monkeypatch.setattr(FakeMaster, "switch", silent)
    deeds = _refilled(host)
    assert [deed for deed in deeds if deed.startswith("switch")] == [f"switch {second_master} off"]


@pytest.mark.row("R15")
def test_a_supplier_that_falls_silent_when_it_is_switched_on_again_is_named(
    second_master: str, third_master: str, host: OwnHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, third = "ipa1.example.test", third_master
    host.masters.agreements = {first: [second_master], second_master: [first, third], third: [second_master]}
    switch = FakeMaster.switch

    def silent(master: FakeMaster, agreement: Agreement, state: str) -> None:
        if agreement.consumer == third and state == "on":
            raise PeerFailure(f"{second_master} does not switch it on: no answer.")
        switch(master, agreement, state)

    monkeypatch.setattr(FakeMaster, "switch", silent)
    with pytest.raises(PeersUnreachable, match=f"{second_master} does not switch it on"):
        _refilled(host)


@pytest.mark.row("R15", "R12")
def test_what_cannot_be_filled_is_refused(second_master: str, host: OwnHost) -> None:
    with pytest.raises(UsageError, match="No other master of this realm: ipa9") as caught:
        _refilled(host, "ipa9", second_master)
    assert second_master in caught.value.remedy
    host.services.active.clear()
    with pytest.raises(Refused, match="not running"):
        _refilled(host)
    host.services.active.add("dirsrv@EXAMPLE-TEST.service")
    del host.directory.masters[second_master]
    with pytest.raises(Refused, match="no other masters"):
        _refilled(host)
