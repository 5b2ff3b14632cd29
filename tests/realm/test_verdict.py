"""What masters say is judged: one realm, or troubles with what mends them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ipabackup.directory.vectors import Vector
from ipabackup.realm.state import Content, RealmState
from ipabackup.realm.table import described, table
from ipabackup.realm.verdict import Trouble, judge
from tests.realm.realms import DOMAIN, agreement, change, replica, state, triangle


def only(realm: RealmState) -> Trouble:
    """The one trouble of a realm, which tells what mends it."""
    troubles = judge(realm)
    assert len(troubles) == 1, troubles
    assert troubles[0].remedy
    return troubles[0]


def kinds(realm: RealmState) -> list[str]:
    return [trouble.kind for trouble in judge(realm)]


@pytest.mark.row("R15")
def test_masters_with_the_same_vectors_and_agreements_that_work_are_one_realm() -> None:
    assert judge(triangle()) == []
    assert judge(state({"ipa1": replica("ipa1", [])})) == []


@pytest.mark.row("R15")
def test_masters_of_different_generations_are_no_realm_whatever_their_agreements_say() -> None:
    trouble = only(triangle(ipa3=replica("ipa3", ["ipa1", "ipa2"], generation="6a99", newest={})))
    assert trouble.kind == "generation"
    assert not trouble.passing
    assert "6a02 on ipa1 and ipa2; 6a99 on ipa3" in trouble.message
    assert "ipa-replica-manage re-initialize --from=" in trouble.remedy


@pytest.mark.row("R15")
def test_a_master_that_would_begin_again_with_another_generation_is_told_and_may_write_the_right_one() -> None:
    realm = triangle()
    for stored, told in (("6a02", []), (None, []), ("6a77", ["unsaved"])):
        spoilt = replace(realm.masters["ipa2"], contents={DOMAIN: Content(7, (), stored)})
        assert kinds(replace(realm, masters={**realm.masters, "ipa2": spoilt})) == told
    trouble = only(replace(realm, masters={**realm.masters, "ipa2": spoilt}))
    assert trouble.passing
    assert trouble.hosts == ("ipa2",)
    assert "ipa2 has the replication generation 6a02, and 6a77 in its database" in trouble.message
    assert "On ipa2 run: ipa-replica-manage re-initialize --from=HOST" in trouble.remedy


@pytest.mark.row("R15")
def test_what_a_master_has_changed_that_sends_nothing_yet_is_not_missed_elsewhere_but_what_it_lacks_itself_is() -> None:
    newest = {number: change(9, number) for number in (1, 2, 3)}
    mute = replica(
        "ipa3", ["ipa1", agreement("ipa2", updated="Error (49) no ticket")], newest={**newest, 3: change(20, 3)}
    )
    assert [trouble.kind for trouble in judge(triangle(ipa3=mute))] == ["failing", "behind", "behind"]
    assert judge(triangle(ipa3=mute), silent={"ipa3"}) == []
    late = replica("ipa3", ["ipa1", "ipa2"], newest={**newest, 1: change(5, 1)})
    assert [trouble.kind for trouble in judge(triangle(ipa3=late), silent={"ipa3"})] == ["behind"]
    split = replica("ipa3", ["ipa1", "ipa2"], generation="6a99")
    assert [trouble.kind for trouble in judge(triangle(ipa3=split), silent={"ipa3"})] == ["generation"]


def test_a_master_that_lacks_changes_is_behind_and_may_catch_up() -> None:
    newest = {1: change(5, 1), 2: change(9, 2), 3: change(9, 3)}
    trouble = only(triangle(ipa3=replica("ipa3", ["ipa1", "ipa2"], newest=newest)))
    assert trouble.kind == "behind"
    assert trouble.passing
    assert "ipa3 lacks changes of ipa1 (replica 1)" in trouble.message
    assert "(4 s older)" in trouble.message
    assert "On ipa3 run: ipa-replica-manage force-sync --from=ipa1" in trouble.remedy


def test_a_replica_that_nobody_is_any_more_counts_as_well() -> None:
    vectors = {name: {1: change(9, 1), 8: change(at, 8)} for name, at in (("ipa1", 3), ("ipa2", 3), ("ipa3", 2))}
    spoilt = {name: replica(name, [], newest=newest) for name, newest in vectors.items()}
    assert [trouble.hosts for trouble in judge(state(spoilt)) if trouble.kind == "behind"] == [("ipa3",)]


def test_changes_that_never_leave_a_master_put_nobody_behind() -> None:
    newest = {number: change(20 if number == 1 else 9, number) for number in (1, 2, 3)}
    ahead = replica("ipa1", ["ipa2", "ipa3"], newest=newest, sent=change(9, 1))
    assert judge(triangle(ipa1=ahead)) == []
    assert kinds(triangle(ipa1=replace(ahead, sent=change(10, 1)))) == ["behind", "behind"]


def test_what_a_master_wrote_before_it_was_re_initialised_is_not_expected_of_others() -> None:
    generation, fresh = change(100, 1), {1: change(120, 1), 2: ""}
    kept = replica("ipa2", ["ipa1"], generation=generation, newest={**fresh, 2: change(90, 2)})
    first = replica("ipa1", ["ipa2"], generation=generation, newest=fresh)
    assert judge(state({"ipa1": first, "ipa2": kept})) == []
    wrote = replica("ipa2", ["ipa1"], generation=generation, newest={**fresh, 2: change(101, 2)})
    assert kinds(state({"ipa1": first, "ipa2": wrote})) == ["behind"]


def test_a_master_that_has_not_heard_from_one_that_supplies_it_may_yet_hear() -> None:
    """389 DS shows no element of it by then; what of its changes others brought is forgotten when it comes itself."""
    heard = {1: change(9, 1), 2: change(9, 2)}
    generation = change(20, 1)
    supplies = replica("ipa3", ["ipa1", "ipa2"], generation=generation)
    spoilt = {
        "ipa1": replica("ipa1", ["ipa2", "ipa3"], generation=generation, newest=heard),
        "ipa2": replica("ipa2", ["ipa1", "ipa3"], generation=generation),
        "ipa3": supplies,
    }
    trouble = only(state(spoilt))
    assert (trouble.kind, trouble.hosts, trouble.passing) == ("unheard", ("ipa1", "ipa3"), True)
    assert trouble.message == f"{DOMAIN}: ipa1 has not heard from ipa3, which supplies it."
    assert trouble.remedy == "On ipa1 run: ipa-replica-manage force-sync --from=ipa3"
    assert judge(state(spoilt), silent={"ipa3"}) == []
    failing = agreement("ipa1", updated="Error (-1) Problem connecting to replica")
    for told, kind in ((failing, "failing"), (agreement("ipa1", enabled=False), "off")):
        ways = replace(supplies, agreements=(told, agreement("ipa2")))
        assert kinds(state({**spoilt, "ipa3": ways})) == [kind]
    indirect = replica("ipa3", ["ipa2"], generation=generation)
    assert judge(state({**spoilt, "ipa3": indirect})) == [], "others bring it"
    mute = replace(supplies, vector=Vector(generation, heard))
    assert judge(state({**spoilt, "ipa3": mute})) == [], "it has none yet"
    behind = {name: replace(one, vector=Vector("6a02", one.vector.newest)) for name, one in spoilt.items()}
    assert kinds(state(behind)) == ["behind"], "said once"


def test_an_agreement_that_is_off_does_not_mend_itself() -> None:
    off = triangle(ipa1=replica("ipa1", [agreement("ipa2", enabled=False), "ipa3"]))
    trouble = only(replace(off, instances={DOMAIN: "EXAMPLE-TEST"}))
    assert (trouble.kind, trouble.hosts, trouble.passing) == ("off", ("ipa1", "ipa2"), False)
    assert trouble.remedy == f"On ipa1 run: dsconf EXAMPLE-TEST repl-agmt enable --suffix={DOMAIN} meToipa2"


@pytest.mark.row("R15")
def test_agreements_with_masters_that_are_away_may_be_off() -> None:
    realm = triangle(ipa1=replica("ipa1", [agreement("ipa2", enabled=False), agreement("ipa3", enabled=False)]))
    assert [trouble.hosts for trouble in judge(realm, away={"ipa3"}) if trouble.kind == "off"] == [("ipa1", "ipa2")]


def test_a_master_of_another_generation_that_an_agreement_is_off_with_has_to_be_filled() -> None:
    spoilt = replica("ipa2", ["ipa1", "ipa3"], generation="6a03")
    troubles = judge(triangle(ipa1=replica("ipa1", [agreement("ipa2", enabled=False), "ipa3"]), ipa2=spoilt))
    (off,) = [trouble for trouble in troubles if trouble.kind == "off"]
    assert "On ipa2 run: ipa-replica-manage re-initialize --from=ipa1" in off.remedy


def test_an_agreement_that_fails_says_why_and_may_recover_but_a_busy_consumer_is_none() -> None:
    failing = agreement("ipa2", updated="Error (-1) Problem connecting to replica")
    trouble = only(triangle(ipa1=replica("ipa1", [failing, "ipa3"])))
    assert (trouble.kind, trouble.passing) == ("failing", True)
    assert "Problem connecting to replica" in trouble.message
    busy = agreement("ipa2", updated="Error (1) Can't acquire busy replica")
    assert judge(triangle(ipa1=replica("ipa1", [busy, "ipa3"]))) == []


def test_a_difference_of_generations_that_is_no_more_is_not_held_against_an_agreement() -> None:
    stale = agreement("ipa2", updated="Error (19) Replica has different database generation ID")
    assert judge(triangle(ipa1=replica("ipa1", [stale, "ipa3"]))) == []
    spoilt = triangle(ipa1=replica("ipa1", [stale, "ipa3"]), ipa2=replica("ipa2", ["ipa1", "ipa3"], generation="6a99"))
    assert "failing" in kinds(spoilt)


def test_a_master_that_no_agreement_leads_to_is_cut_off() -> None:
    line = {"ipa1": replica("ipa1", ["ipa2"]), "ipa2": replica("ipa2", ["ipa1", "ipa3"])}
    assert judge(state({**line, "ipa3": replica("ipa3", ["ipa2"])})) == []
    troubles = judge(state({**line, "ipa3": replica("ipa3", [])}))
    assert [(trouble.kind, trouble.hosts) for trouble in troubles] == [
        ("cut-off", ("ipa3", "ipa1")),
        ("cut-off", ("ipa3", "ipa2")),
    ]
    assert troubles[0].remedy == "On ipa3 run: ipa-replica-manage connect ipa1"


def test_an_agreement_with_a_stranger_is_named() -> None:
    trouble = only(triangle(ipa1=replica("ipa1", ["ipa2", "ipa3", "ipa9"])))
    assert trouble.kind == "stranger"
    assert "ipa-replica-manage del ipa9" in trouble.remedy


def test_a_master_out_of_reach_is_the_only_trouble_it_makes() -> None:
    failing = agreement("ipa3", updated="Error (-1) Problem connecting to replica")
    trouble = only(
        state({"ipa1": replica("ipa1", [failing]), "ipa2": replica("ipa2", [failing])}, unreachable=["ipa3"])
    )
    assert (trouble.kind, trouble.hosts) == ("unreachable", ("ipa3",))


def test_different_numbers_of_entries_are_told_and_unknown_ones_are_not_compared() -> None:
    replicas = {name: one.replicas[DOMAIN] for name, one in triangle().masters.items()}
    trouble = only(state(replicas, entries={"ipa2": 8}))
    assert (trouble.kind, trouble.passing) == ("entries", True)
    assert "7 on ipa1, 8 on ipa2, 7 on ipa3" in trouble.message
    realm = triangle()
    blind = replace(realm.masters["ipa2"], contents={DOMAIN: Content(None)})
    assert judge(replace(realm, masters={**realm.masters, "ipa2": blind})) == []


def test_conflict_entries_are_named_with_the_masters_that_hold_them() -> None:
    realm = triangle()
    dn = f"cn=x+nsuniqueid=1-2-3-4,{DOMAIN}"
    spoilt = {
        name: replace(one, contents={DOMAIN: Content(7, (dn,) if name != "ipa3" else ())})
        for name, one in realm.masters.items()
    }
    trouble = only(replace(realm, masters=spoilt))
    assert (trouble.kind, trouble.passing) == ("conflict", False)
    assert f"{dn} (on ipa1 and ipa2)" in trouble.message


def test_two_masters_with_one_replica_number_are_told() -> None:
    twin = replace(replica("ipa3", ["ipa1", "ipa2"]), number=2)
    assert "number" in kinds(triangle(ipa3=twin))


def test_the_authoritys_suffix_is_mended_by_its_own_command() -> None:
    realm = triangle(ipa3=replica("ipa3", ["ipa1", "ipa2"], generation="6a99"))
    masters = {
        name: replace(one, replicas={"o=ipaca": replace(one.replicas[DOMAIN], suffix="o=ipaca")}, contents={})
        for name, one in realm.masters.items()
    }
    assert "ipa-csreplica-manage re-initialize" in only(replace(realm, masters=masters)).remedy


def test_the_table_has_a_row_a_master_and_suffix_with_how_far_behind_it_is() -> None:
    newest = {1: change(5, 1), 2: change(9, 2)}
    spoilt = replica("ipa3", [agreement("ipa1", enabled=False), "ipa2"], newest=newest)
    realm = replace(triangle(ipa3=spoilt), unreachable={"ipa4": "ipa4 cannot be reached."})
    lines = [" ".join(line.split()) for line in table(realm)]
    assert lines == [
        "MASTER SUFFIX GENERATION REPLICA ENTRIES LEVEL AGREEMENTS CONFLICTS",
        f"ipa1 {DOMAIN} 6a02 1 7 current 2 on 0",
        f"ipa2 {DOMAIN} 6a02 2 7 current 2 on 0",
        f"ipa3 {DOMAIN} 6a02 3 7 behind 1 by 4 s 1 on, 1 off 0",
        "ipa4 not reached",
    ]


def test_masters_of_another_generation_are_not_called_behind() -> None:
    lines = table(triangle(ipa3=replica("ipa3", [], generation="6a99", newest={})))
    assert [line.split()[5] for line in lines[1:]] == ["current", "current", "current"]


def test_as_data_every_vector_and_agreement_is_whole() -> None:
    realm = triangle()
    known = replace(realm.masters["ipa1"], contents={DOMAIN: Content(7, (), "6a01")})
    masters = {**realm.masters, "ipa1": known}
    first, *_, last = described(replace(realm, masters=masters, unreachable={"ipa4": "no route"}))
    assert first["host"] == "ipa1"
    assert (first["suffixes"][0]["generation"], first["suffixes"][0]["stored_generation"]) == ("6a02", "6a01")
    assert first["suffixes"][0]["newest"] == {"1": change(9, 1), "2": change(9, 2), "3": change(9, 3)}
    assert [one["consumer"] for one in first["suffixes"][0]["agreements"]] == ["ipa2", "ipa3"]
    assert last == {"host": "ipa4", "reached": False, "reason": "no route"}
