"""Services of a master, in the order of the directory."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.node.facts import RealmFacts
from lab.node.ldapi import Directory, Entry, encoded, escape_filter
from lab.node.masters import BY_ENTRY, BY_NAME, SERVICES, enabled_services

FACTS = RealmFacts("EXAMPLE.TEST", "example.test", "ipa1.example.test")


class Listing:
    """A directory that finds what it was given."""

    def __init__(self, settings: dict[str, list[str]]) -> None:
        self.settings = settings

    def search(self, base: str, filter: str, attributes: list[str]) -> list[Entry]:
        assert base == FACTS.master_dn
        assert filter == "(ipaConfigString=enabledService)"
        return [
            (f"cn={name},{base}", {"cn": [name.encode()], "ipaConfigString": encoded(values)})
            for name, values in self.settings.items()
            if "enabledService" in values
        ]


def listed(settings: dict[str, list[str]]) -> list[str]:
    return [service.entry for service in enabled_services(cast(Directory, Listing(settings)), FACTS)]


def test_the_directorys_start_order_decides() -> None:
    assert listed(
        {
            "HTTP": ["enabledService", "startOrder 5"],
            "KDC": ["startOrder 10", "kdcProxyEnabled", "enabledService"],
            "CA": ["enabledService"],
        }
    ) == ["HTTP", "KDC", "CA"]


def test_services_that_are_hidden_or_unknown_are_not_started() -> None:
    assert listed({"KDC": ["configuredService", "startOrder 10"], "OTPD": ["enabledService", "startOrder 80"]}) == []


@pytest.mark.row("L6")
def test_the_authority_of_dogtag_9_has_a_unit_of_its_own() -> None:
    listing = cast(Directory, Listing({"CA": ["enabledService"]}))
    (today,) = enabled_services(listing, FACTS)
    (upgraded,) = enabled_services(listing, replace(FACTS, dogtag_version=9))
    assert (today.unit, upgraded.unit) == ("pki-tomcatd@pki-tomcat.service", "pki-cad@pki-ca.service")
    assert BY_NAME[upgraded.name] == upgraded, "ipactl stops it by its name when the directory is down"


@given(st.sets(st.sampled_from(sorted(BY_ENTRY))))
def test_every_choice_of_services_starts_in_freeipas_order(chosen: set[str]) -> None:
    expected = [service.entry for service in SERVICES if service.entry in chosen]
    assert listed({name: ["enabledService"] for name in sorted(chosen)}) == expected


@pytest.mark.parametrize(("value", "safe"), [("a*b", r"a\2ab"), ("(x)", r"\28x\29"), ("admin", "admin")])
def test_values_cannot_change_a_filter(value: str, safe: str) -> None:
    assert escape_filter(value) == safe
