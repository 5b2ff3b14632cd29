"""Agreements are switched off: in a configuration file, and by LDAP."""

from __future__ import annotations

from typing import Any

import ldap
import pytest

from ipabackup.directory.agreements import (
    Agreement,
    Replica,
    Retention,
    agreements_in,
    duration,
    find,
    find_replicas,
    find_retention,
    status_code,
    switched_in,
    without_orders,
)
from ipabackup.directory.masters import LdapMaster
from ipabackup.directory.vectors import Vector

DSE = b"""\
dn: cn=config
objectClass: top
nsslapd-port: 389

dn: cn=meToipa2.example.test,cn=replica,cn=dc\\3Dexample\\2Cdc\\3Dtest,cn=mapping tree,
 cn=config
objectClass: top
objectClass: nsds5replicationagreement
nsds5ReplicaHost: ipa2.example.test
nsds5replicaenabled: on

dn: cn=caToipa2.example.test,cn=replica,cn=o\\3Dipaca,cn=mapping tree,cn=config
objectClass: nsDS5ReplicationAgreement
nsDS5ReplicaHost: ipa2.example.test

"""


class Connection:
    """A directory with two agreements."""

    def __init__(self) -> None:
        self.entries = {
            "cn=meToipa2": {"nsDS5ReplicaHost": [b"ipa2"], "nsDS5ReplicaRoot": [b"dc=x"]},
            "cn=caToipa2": {"nsds5replicahost": [b"ipa2"], "nsds5ReplicaEnabled": [b"off"]},
        }
        self.modified: list[tuple[str, Any]] = []
        self.steps: list[str] = []

    def search_s(self, *words: Any) -> list[tuple[str, dict[str, list[bytes]]]]:
        return list(self.entries.items())

    def modify(self, dn: str, changes: Any) -> int:
        self.modified.append((dn, changes))
        self.steps.append(f"ask {len(self.modified)}")
        return len(self.modified)

    def result(self, request: int) -> None:
        self.steps.append(f"wait for {request}")


@pytest.mark.row("R8")
def test_every_agreement_in_a_configuration_is_switched_off_and_nothing_else_changes() -> None:
    changed, names = switched_in(DSE, "off")
    assert [name[:12] for name in names] == ["cn=catoipa2.", "cn=metoipa2."]
    text = changed.decode()
    assert text.count("nsds5ReplicaEnabled: off") == 2
    assert "nsds5replicaenabled: on" not in text
    assert text.startswith("dn: cn=config\nobjectClass: top\nnsslapd-port: 389\n\n")
    assert switched_in(changed, "off") == (changed, ())
    again, switched = switched_in(changed, "on", names[1:])
    assert switched == names[1:]
    assert [one.enabled for one in agreements_in(again)] == [True, False]
    assert [(one.consumer, one.enabled) for one in agreements_in(DSE)] == [("ipa2.example.test", True)] * 2
    assert not any(one.enabled for one in agreements_in(changed))


@pytest.mark.row("R8")
def test_orders_to_fill_others_are_taken_out_of_a_configuration_and_nothing_else() -> None:
    order = b"nsds5beginreplicarefresh: start\n"
    ordered = DSE.replace(b"nsds5replicaenabled: on\n", b"nsds5replicaenabled: on\n" + order)
    assert agreements_in(without_orders(ordered)) == agreements_in(DSE)
    assert order not in without_orders(ordered)
    assert len(without_orders(ordered).replace(b"\n ", b"").split()) == len(DSE.replace(b"\n ", b"").split())
    assert without_orders(DSE) == DSE
    elsewhere = DSE.replace(b"nsslapd-port: 389", b"description: nsds5BeginReplicaRefresh")
    assert without_orders(elsewhere) == elsewhere


def test_a_configuration_without_agreements_stays_as_it_is() -> None:
    plain = b"dn: cn=config\nobjectClass: top\n\n"
    assert switched_in(plain, "off") == (plain, ())


@pytest.mark.row("R8")
def test_agreements_that_are_on_are_switched_off_by_ldap() -> None:
    connection = Connection()
    assert find(connection)[0] == Agreement("cn=meToipa2", "dc=x", "ipa2", True)
    assert [agreement.dn for agreement in LdapMaster("ipa1", connection).disable()] == ["cn=meToipa2"]
    assert connection.modified == [("cn=meToipa2", [(ldap.MOD_REPLACE, "nsds5ReplicaEnabled", [b"off"])])]


@pytest.mark.row("R8")
def test_agreements_are_switched_off_at_once_for_each_may_take_minutes() -> None:
    connection = Connection()
    connection.entries["cn=caToipa2"]["nsds5ReplicaEnabled"] = [b"on"]
    assert len(LdapMaster("ipa1", connection).disable()) == 2
    assert connection.steps == ["ask 1", "ask 2", "wait for 1", "wait for 2"]


class Realm(Connection):
    """A master with two replicas, each with an agreement, as 389 DS 3.1 shows them."""

    def __init__(self) -> None:
        super().__init__()
        domain = {
            "objectClass": [b"top", b"nsds5replica"],
            "nsDS5ReplicaRoot": [b"dc=example,dc=test"],
            "nsDS5ReplicaId": [b"4"],
            "nsds5ReplicaChangeCount": [b"73"],
            "nsds50ruv": [
                b"{replicageneration} 6b024697000000040000",
                b"{replica 4 ldap://ipa1.example.test:389} 6b024697000100040000 6b025264000300040000",
                b"{replica 5 ldap://ipa2.example.test:389}",
            ],
            "nsds5agmtmaxcsn": [
                b"dc=example,dc=test;meToipa2;ipa2.example.test;389;5;6b025200000300040000",
                b"dc=example,dc=test;meToipa3;ipa3.example.test;389;unavailable",
            ],
        }
        agreement = {
            "objectClass": [b"nsds5replicationagreement"],
            "nsds5ReplicaRoot": [b"dc=example, dc=test"],
            "nsds5ReplicaHost": [b"IPA2.example.test"],
            "nsds5replicaLastUpdateStatus": [b"Error (19) Replication error acquiring replica: different generation"],
            "nsds50ruv": [b"{replicageneration} of the consumer"],
        }
        other = {"objectClass": [b"nsds5replica"], "nsds5replicaroot": [b"o=ipaca"], "nsds5replicaid": [b"96"]}
        self.entries = {"cn=replica,1": domain, "cn=meToipa2": agreement, "cn=replica,2": other}


def test_a_replica_is_read_with_its_vector_and_the_agreements_of_its_suffix() -> None:
    domain, authority = find_replicas(Realm())
    assert (domain.suffix, domain.number, domain.changes) == ("dc=example,dc=test", 4, 73)
    assert domain.vector == Vector(
        "6b024697000000040000", {4: "6b025264000300040000", 5: ""}, {4: "6b024697000100040000", 5: ""}
    )
    assert [(one.consumer, one.enabled, one.failing) for one in domain.agreements] == [
        ("ipa2.example.test", True, True)
    ]
    assert authority == Replica("o=ipaca", 96, Vector(""))


def test_changes_that_agreements_leave_out_are_not_due_on_other_masters() -> None:
    domain, authority = find_replicas(Realm())
    assert domain.due() == "6b025200000300040000"
    assert authority.due() == ""
    assert Replica("o=ipaca", 5, Vector("", {5: "6b025264000300050000"})).due() == "6b025264000300050000"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("", 0),
        ("Error (0) Replica acquired successfully", 0),
        ("0 Replica acquired successfully", 0),
        ("Error (-1) Problem connecting to replica - LDAP error: Can't contact LDAP server", -1),
        ("Error (1) Can't acquire busy replica", 1),
        ("Error (19) Replication error", 19),
        ("-2 - System error", -2),
    ],
)
def test_the_number_of_a_status_is_read_in_its_old_and_new_notation(status: str, code: int) -> None:
    assert status_code(status) == code


class Changelogs:
    """Settings of changelogs as 389 DS 3.1 keeps them, or, before 1.4.4, of one for all backends."""

    def __init__(self, *, one_for_all: bool) -> None:
        limits = {"nsslapd-changelogmaxage": [b"7d"], "nsslapd-changelogmaxentries": [b"100"]}
        below = "cn=ldbm database,cn=plugins,cn=config"
        self.backends = [
            (f"cn=userRoot,{below}", {"nsslapd-suffix": [b"dc=example, dc=test"]}),
            (f"cn=ipaca,{below}", {"nsslapd-suffix": [b"o=ipaca"]}),
        ]
        self.common: list[tuple[str, dict[str, list[bytes]]]] = []
        if one_for_all:
            self.common.append(("cn=changelog5,cn=config", limits))
        else:
            self.backends.append((f"cn=changelog,cn=userRoot,{below}", limits))

    def search_s(self, base: str, *words: Any) -> list[tuple[str, dict[str, list[bytes]]]]:
        return self.common if base == "cn=config" else self.backends


@pytest.mark.row("R9")
def test_how_long_changes_are_kept_is_read_for_each_suffix() -> None:
    assert find_retention(Changelogs(one_for_all=False)) == {
        "dc=example,dc=test": Retention(7 * 86400, 100),
        "o=ipaca": Retention(),
    }
    week = Retention(7 * 86400, 100)
    assert find_retention(Changelogs(one_for_all=True)) == {"dc=example,dc=test": week, "o=ipaca": week}


@pytest.mark.parametrize(
    ("text", "seconds"), [("3600", 3600), ("90S", 90), ("10m", 600), ("2h", 7200), ("1w", 604800), ("", 0), ("ever", 0)]
)
def test_durations_have_the_directorys_units(text: str, seconds: int) -> None:
    assert duration(text) == seconds
