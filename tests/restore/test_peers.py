"""The other masters of a restored server's realm: kept from undoing the restore, filled, or named."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ipabackup.directory.agreements import Agreement
from ipabackup.errors import (
    Incomplete,
    PeersUnreachable,
    UsageError,
)
from ipabackup.realm import check
from ipabackup.record import ServerRecord
from ipabackup.restore import RestoreOptions, reinitialize, total_update
from ipabackup.restore.peers import Peers, younger_than
from ipabackup.steps import Event, Reporter
from tests.host_of_its_own import OwnHost
from tests.realm.realms import change
from tests.restore.deeds import planned, restored, uninstalled


@pytest.mark.row("R8")
def test_agreements_on_other_masters_are_off_before_data_is_touched(
    second_master: str, host: OwnHost, backup: Path
) -> None:
    uninstalled(host)
    host.directory.masters.clear()
    notes = restored(host, backup)
    assert host.directory.deeds[:2] == [f"disable {second_master}", "unarchive EXAMPLE-TEST"]
    assert any(f"{second_master}: ipa-replica-manage re-initialize --from=ipa1.example.test" in note for note in notes)
    assert "Or on ipa1.example.test, for all of them: ipa-restore --reinitialize-peers" in notes


@pytest.mark.row("R15")
def test_the_commands_to_type_go_outward_and_name_the_neighbour_that_was_filled_before(host: OwnHost) -> None:
    def sends(*consumers: str, suffix: str = "dc=example, dc=test") -> list[Agreement]:
        return [Agreement(f"cn={consumer}", suffix, consumer, True) for consumer in consumers]

    peers = Peers("ipa1", ("ipa2", "ipa3", "ipa4", "ipa5"), None, host.machine)
    peers.learn("ipa3", sends("ipa2", "ipa4"))
    peers.learn("ipa2", sends("ipa1", "ipa3", "ipa4"))
    peers.learn("ipa1", sends("ipa2"))
    peers.learn("ipa1", sends("ipa2", suffix="o=ipaca"))
    assert peers.commands() == [
        ("ipa2", "ipa-replica-manage re-initialize --from=ipa1"),
        ("ipa2", "ipa-csreplica-manage re-initialize --from=ipa1"),
        ("ipa3", "ipa-replica-manage re-initialize --from=ipa2"),
        ("ipa4", "ipa-replica-manage re-initialize --from=ipa2"),
        ("ipa5", "ipa-replica-manage re-initialize --from=ipa1"),
    ]


@pytest.mark.row("R8", "T12")
def test_the_command_for_all_leaves_out_who_is_no_master_any_more(host: OwnHost) -> None:
    said: list[str] = []

    def note(event: Event) -> None:
        said.append(event.message)

    Peers("ipa1", ("ipa2", "ipa3"), None, host.machine, ("ipa3",)).conclude(Reporter([note]))
    assert "Or on ipa1, for all of them: ipa-restore --reinitialize-peers --peer ipa2" in said
    said.clear()
    Peers("ipa1", ("ipa3",), None, host.machine, ("ipa3",)).conclude(Reporter([note]))
    assert not any("reinitialize-peers" in line for line in said), "nobody is left"


@pytest.mark.row("R8")
def test_masters_out_of_reach_are_named_and_the_status_says_so(second_master: str, host: OwnHost, backup: Path) -> None:
    host.masters.down = {second_master}
    with pytest.raises(PeersUnreachable, match=f"{second_master} cannot be reached") as caught:
        restored(host, backup)
    assert caught.value.exit_status == 8
    assert host.services.running
    assert "unarchive EXAMPLE-TEST" in host.directory.deeds, "the restore itself is done"


@pytest.mark.row("R8")
def test_catching_up_leaves_the_other_masters_alone(second_master: str, host: OwnHost, backup: Path) -> None:
    host.masters.down = {second_master}
    with pytest.raises(Incomplete, match=f"{second_master} cannot be reached.*force-sync --from={second_master}"):
        restored(host, backup, RestoreOptions(authoritative=False, peer_check=False))
    assert not any(deed.startswith("disable") for deed in host.directory.deeds)


@pytest.mark.row("R7")
def test_the_plan_names_the_masters_that_are_affected(second_master: str, host: OwnHost, backup: Path) -> None:
    assert planned(host, backup).masters == (second_master,)


@pytest.mark.row("R15")
def test_peers_are_filled_hop_by_hop_and_switched_on_afterwards(
    second_master: str, third_master: str, host: OwnHost, backup: Path
) -> None:
    first, third = "ipa1.example.test", third_master
    host.masters.agreements = {first: [second_master], second_master: [first, third], third: [second_master]}
    notes = restored(host, backup, RestoreOptions(reinitialize=True))
    deeds = [deed for deed in host.directory.deeds if deed.startswith(("refresh", "enable", "own change"))]
    assert deeds == [
        f"own change {first}",
        f"refresh {second_master} from {first}",
        f"own change {second_master}",
        f"refresh {third} from {second_master}",
        f"own change {third}",
        f"enable {first}",
        f"enable {second_master}",
        f"enable {third}",
        f"own change {first}",
        f"own change {second_master}",
        f"own change {third}",
    ]
    rows = [note.split() for note in notes if note.endswith("  0") and "dc=example,dc=test" in note]
    assert [(row[0], row[2], row[4]) for row in rows] == [(name, "new", "4") for name in (first, second_master, third)]
    assert host.masters.flows == [(second_master, {"window": [b"usual"]}), (third, {"window": [b"usual"]})]


@pytest.mark.row("R15")
def test_masters_that_could_not_be_filled_or_have_no_agreement_are_named(
    second_master: str, third_master: str, host: OwnHost, backup: Path
) -> None:
    first, third = "ipa1.example.test", third_master
    host.masters.agreements = {first: [second_master]}
    host.masters.broken = {second_master}
    with pytest.raises(
        PeersUnreachable, match=f"{second_master} could not be re-initialised.*no agreement leads to {third}"
    ):
        restored(host, backup, RestoreOptions(reinitialize=True))


@pytest.mark.row("T12", "R8")
@pytest.mark.parametrize("data", [True, False])
def test_a_master_younger_than_the_backup_is_named_and_not_filled(
    data: bool, second_master: str, host: OwnHost, backup: Path
) -> None:
    first, young = "ipa1.example.test", "ipa3.example.test"
    host.directory.masters[young] = {"KDC"}
    host.masters.agreements = {first: [young, second_master], second_master: [first]}
    told = f"{young} is younger than the backup.*ipa-replica-manage del --force {young}"
    with pytest.raises(Incomplete, match=told) as warned:
        restored(host, backup, RestoreOptions(data=data))
    assert f"{young}: ipa-replica-manage re-initialize" not in str(warned.value)
    host.services.active.add("dirsrv@EXAMPLE-TEST.service")
    with pytest.raises(PeersUnreachable, match=told) as caught:
        restored(host, backup, RestoreOptions(data=data, reinitialize=True))
    assert caught.value.remedy == "", "it cannot be re-initialised"
    refreshed = [deed for deed in host.directory.deeds if deed.startswith("refresh")]
    assert refreshed == [f"refresh {second_master} from {first}"]


@pytest.mark.row("T12")
def test_a_master_is_younger_only_when_the_realms_own_entries_are_restored() -> None:
    record = ServerRecord("a", "EXAMPLE.TEST", "example.test", "dc=example,dc=test", "4", "389", (), "FULL", "2026")
    known = replace(record, masters=("a", "b"))
    assert younger_than(known, ["b", "c"], ["o=ipaca", "DC=example,dc=test"]) == ("c",)
    assert younger_than(known, ["b", "c"], ["o=ipaca"]) == ()
    assert younger_than(record, ["b", "c"], ["dc=example,dc=test"]) == (), "nobody wrote down who the masters were"


@pytest.mark.row("R8", "R15")
def test_a_master_that_is_out_of_reach_is_not_waited_for_and_neither_is_who_is_behind_it(
    second_master: str, third_master: str, host: OwnHost, backup: Path
) -> None:
    first, third = "ipa1.example.test", third_master
    host.masters.agreements = {first: [second_master], second_master: [first, third], third: [second_master]}
    host.masters.down = {second_master}
    with pytest.raises(PeersUnreachable) as caught:
        restored(host, backup, RestoreOptions(reinitialize=True))
    assert not any(deed.startswith("refresh") for deed in host.directory.deeds), "the supplier would try for minutes"
    assert f"{second_master} cannot be reached: no route" in str(caught.value)
    assert f"{third} has to wait for {second_master}" in str(caught.value)
    assert "Uninstall" not in str(caught.value)
    again = f"ipa-restore --reinitialize-peers --peer {second_master} --peer {third}"
    assert caught.value.remedy == f"When they are back, run on {first}: {again}"


@pytest.mark.row("R15")
def test_masters_that_seem_to_be_behind_get_another_change_before_they_are_named(
    second_master: str, host: OwnHost, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = "ipa1.example.test"
    monkeypatch.setattr(reinitialize, "FIRST_LOOK", 0.0)
    host.masters.agreements = {first: [second_master], second_master: [first]}
    host.masters.generations[first] = "6a00"
    host.masters.newest = {second_master: {5: change(9, 5)}, first: {}}

    def arrive() -> None:
        if host.directory.deeds.count(f"own change {second_master}") > 2:
            host.masters.newest[first] = dict(host.masters.newest[second_master])

    host.masters.at_each_look = arrive
    restored(host, backup, RestoreOptions(reinitialize=True))
    assert host.directory.deeds.count(f"own change {second_master}") == 3


@pytest.mark.row("R15")
def test_masters_change_something_once_more_when_all_have_heard_of_each_other(
    second_master: str, third_master: str, host: OwnHost, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first change of one may have been forgotten by those that got it from another, when it came itself."""
    first, third = "ipa1.example.test", third_master
    monkeypatch.setattr(check, "_BETWEEN_LOOKS", 0.001)
    host.masters.agreements = {name: [] for name in (first, second_master, third)}
    for name, consumers in host.masters.agreements.items():
        consumers += [other for other in host.masters.agreements if other != name]
    host.masters.generations[first] = "6a000000"
    known = {4: change(9, 4), 5: change(9, 5)}
    host.masters.newest = {first: dict(known), second_master: {**known, 6: ""}, third: {**known, 6: ""}}
    changes: list[int] = []

    def hear() -> None:
        changes.append(host.directory.deeds.count(f"own change {third}"))
        if len(changes) == 20:
            host.masters.newest[first][6] = ""

    host.masters.at_each_look = hear
    restored(host, backup, RestoreOptions(reinitialize=True))
    assert changes.index(2) >= 20, "before, it would have been the change of a stranger"
    assert changes[-1] == 2


@pytest.mark.row("R15")
def test_a_master_that_another_one_is_sending_to_is_filled_when_it_is_free(
    second_master: str, host: OwnHost, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = "ipa1.example.test"
    host.masters.agreements = {first: [second_master], second_master: [first]}
    host.masters.busy = {second_master: 2}
    restored(host, backup, RestoreOptions(reinitialize=True))
    assert host.directory.deeds.count(f"refresh {second_master} from {first}") == 3
    assert host.masters.flows == [(second_master, {"window": [b"usual"]})], "put back once"
    monkeypatch.setattr(total_update, "BUSY_LIMIT", 0.0)
    host.masters.busy = {second_master: 1000}
    with pytest.raises(PeersUnreachable, match=f"{second_master} could not be re-initialised with .*replica busy"):
        restored(host, backup, RestoreOptions(reinitialize=True))


@pytest.mark.row("R8", "R15")
def test_a_master_that_comes_back_in_time_is_switched_off_before_it_is_filled(
    second_master: str, host: OwnHost, backup: Path
) -> None:
    first = "ipa1.example.test"
    host.masters.agreements = {first: [second_master], second_master: [first]}
    host.masters.down = {second_master}
    host.masters.at_first_refusal = host.masters.down.clear
    restored(host, backup, RestoreOptions(reinitialize=True))
    deeds = host.directory.deeds
    assert f"disable {second_master}" in deeds[: deeds.index(f"refresh {second_master} from {first}")]


@pytest.mark.row("R15")
def test_a_master_that_falls_silent_is_named_and_the_others_are_filled_all_the_same(
    second_master: str, third_master: str, host: OwnHost, backup: Path
) -> None:
    first, third = "ipa1.example.test", third_master
    host.masters.agreements = {first: [second_master, third], second_master: [first], third: [first]}
    host.masters.silent = {second_master}
    with pytest.raises(PeersUnreachable, match=f"{second_master} does not tell its agreements"):
        restored(host, backup, RestoreOptions(reinitialize=True))
    assert host.masters.generations[third] == "new"
    assert f"enable {third}" in host.directory.deeds


@pytest.mark.row("R15")
def test_a_master_that_dies_while_it_is_filled_is_not_waited_for(
    second_master: str, third_master: str, host: OwnHost, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, third = "ipa1.example.test", third_master
    host.masters.agreements = {first: [second_master, third], second_master: [first], third: [first]}
    host.masters.dying = {second_master}
    monkeypatch.setattr(reinitialize, "_BETWEEN_CALLS", 0.0)
    monkeypatch.setattr(reinitialize, "GONE_LIMIT", 0.3)
    with pytest.raises(PeersUnreachable, match=f"{second_master} does not answer any more") as caught:
        restored(host, backup, RestoreOptions(reinitialize=True))
    assert host.masters.generations[third] == "new"
    assert f"enable {second_master}" not in host.directory.deeds, "every question to it would take minutes"
    assert host.directory.deeds[-6:] == [
        f"enable {first} but to {second_master}",
        f"enable {third} but to {second_master}",
        f"own change {first}",
        f"own change {third}",
        f"enable {first}",
        f"enable {third}",
    ], "what waits for it would hold up the others"
    assert caught.value.remedy.endswith(f"ipa-restore --reinitialize-peers --peer {second_master}")


@pytest.mark.row("R15")
def test_agreements_with_masters_that_are_away_are_switched_on_when_the_others_have_been_looked_at(
    second_master: str, third_master: str, host: OwnHost, backup: Path
) -> None:
    first, third = "ipa1.example.test", third_master
    host.masters.agreements = {first: [second_master, third], second_master: [first], third: [first, second_master]}
    host.masters.down = {second_master}
    looks: list[int] = []
    host.masters.at_each_look = lambda: looks.append(len(host.directory.deeds))
    with pytest.raises(PeersUnreachable, match=second_master):
        restored(host, backup, RestoreOptions(reinitialize=True))
    deeds = host.directory.deeds
    assert deeds[-6:] == [
        f"enable {first} but to {second_master}",
        f"enable {third} but to {second_master}",
        f"own change {first}",
        f"own change {third}",
        f"enable {first}",
        f"enable {third}",
    ]
    assert looks[-1] == len(deeds) - 2


@pytest.mark.row("R15")
@pytest.mark.parametrize("cut_off", [False, True])
def test_a_master_that_is_behind_gets_its_time_although_another_is_away(
    second_master: str, third_master: str, host: OwnHost, backup: Path, monkeypatch: pytest.MonkeyPatch, cut_off: bool
) -> None:
    """Where that was cut off half filled, it gets more."""
    first, third = "ipa1.example.test", third_master
    masters = host.masters
    masters.agreements = {first: [second_master, third], second_master: [first], third: [first, second_master]}
    masters.generations[first] = "6a000000"
    masters.newest = {first: {4: change(9, 4)}, third: {4: change(8, 4)}}
    masters.idle = {first}
    looks: list[str] = []

    def arrive() -> None:
        looks.append("look")
        if len(looks) > 12:
            masters.newest[third] = masters.newest[first]

    masters.at_each_look = arrive
    (masters.dying if cut_off else masters.down).add(second_master)
    monkeypatch.setattr(check, "_BETWEEN_LOOKS", 0.001)
    monkeypatch.setattr(reinitialize, "_BETWEEN_CALLS", 0.0)
    monkeypatch.setattr(reinitialize, "GONE_LIMIT", 0.0)
    monkeypatch.setattr(reinitialize, "FIRST_LOOK", 0.0)
    monkeypatch.setattr(reinitialize, "SETTLE_LIMIT", 0.0 if cut_off else 30.0)
    with pytest.raises(PeersUnreachable) as caught:
        restored(host, backup, RestoreOptions(reinitialize=True))
    assert third not in caught.value.message
    assert len(looks) > 12


@pytest.fixture(params=["on", "off"])
def ordered(second_master: str, host: OwnHost, request: pytest.FixtureRequest) -> Path:
    """The configuration of a server with an order to fill the second master that was not carried out yet."""
    host.masters.agreements = {"ipa1.example.test": [second_master], second_master: ["ipa1.example.test"]}
    dse = host.path("/etc/dirsrv/slapd-EXAMPLE-TEST/dse.ldif")
    agreement = f"cn=meTo{second_master},cn=replica,cn=dc\\3Dexample\\2Cdc\\3Dtest,cn=mapping tree,cn=config"
    dse.write_text(
        f"{dse.read_text()}dn: {agreement}\nobjectClass: nsds5replicationagreement\n"
        f"nsDS5ReplicaRoot: dc=example,dc=test\nnsDS5ReplicaHost: {second_master}\nnsds5BeginReplicaRefresh: start\n"
        f"nsds5ReplicaEnabled: {request.param}\n\n"
    )
    return dse


@pytest.mark.row("R8", "R9")
@pytest.mark.parametrize("authoritative", [True, False])
@pytest.mark.parametrize("data", [True, False])
def test_a_restored_server_fills_nobody_unasked(
    ordered: Path, backup: Path, second_master: str, host: OwnHost, data: bool, authoritative: bool
) -> None:
    with suppress(Incomplete):  # of agreements that are off
        restored(host, backup, RestoreOptions(data=data, authoritative=authoritative, peer_check=False))
    assert f"nsDS5ReplicaHost: {second_master}" in ordered.read_text()
    assert "BeginReplicaRefresh" not in ordered.read_text()


@pytest.mark.row("R15")
def test_peers_cannot_be_filled_from_a_server_that_catches_up(host: OwnHost, backup: Path) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        planned(host, backup, RestoreOptions(reinitialize=True, authoritative=False))
