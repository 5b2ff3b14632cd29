"""The authority before records that are not its own, and the API in a realm without an authority."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import pytest

pytest.importorskip("cryptography", reason="needs cryptography")

from cryptography import x509

from lab.node.api.caller import Caller
from lab.node.api.certificates import cert_find, cert_request, cert_revoke, cert_show
from lab.node.api.errors import NotFound
from lab.node.api.output import CERTIFICATE, result_lines
from lab.node.ca.adopt import adopt, foreign
from lab.node.ca.agents import AGENT, NotAnAgent, agent_of
from lab.node.ca.authority import Authority, der, name_of, new_key, new_request, utc_now
from lab.node.ca.layout import AGENTS, DATABASE_USER
from lab.node.ca.profiles import profile_named
from lab.node.ca.records import NoSuchCertificate, RecordsRefused, Repository
from lab.node.ca.service import Operations, answer
from lab.node.external_ca import new_authority
from lab.node.facts import RealmFacts
from lab.node.ldapi import Directory, Entry, encoded

FACTS = RealmFacts("EXAMPLE.TEST", "example.test", "ipa1.example.test")

ADMIN = f"uid=admin,cn=users,cn=accounts,{FACTS.basedn}"


class Tree:
    """A directory in a dictionary."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, list[bytes]]] = {}

    @contextmanager
    def connect(self) -> Iterator[Any]:
        yield self

    def get(self, dn: str, attributes: Any = None) -> dict[str, list[bytes]] | None:
        return self.entries.get(dn)

    def exists(self, dn: str) -> bool:
        return dn in self.entries

    @property
    def ldap(self) -> Tree:
        return self

    def whoami_s(self) -> str:
        return f"dn: {ADMIN}"

    def add_if_missing(self, dn: str, attributes: Mapping[str, Any]) -> bool:
        if dn in self.entries:
            return False
        rdn = dn.split(",", maxsplit=1)[0].split("=")
        self.entries[dn] = {rdn[0]: [rdn[1].encode()], **{n: encoded(v) for n, v in attributes.items()}}
        return True

    def replace(self, dn: str, attributes: Mapping[str, Any]) -> None:
        self.entries.setdefault(dn, {}).update({name: encoded(values) for name, values in attributes.items()})

    def search(self, base: str, filter: str, attributes: Any = None, *, scope: int = 0) -> list[Entry]:
        below = [(dn, entry) for dn, entry in self.entries.items() if dn.endswith("," + base)]
        if "(cn=CA)" in filter:
            return [(dn, entry) for dn, entry in below if dn.startswith("cn=CA,")]
        if "(userCertificate=*)" in filter:
            name = attributes[0]
            return [(dn, {name: entry[name]}) for dn, entry in below if name in entry]
        if "(description=" in filter:
            return [(dn, e) for dn, e in below if e.get("description", [b"?"])[0].decode() in filter]
        return below


@pytest.fixture(scope="module")
def authorities() -> tuple[Authority, Authority]:
    """Two installations of one realm: same name, same first number, other keys."""
    first, second = (Authority.create("EXAMPLE.TEST", "example.test", utc_now(), bits=2048) for _ in range(2))
    return first, second


def agents_certificate(authority: Authority, serial: int) -> x509.Certificate:
    request = new_request(new_key(), name_of("IPA RA", "EXAMPLE.TEST"))
    return authority.issue(request, serial, profile_named("caSubsystemCert"), utc_now())


@pytest.mark.row("T13")
def test_records_of_another_key_are_noticed_and_their_own_are_not(authorities: tuple[Authority, Authority]) -> None:
    before, now = authorities
    repository = Repository(Tree().connect)
    with pytest.raises(NoSuchCertificate):
        foreign(repository, now.certificate)
    repository.add(lambda _serial: before.certificate, "caCACert", "admin", utc_now())
    assert foreign(repository, before.certificate) == ""
    assert "another key" in foreign(repository, now.certificate)


@pytest.mark.row("T13")
def test_adopted_records_know_the_agent_of_this_host(authorities: tuple[Authority, Authority]) -> None:
    before, now = authorities
    tree = Tree()
    tree.entries[AGENTS] = {"uniqueMember": [AGENT.encode()]}
    old, new = agents_certificate(before, 4), agents_certificate(now, 4)
    tree.add_if_missing(AGENT, {"uid": "ipara"})
    adopt(cast(Directory, tree), "old password", old)
    assert agent_of(der(old), tree.connect) == "ipara"
    with pytest.raises(NotAnAgent):
        agent_of(der(new), tree.connect)
    adopt(cast(Directory, tree), "new password", new)
    assert agent_of(der(new), tree.connect) == "ipara"
    assert tree.entries[DATABASE_USER]["userPassword"] == [b"new password"]
    with pytest.raises(NotAnAgent):
        agent_of(der(old), tree.connect)


@pytest.mark.row("T13")
def test_a_refused_account_is_told_to_whoever_asks(authorities: tuple[Authority, Authority]) -> None:
    def refusing() -> Any:
        raise RecordsRefused("the directory does not accept uid=pkidbuser")

    operations = Operations(authorities[0], Repository(refusing), lambda _: "ipara")
    status, _, content = answer(operations, "POST", "/ca/rest/certs/search", b"{}", None)
    assert status == 503
    assert json.loads(content) == {"Message": "the directory does not accept uid=pkidbuser"}
    # What needs no records is served all the same.
    status, _, content = answer(operations, "GET", "/ca/ee/ca/getCertChain", b"", None)
    assert status == 200
    assert content.startswith(b"-----BEGIN CERTIFICATE-----")


@pytest.fixture
def caller() -> Caller:
    """A caller in a realm without an authority, where two services keep certificates of an outside one."""
    tree = Tree()
    root = new_authority()
    for service in ("ldap", "HTTP"):
        certificate, _ = root.issue(FACTS.host)
        tree.entries[f"krbprincipalname={service}/x,cn=services,cn=accounts,{FACTS.basedn}"] = {
            "userCertificate;binary": [der(certificate)]
        }
    tree.entries[ADMIN] = {"memberOf": [f"cn=admins,cn=groups,cn=accounts,{FACTS.basedn}".encode()]}
    return Caller("admin@EXAMPLE.TEST", FACTS, cast(Directory, tree))


@pytest.mark.row("L2")
def test_without_an_authority_the_entries_certificates_are_found(caller: Caller) -> None:
    lines = result_lines(cert_find(caller, [], {}), CERTIFICATE)
    assert lines[:3] == ["-" * 22, "2 certificates matched", "-" * 22]
    labels = [line.split(":")[0].strip() for line in lines[3:10]]
    assert labels == [
        "Subject",
        "Subject DNS name",
        "Issuer",
        "Not Before",
        "Not After",
        "Serial number",
        "Serial number (hex)",
    ]
    assert "  Subject: CN=ipa1.example.test,O=Example Test" in lines
    assert "  Issuer: CN=Reference Root CA,O=Example Test" in lines
    assert cert_find(caller, [], {"subject": "IPA1"})["count"] == 2
    assert cert_find(caller, [], {"subject": "ipa2"})["count"] == 0


@pytest.mark.row("L2")
@pytest.mark.parametrize("command", [cert_show, cert_revoke, cert_request])
def test_without_an_authority_nothing_else_is_possible(caller: Caller, command: Any) -> None:
    csr = new_request(new_key(), name_of("admin", "EXAMPLE.TEST")).public_bytes(_pem()).decode()
    argument = csr if command is cert_request else "5"
    with pytest.raises(NotFound, match=r"^CA is not configured$"):
        command(caller, [argument], {"principal": "admin"})


def _pem() -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.PEM
