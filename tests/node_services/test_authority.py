"""The certificate authority: what it signs, records and refuses, through its HTTP interface's own routing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

pytest.importorskip("cryptography", reason="needs cryptography")

import ldap
from cryptography import x509
from cryptography.x509.oid import NameOID

from lab.node.ca.agents import NotAnAgent, agent_of, description_of
from lab.node.ca.authority import (
    Authority,
    BadRequest,
    der,
    dns_names,
    name_of,
    new_key,
    new_request,
    pem,
    read_request,
    utc_now,
)
from lab.node.ca.layout import AGENTS, PEOPLE, BadConfiguration, read_settings, settings_text
from lab.node.ca.profiles import profile_named
from lab.node.ca.records import Repository, from_generalized, generalized, serial_value
from lab.node.ca.service import Operations, answer
from lab.node.ldapi import Entry, encoded


class Tree:
    """A directory in a dictionary; the part of Directory that the authority uses."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, list[bytes]]] = {}

    @contextmanager
    def connect(self) -> Iterator[Any]:
        yield self

    def get(self, dn: str, attributes: Any = None) -> dict[str, list[bytes]] | None:
        return self.entries.get(dn)

    def add_if_missing(self, dn: str, attributes: Mapping[str, Any]) -> bool:
        if dn in self.entries:
            return False
        rdn = dn.split(",", maxsplit=1)[0].split("=")
        self.entries[dn] = {rdn[0]: [rdn[1].encode()], **{n: encoded(v) for n, v in attributes.items()}}
        return True

    def replace(self, dn: str, attributes: Mapping[str, Any]) -> None:
        for name, values in attributes.items():
            if encoded(values):
                self.entries[dn][name] = encoded(values)
            else:
                self.entries[dn].pop(name, None)

    def search(self, base: str, filter: str, attributes: Any = None, *, scope: int = 0) -> list[Entry]:
        found = [(dn, entry) for dn, entry in self.entries.items() if dn.endswith("," + base)]
        if "certStatus=REVOKED" in filter:
            found = [(dn, entry) for dn, entry in found if entry.get("certStatus") == [b"REVOKED"]]
        if "(description=" in filter:
            found = [(dn, e) for dn, e in found if e["description"][0].decode() in filter]
        return found


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("EXAMPLE.TEST", "example.test", utc_now(), bits=2048)


@pytest.fixture
def tree() -> Tree:
    return Tree()


@pytest.fixture
def operations(authority: Authority, tree: Tree) -> Operations:
    repository = Repository(tree.connect)
    repository.add(lambda _serial: authority.certificate, "caCACert", "admin", utc_now())

    def agent(shown: bytes | None) -> str:
        if shown != b"agent":
            raise NotAnAgent("a client certificate is needed")
        return "ipara"

    return Operations(authority, repository, agent)


def csr(name: str = "www.example.test") -> str:
    return new_request(new_key(), name_of(name, "SOMEWHERE ELSE")).public_bytes(pem_encoding()).decode()


def pem_encoding() -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.PEM


def asked(operations: Operations, method: str, path: str, body: Any = None, shown: bytes | None = None) -> Any:
    status, _, content = answer(operations, method, path, json.dumps(body or {}).encode(), shown)
    return int(status), json.loads(content)


@pytest.mark.row("L2")
def test_an_agent_gets_a_certificate_that_the_authority_signed_and_recorded(
    operations: Operations, authority: Authority
) -> None:
    status, record = asked(operations, "POST", "/ca/rest/agent/certrequests", {"csr": csr()}, b"agent")
    assert status == 200
    certificate = x509.load_pem_x509_certificate(record["pem"].encode())
    certificate.verify_directly_issued_by(authority.certificate)
    assert certificate.subject.rfc4514_string() == "CN=www.example.test,O=EXAMPLE.TEST"
    assert dns_names(certificate.extensions) == ["www.example.test"]
    assert certificate.serial_number == record["id"] == 2
    assert asked(operations, "GET", "/ca/rest/certs/2") == (200, record)


@pytest.mark.parametrize(
    "path", ["/ca/rest/agent/certrequests", "/ca/rest/agent/certs/1/revoke", "/ca/rest/agent/certs/1/unrevoke"]
)
@pytest.mark.parametrize("shown", [None, b"somebody else"])
def test_nobody_else_may(operations: Operations, tree: Tree, path: str, shown: bytes | None) -> None:
    before = dict(tree.entries)
    status, said = asked(operations, "POST", path, {"csr": csr()}, shown)
    assert (status, said["Message"]) == (403, "a client certificate is needed")
    assert tree.entries == before


def test_a_revoked_certificate_is_on_the_list_and_stays_revoked(operations: Operations, authority: Authority) -> None:
    asked(operations, "POST", "/ca/rest/agent/certrequests", {"csr": csr()}, b"agent")
    status, record = asked(operations, "POST", "/ca/rest/agent/certs/2/revoke", {"reason": 1}, b"agent")
    assert (status, record["status"], record["revocationReason"]) == (200, "REVOKED", 1)
    listed = x509.load_der_x509_crl(answer(operations, "GET", "/ca/ee/ca/getCRL", b"", None)[2])
    assert listed.is_signature_valid(authority.certificate.public_key())  # type: ignore[arg-type]
    assert [entry.serial_number for entry in listed] == [2]
    assert asked(operations, "POST", "/ca/rest/agent/certs/2/revoke", {}, b"agent")[0] == 409
    assert asked(operations, "POST", "/ca/rest/agent/certs/2/unrevoke", {}, b"agent")[0] == 409


def test_a_hold_can_be_lifted(operations: Operations) -> None:
    asked(operations, "POST", "/ca/rest/agent/certrequests", {"csr": csr()}, b"agent")
    asked(operations, "POST", "/ca/rest/agent/certs/2/revoke", {"reason": 6}, b"agent")
    status, record = asked(operations, "POST", "/ca/rest/agent/certs/2/unrevoke", {}, b"agent")
    assert (status, record["status"], record["revokedOn"]) == (200, "VALID", None)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/ca/rest/certs/99", None, 404),
        ("GET", "/ca/nothing", None, 404),
        ("POST", "/ca/rest/agent/certrequests", {"csr": "rubbish"}, 400),
        ("POST", "/ca/rest/agent/certrequests", {"profile": "nosuch"}, 404),
        ("POST", "/ca/rest/agent/certs/1/revoke", {"reason": "x"}, 400),
    ],
)
def test_what_cannot_be_done_has_its_status_and_a_message(
    operations: Operations, method: str, path: str, body: Any, status: int
) -> None:
    found, said = asked(operations, method, path, body, b"agent")
    assert found == status
    assert said["Message"]


def test_without_the_directory_the_authority_does_not_claim_to_run(authority: Authority) -> None:
    def down() -> Any:
        raise ldap.SERVER_DOWN({"desc": "Can't contact LDAP server"})

    operations = Operations(authority, Repository(down), lambda _shown: "ipara")
    status, said = asked(operations, "GET", "/ca/admin/ca/getStatus")
    assert status == 503
    assert "the directory does not answer" in said["Message"]


def test_a_number_that_somebody_else_has_taken_is_skipped(authority: Authority, tree: Tree) -> None:
    repository = Repository(tree.connect)
    request = read_request(csr())
    profile = profile_named("caIPAserviceCert")
    made: list[int] = []

    def make(serial: int) -> x509.Certificate:
        made.append(serial)
        if serial == 1:
            tree.entries["cn=1,ou=certificateRepository,ou=ca,o=ipaca"] = {"cn": [b"1"]}
        return authority.issue(request, serial, profile, utc_now())

    assert repository.add(make, profile.name, "ipara", utc_now()).serial == 2
    assert made == [1, 2]


def test_an_agent_is_who_shows_the_very_certificate_that_its_entry_holds(authority: Authority) -> None:
    tree = Tree()
    profile = profile_named("caSubsystemCert")
    key = new_key()
    request = new_request(key, name_of("IPA RA", "EXAMPLE.TEST"))
    true = authority.issue(request, 4, profile, utc_now())
    # Same number, issuer and subject: the description alone would let it pass.
    false = authority.issue(new_request(new_key(), name_of("IPA RA", "EXAMPLE.TEST")), 4, profile, utc_now())
    tree.entries[f"uid=ipara,{PEOPLE}"] = {
        "uid": [b"ipara"],
        "description": [description_of(true).encode()],
        "userCertificate;binary": [der(true)],
    }
    with pytest.raises(NotAnAgent):
        agent_of(der(true), tree.connect)
    tree.entries[AGENTS] = {"uniqueMember": [f"uid=ipara,{PEOPLE}".encode()]}
    assert agent_of(der(true), tree.connect) == "ipara"
    for shown in (None, der(false)):
        with pytest.raises(NotAnAgent):
            agent_of(shown, tree.connect)


def test_short_keys_and_nameless_subjects_are_refused(authority: Authority) -> None:
    profile = profile_named("caIPAserviceCert")
    with pytest.raises(BadRequest, match="Key size"):
        authority.issue(new_request(new_key(1024), name_of("a.test", "X")), 9, profile, utc_now())
    nameless = new_request(new_key(), x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "X")]))
    with pytest.raises(BadRequest, match="Common Name"):
        authority.issue(nameless, 9, profile, utc_now())


def test_a_key_that_is_not_the_certificates_is_noticed(authority: Authority, tmp_path: Any) -> None:
    other = Authority.create("OTHER.TEST", "other.test", utc_now(), bits=2048)
    (tmp_path / "crt").write_bytes(pem(authority.certificate))
    (tmp_path / "key").write_bytes(other.key_pem("secret"))
    with pytest.raises(ValueError, match="is not the key of"):
        Authority.load(tmp_path / "crt", tmp_path / "key", "secret", "EXAMPLE.TEST", "example.test")
    with pytest.raises(ValueError, match=r"(?i)password|decrypt"):
        Authority.load(tmp_path / "crt", tmp_path / "key", "wrong", "EXAMPLE.TEST", "example.test")


def test_serials_sort_as_text_and_times_survive_the_directory() -> None:
    values = [serial_value(n) for n in (1, 9, 10, 99, 100, 12345)]
    assert values == sorted(values)
    now = utc_now()
    assert from_generalized(generalized(now)) == now
    assert from_generalized(generalized(now + timedelta(days=400))) - now == timedelta(days=400)


def test_settings_survive_writing_and_reading(tmp_path: Any) -> None:
    settings = {"internal": "a=b", "ca.signing.cert": "/etc/pki/x"}
    (tmp_path / "CS.cfg").write_text("# comment\n" + settings_text(settings))
    assert read_settings(tmp_path / "CS.cfg") == settings
    with pytest.raises(BadConfiguration, match="cannot read"):
        read_settings(tmp_path / "nosuch")
