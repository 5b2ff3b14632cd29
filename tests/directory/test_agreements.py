"""Agreements are switched off: in a configuration file, and by LDAP."""

from __future__ import annotations

from typing import Any

import ldap
import pytest

from ipabackup.directory.agreements import Agreement, disable, disabled_in, find

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
    assert [agreement.dn for agreement in disable(connection)] == ["cn=meToipa2"]
    assert connection.modified == [("cn=meToipa2", [(ldap.MOD_REPLACE, "nsds5ReplicaEnabled", [b"off"])])]
