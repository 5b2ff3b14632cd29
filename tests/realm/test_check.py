"""All masters are asked, and those that are merely behind get the time to catch up."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from ipabackup.cli.realm import conclude
from ipabackup.errors import NotOneRealm, PeersUnreachable
from ipabackup.realm import check
from ipabackup.realm.check import Verdict, check_realm
from ipabackup.realm.state import Viewpoint
from tests.host_of_its_own import HOST, OwnHost, make_host
from tests.realm.realms import change

SECOND, THIRD = "ipa2.example.test", "ipa3.example.test"
DOMAIN = "dc=example,dc=test"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OwnHost:
    monkeypatch.setattr(check, "_BETWEEN_LOOKS", 0.001)
    host = make_host(tmp_path)
    names = (HOST, SECOND, THIRD)
    host.masters.agreements = {name: [other for other in names if other != name] for name in names}
    host.masters.generations = dict.fromkeys(names, "6a00")
    host.masters.newest = {name: {4: change(9, 4)} for name in names}
    host.masters.enabled = set(names)
    return host


def verdict(
    host: OwnHost,
    wait: float = 0,
    only: set[str] | None = None,
    away: Collection[str] = (),
    contents: bool = True,
) -> Verdict:
    server = host.server()
    view = Viewpoint(server.host, server.basedn, server.instances, host.machine, None)
    return check_realm(view, wait=wait, only=only, away=away, contents=contents)


@pytest.mark.row("R15")
def test_every_master_that_is_listed_is_asked_and_counted(host: OwnHost) -> None:
    found = verdict(host)
    assert found.one_realm
    assert set(found.state.masters) == {HOST, SECOND, THIRD}
    assert all(one.contents[DOMAIN].entries == 4 for one in found.state.masters.values())
    conclude(found, HOST)


def test_nothing_is_counted_when_contents_are_of_no_interest(host: OwnHost) -> None:
    found = verdict(host, contents=False)
    assert found.one_realm
    assert not any(one.contents for one in found.state.masters.values())


@pytest.mark.row("R15")
@pytest.mark.parametrize("away", [False, True])
def test_a_master_that_is_behind_gets_the_time_to_catch_up(host: OwnHost, away: bool) -> None:
    """Also where agreements with another one are off because that is away."""
    if away:
        host.masters.off = {(HOST, THIRD), (SECOND, THIRD)}
    host.masters.newest[SECOND] = {4: change(8, 4)}
    looks = []

    def arrive() -> list[str]:
        looks.append("look")
        if len(looks) == 3:
            host.masters.newest[SECOND] = {4: change(9, 4)}
        return looks

    host.masters.at_each_look = arrive
    found = verdict(host, wait=30, only={HOST, SECOND} if away else None, away={THIRD} if away else ())
    assert found.one_realm
    assert len(looks) > 3
    assert found.seconds < 30


@pytest.mark.row("R15")
def test_what_databases_would_begin_again_with_is_looked_at(host: OwnHost) -> None:
    host.masters.unsaved = {SECOND: "6a77", THIRD: "6a00"}
    assert [(trouble.kind, trouble.hosts) for trouble in verdict(host).troubles] == [("unsaved", (SECOND,))]


def test_one_look_is_enough_without_patience_and_for_what_does_not_pass(host: OwnHost) -> None:
    host.masters.newest[SECOND] = {4: change(8, 4)}
    behind = verdict(host)
    assert [trouble.kind for trouble in behind.troubles] == ["behind"]
    host.masters.enabled.discard(THIRD)
    off = verdict(host, wait=600)
    assert {trouble.kind for trouble in off.troubles} == {"behind", "off"}
    with pytest.raises(NotOneRealm, match="3 troubles"):
        conclude(off, HOST)


def test_a_master_out_of_reach_is_told_apart_from_a_split(host: OwnHost) -> None:
    host.masters.down = {THIRD}
    found = verdict(host)
    assert found.state.unreachable == {THIRD: f"{THIRD} cannot be reached: no route."}
    with pytest.raises(PeersUnreachable, match=THIRD):
        conclude(found, HOST)
    host.masters.generations[SECOND] = "6a11"
    with pytest.raises(NotOneRealm):
        conclude(verdict(host), HOST)


@pytest.mark.row("R15")
def test_a_master_without_the_domains_data_is_said_to_have_none_and_others_are_found_by_its_agreements(
    host: OwnHost,
) -> None:
    """It lists no masters: what it has agreements with are no strangers."""
    host.masters.emptied = {HOST}
    host.masters.generations[HOST] = "6b00"
    found = verdict(host)
    assert set(found.state.masters) == {HOST, SECOND, THIRD}
    kinds = [trouble.kind for trouble in found.troubles]
    assert kinds == ["empty", "generation"]
    assert f"--reinitialize-peers --peer {HOST}" in found.troubles[0].remedy
    host.masters.emptied = {SECOND}
    host.masters.generations[HOST] = "6a00"
    assert verdict(host).one_realm, "another one may only not show it"


def test_masters_that_are_left_out_are_neither_asked_nor_judged(host: OwnHost) -> None:
    host.masters.down = {THIRD}
    host.masters.generations[THIRD] = "6a11"
    found = verdict(host, only={HOST, SECOND})
    assert found.one_realm
    assert set(found.state.masters) == {HOST, SECOND}
