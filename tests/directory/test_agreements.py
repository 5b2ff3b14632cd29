"""Agreements are switched off: in a configuration file, and by LDAP."""

from __future__ import annotations

from typing import Any

import ldap
import pytest

from ipabackup.directory.agreements import Agreement, LdapMaster, PeerFailure, disabled_in, find

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

    def search_s(self, *words: Any) -> list[tuple[str, dict[str, list[bytes]]]]:
        return list(self.entries.items())

    def modify_s(self, dn: str, changes: Any) -> None:
        self.modified.append((dn, changes))


@pytest.mark.row("R8")
def test_every_agreement_in_a_configuration_is_switched_off_and_nothing_else_changes() -> None:
    changed, count = disabled_in(DSE)
    assert count == 2
    text = changed.decode()
    assert text.count("nsds5ReplicaEnabled: off") == 2
    assert "nsds5replicaenabled: on" not in text
    assert text.startswith("dn: cn=config\nobjectClass: top\nnsslapd-port: 389\n\n")
    assert disabled_in(changed) == (changed, 2)


def test_a_configuration_without_agreements_stays_as_it_is() -> None:
    plain = b"dn: cn=config\nobjectClass: top\n\n"
    assert disabled_in(plain) == (plain, 0)


@pytest.mark.row("R8")
def test_agreements_that_are_on_are_switched_off_by_ldap() -> None:
    connection = Connection()
    assert find(connection)[0] == Agreement("cn=meToipa2", "dc=x", "ipa2", True)
    assert [agreement.dn for agreement in LdapMaster("ipa1", connection).disable()] == ["cn=meToipa2"]
    assert connection.modified == [("cn=meToipa2", [(ldap.MOD_REPLACE, "nsds5ReplicaEnabled", [b"off"])])]


class Refreshing(Connection):
    """An agreement whose total update ends at the third question, with this status."""

    def __init__(self, status: bytes) -> None:
        super().__init__()
        self.status = status
        self.asked = 0

    def search_s(self, *words: Any, **more: Any) -> list[tuple[str, dict[str, list[bytes]]]]:
        wanted = more.get("attrlist", [])
        if "nsds5BeginReplicaRefresh" not in wanted:
            return [("cn=meToipa2", {"nsds5replicaflowcontrolwindow": [b"500"]})]
        self.asked += 1
        going_on = {"nsds5BeginReplicaRefresh": [b"start"]} if self.asked < 3 else {}
        return [("cn=meToipa2", {"nsds5replicalastinitstatus": [self.status], **going_on})]


AGREEMENT = Agreement("cn=meToipa2", "dc=x", "ipa2", False)


@pytest.mark.row("R15")
@pytest.mark.parametrize("status", [b"Error (0) Total update succeeded", b"Error (-1) Problem connecting"])
def test_a_total_update_is_waited_for_and_flow_control_put_back_whatever_happens(status: bytes) -> None:
    connection = Refreshing(status)
    if status.startswith(b"Error (0)"):
        LdapMaster("ipa1", connection).refresh(AGREEMENT)
    else:
        with pytest.raises(PeerFailure, match="Problem connecting"):
            LdapMaster("ipa1", connection).refresh(AGREEMENT)
    assert connection.asked == 3
    changes = {name: value for _, step in connection.modified for _, name, value in step}
    assert changes["nsds5ReplicaFlowControlWindow"] == [b"500"]
    assert changes["nsds5ReplicaFlowControlPause"] == [b"2000"], "the default: it had none before"
    assert changes["nsds5ReplicaEnabled"] == [b"on"]
