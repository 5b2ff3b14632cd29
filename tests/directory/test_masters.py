"""What a master is asked and told by LDAP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import ldap
import pytest

from ipabackup.directory import masters
from ipabackup.directory.agreements import Agreement, Door
from ipabackup.directory.masters import LdapMaster, LdapMasters, PeerFailure


def test_a_master_that_does_not_answer_in_time_is_said_not_to() -> None:
    class Silent:
        def search_s(self, *words: Any, **more: Any) -> list[tuple[str, dict[str, list[bytes]]]]:
            raise ldap.TIMEOUT

    with pytest.raises(PeerFailure, match="ipa1 does not tell its agreements: no answer in time"):
        LdapMaster("ipa1", Silent()).agreements()


class Living:
    """A master with the replica 5 of dc=x, and in its database a note that it is alive, unless `refusal` is raised."""

    def __init__(self, refusal: type[ldap.LDAPError] | None = None) -> None:
        self.refusal = refusal
        self.written: list[str] = []

    def search_s(self, *words: Any, **more: Any) -> list[tuple[str, dict[str, list[bytes]]]]:
        replica = {"objectClass": [b"nsds5replica"], "nsds5replicaroot": [b"dc=x"], "nsds5replicaid": [b"5"]}
        return [("cn=replica,cn=dc\\3Dx,cn=mapping tree,cn=config", replica)]

    def modify_s(self, dn: str, changes: Any) -> None:
        if self.refusal:
            raise self.refusal
        self.written.append(dn)


class Stored:
    """A master whose database has these vectors, or one that is just being filled."""

    def __init__(self, *vectors: bytes, refers: bool = False) -> None:
        self.vectors = list(vectors)
        self.refers = refers

    def search_s(self, base: str, scope: int, text: str, names: list[str]) -> list[tuple[str | None, Any]]:
        assert base == "dc=x"
        assert "ffffffff-ffffffff-ffffffff-ffffffff" in text
        if self.refers:
            raise ldap.REFERRAL
        found = [("nsuniqueid=ffffffff,dc=x", {"nsDS50ruv": self.vectors})] if self.vectors else []
        return [*found, (None, ["ldap://elsewhere"])]


@pytest.mark.row("R15")
def test_a_master_tells_the_generation_in_its_database_to_who_may_see_it() -> None:
    element = b"{replica 4 ldap://ipa1:389} 6a0000010000000400000 6a0000020000000400000"
    stored = Stored(b"{replicageneration} 6A000000000000040000", element)
    assert LdapMaster("ipa1", stored).stored_generation("dc=x") == "6a000000000000040000"
    assert LdapMaster("ipa1", Stored()).stored_generation("dc=x") is None
    assert LdapMaster("ipa1", Stored(refers=True)).stored_generation("dc=x") is None


class Opened:
    """A master whose database of dc=x is closed for so many questions."""

    def __init__(self, questions: int) -> None:
        self.left = questions

    def search_s(self, base: str, scope: int, attrlist: list[str]) -> list[tuple[str, Any]]:
        assert (base, scope) == ("dc=x", ldap.SCOPE_BASE)
        self.left -= 1
        if self.left >= 0:
            raise ldap.OPERATIONS_ERROR
        return [("dc=x", {})]


@pytest.mark.row("R15")
def test_a_database_that_is_just_being_opened_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LdapMaster("ipa1", Opened(2)).holds("dc=x")
    monkeypatch.setattr(masters, "_COMES_ONLINE", 0.0)
    with pytest.raises(PeerFailure, match="ipa1 does not tell what it holds"):
        LdapMaster("ipa1", Opened(1000)).holds("dc=x")


@pytest.mark.row("R15")
def test_a_master_makes_a_change_of_its_own_where_it_may() -> None:
    connection = Living()
    master = LdapMaster("ipa2", connection)
    master.write_own_change("DC=X")
    master.write_own_change("o=ipaca")
    assert connection.written == ["cn=repl keep alive 5,DC=X"], "it does not replicate the other suffix"
    for refusal in (ldap.NO_SUCH_OBJECT, ldap.INSUFFICIENT_ACCESS):
        LdapMaster("ipa2", Living(refusal)).write_own_change("dc=x")
    with pytest.raises(PeerFailure, match="ipa2 does not note that it is alive"):
        LdapMaster("ipa2", Living(ldap.SERVER_DOWN)).write_own_change("dc=x")


class Emptied:
    """A server without an entry for its suffix."""

    def search_s(self, *words: Any, **more: Any) -> list[Any]:
        raise ldap.NO_SUCH_OBJECT({"desc": "No such object"})


@pytest.mark.row("R15")
def test_a_database_without_data_has_no_conflicts() -> None:
    assert LdapMaster("ipa1", Emptied()).conflicts("dc=x") == []


#: The answer to the first request of a connection: that the bind was refused, without a word why.
BIND_REFUSED = bytes([0x30, 12, 2, 1, 1, 0x61, 7, 10, 1, 48, 4, 0, 4, 0])


@contextmanager
def listening(answer: bytes) -> Iterator[int]:
    """A port that takes connections, and answers the first request of one, if there is anything to answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)
                connection.recv(1000)

        if answer:
            threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


@pytest.mark.parametrize(("answer", "expected"), [(BIND_REFUSED, True), (b"", False)])
def test_a_server_that_takes_connections_and_is_silent_does_not_answer(
    answer: bytes, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masters, "_SHOWS_UP", 0.5)
    with listening(answer) as port:
        monkeypatch.setattr(masters, "_PORT", port)
        assert LdapMasters().answers("127.0.0.1") is expected


def test_nobody_answers_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(b"") as port:
        pass
    monkeypatch.setattr(masters, "_PORT", port)
    assert not LdapMasters().answers("127.0.0.1")


def test_consumers_are_kept_awake_by_the_door_that_their_suppliers_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for one that wants TLS from the start."""
    called: list[tuple[str, int]] = []

    @contextmanager
    def awake(addresses: Iterable[tuple[str, int]]) -> Iterator[None]:
        called.extend(addresses)
        yield

    monkeypatch.setattr(masters, "awake", awake)
    doors = (None, Door("ipa2", 7389), Door("ipa2", 7390, ldaps=True))
    with LdapMasters().awake(Agreement("cn=to", "o=ipaca", "ipa2", True, door=door) for door in doors):
        assert called == [("ipa2", 389), ("ipa2", 7389)]


class _Stranger:
    """A directory that notes how it is logged in to, and what of its replication it shows: nothing, or a replica."""

    def __init__(self, replicas: list[tuple[str, dict[str, list[bytes]]]]) -> None:
        self.deeds: list[str] = []
        self._replicas = replicas

    def set_option(self, option: int, value: object) -> None:
        if option == ldap.OPT_X_TLS_REQUIRE_CERT:
            self.deeds.append("trust the authority only")

    def start_tls_s(self) -> None:
        self.deeds.append("begin TLS")

    def simple_bind_s(self, dn: str, password: str) -> None:
        self.deeds.append(f"tell {password}")

    def sasl_interactive_bind_s(self, who: str, way: object) -> None:
        self.deeds.append("show a ticket")

    def search_s(self, *words: Any) -> list[tuple[str, dict[str, list[bytes]]]]:
        return self._replicas

    def unbind_s(self) -> None:
        self.deeds.append("leave")


@pytest.mark.row("R8", "L6")
@pytest.mark.parametrize(
    ("ldaps", "password", "expected"),
    [
        (False, "Secret", ["trust the authority only", "begin TLS", "tell Secret"]),
        (True, "Secret", ["trust the authority only", "tell Secret"]),
        (False, None, ["show a ticket"]),
        (True, None, ["trust the authority only", "show a ticket"]),
    ],
)
def test_a_password_is_told_to_a_further_instance_by_tls_only(
    monkeypatch: pytest.MonkeyPatch, ldaps: bool, password: str | None, expected: list[str]
) -> None:
    shown = [("cn=replica", {"objectClass": [b"nsds5replica"], "nsds5replicaroot": [b"o=ipaca"]})]
    stranger = _Stranger(shown)
    uris: list[str] = []

    def initialize(uri: str) -> _Stranger:
        uris.append(uri)
        return stranger

    monkeypatch.setattr(ldap, "initialize", initialize)
    with LdapMasters().through(Door("ipa2", 7389, ldaps), password) as master:
        assert [replica.suffix for replica in master.replicas()] == ["o=ipaca"]
    assert uris == ["ldaps://ipa2:7389" if ldaps else "ldap://ipa2:7389"]
    assert stranger.deeds == [*expected, "leave"]


@pytest.mark.row("R8", "L6")
def test_a_further_instance_that_shows_nothing_of_its_replication_is_out_of_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has no accounts of the domain: whoever logs in by a ticket is nobody there."""
    stranger = _Stranger([])
    monkeypatch.setattr(ldap, "initialize", lambda uri: stranger)
    with (
        pytest.raises(PeerFailure, match=r"ipa2:7389 shows nothing.*-p"),
        LdapMasters().through(Door("ipa2", 7389), None),
    ):
        pytest.fail("it cannot be asked to switch off what it does not show")
    assert stranger.deeds[-1] == "leave"
