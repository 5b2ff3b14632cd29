"""What ipa-replica-install asks and refuses before it changes anything."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.node.commands import ipa_replica_install
from lab.node.install.checks import Refused
from lab.node.replica import ports
from lab.node.replica.enter import Entry, agreed_hostname, check_authority, check_version, enter
from lab.node.replica.file import file_for, read_replica_file, write_replica_file
from lab.node.replica.info import KeyPair, RealmSecrets, ReplicaInfo
from lab.node.replica.manage import parser
from lab.node.replica.ports import PORTS, Port, check_master, listening, reachable
from lab.node.replica.sealing import NotSealed, public_pem, seal, unseal
from tests.node.authorities import small_authority

ENTRY = Entry(file=None, hostname="ipa2.example.test")


@pytest.fixture(scope="module")
def pair() -> KeyPair:
    return small_authority()


@pytest.fixture(scope="module")
def info(pair: KeyPair) -> ReplicaInfo:
    return ReplicaInfo(
        realm="EXAMPLE.TEST",
        domain="example.test",
        master="ipa1.example.test",
        host="ipa2.example.test",
        version="4.12.0",
        subject_base="O=EXAMPLE.TEST",
        secrets=RealmSecrets((pair.certificate,), agent=pair, signing=pair, database_password="secret"),
        keytabs={"host": b"\x05\x02\x00", "ldap": b"\xff", "HTTP": b""},
        mark="mark",
        directory_certificate=pair,
        web_certificate=None,
    )


def answering(*answers: str) -> Callable[[str], str]:
    left = iter(answers)
    return lambda question: next(left)


def same(one: ReplicaInfo, other: ReplicaInfo) -> bool:
    return one.as_json() == other.as_json()


@pytest.mark.row("P2")
def test_a_replica_file_comes_back_as_it_was_and_only_root_reads_it(info: ReplicaInfo, tmp_path: Path) -> None:
    path = file_for(info.host, tmp_path)
    write_replica_file(info, "Secret123", path, workshop=tmp_path)
    assert path.name == "replica-info-ipa2.example.test.gpg"
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE KEY" not in path.read_bytes()
    assert same(read_replica_file(path, "Secret123", workshop=tmp_path), info)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.row("P2")
def test_another_password_or_another_file_is_refused(info: ReplicaInfo, tmp_path: Path) -> None:
    path = file_for(info.host, tmp_path)
    write_replica_file(info, "Secret123", path, workshop=tmp_path)
    with pytest.raises(Refused, match="correct Directory Manager password"):
        read_replica_file(path, "Secret124", workshop=tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Refused, match="decrypt"):
        read_replica_file(path, "Secret123", workshop=tmp_path)
    with pytest.raises(Refused, match="does not exist"):
        read_replica_file(tmp_path / "none", "Secret123", workshop=tmp_path)


def test_secrets_open_with_the_right_key_alone(pair: KeyPair, info: ReplicaInfo) -> None:
    sealed = seal(info.secrets.as_json(), public_pem(pair.key))
    assert RealmSecrets.from_json(unseal(sealed, pair.key)).as_json() == info.secrets.as_json()
    with pytest.raises(NotSealed):
        unseal(sealed, small_authority().key)
    body = sealed["body"]
    with pytest.raises(NotSealed):
        unseal({**sealed, "body": ("A" if body[0] != "A" else "B") + body[1:]}, pair.key)
    with pytest.raises(ValueError, match="PEM"):
        seal({}, "no key")


@pytest.mark.row("P3")
def test_another_host_name_is_warned_of_and_asked_about(info: ReplicaInfo) -> None:
    assert agreed_hostname(info, ENTRY, answering()) == "ipa2.example.test"
    elsewhere = Entry(file=None, hostname="other.example.test")
    with pytest.raises(Refused, match="aborted"):
        agreed_hostname(info, elsewhere, answering(""))
    assert agreed_hostname(info, elsewhere, answering("yes")) == "ipa2.example.test"
    unattended = Entry(file=None, hostname="other.example.test", unattended=True)
    with pytest.raises(Refused, match=r"was created for 'ipa2.example.test' but this machine is named 'other"):
        agreed_hostname(info, unattended, answering())


@pytest.mark.row("P3")
def test_a_master_of_another_version_is_refused() -> None:
    check_version("4.12.0", "ipa1.example.test", "4.12.0")
    with pytest.raises(Refused, match=r"same version: ipa1.example.test has 4.11.0, this host 4.12.0"):
        check_version("4.11.0", "ipa1.example.test", "4.12.0")


@pytest.mark.row("P3", "T15")
def test_a_taken_port_7389_is_refused_with_the_way_out() -> None:
    with_ca = Entry(file=None, hostname="ipa2.example.test", setup_ca=True)
    asked: list[int] = []

    def taken(number: int) -> bool:
        asked.append(number)
        return True

    with pytest.raises(Refused, match=r"(?s)Port 7389 is in use.*--uninstall.*try the installation again"):
        check_authority(with_ca, has_signing_key=True, master="ipa1.example.test", taken=taken)
    assert asked == [7389]
    check_authority(with_ca, has_signing_key=True, master="ipa1.example.test", taken=lambda _: False)
    check_authority(ENTRY, has_signing_key=False, master="ipa1.example.test", taken=taken)
    with pytest.raises(Refused, match="CA is not installed on ipa1"):
        check_authority(with_ca, has_signing_key=False, master="ipa1.example.test", taken=lambda _: False)


def free_ports() -> tuple[Port, ...]:
    with socket.create_server(("127.0.0.1", 0)) as one:
        number = one.getsockname()[1]
    return Port(number, "TCP"), Port(number, "UDP", udp=True)


@pytest.mark.row("P3")
def test_ports_answer_while_somebody_listens_and_not_afterwards() -> None:
    pair = free_ports()
    with listening(pair):
        assert [reachable("127.0.0.1", port, 1) for port in pair] == [True, True]
        assert ports.in_use(pair[0].number)
        with pytest.raises(Refused, match="cannot be opened"), listening(pair):
            pass
    assert [reachable("127.0.0.1", port, 0.3) for port in pair] == [False, False]


@pytest.mark.row("P3")
def test_closed_ports_of_the_master_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "reachable", lambda _host, port: port.number != 636)
    said: list[str] = []
    with pytest.raises(Refused, match=r"Inaccessible port\(s\): 636 \(TCP\)$"):
        check_master("ipa1.example.test", said.append)
    assert "   Directory Service: Secure port (636): FAILED" in said
    assert "   Kerberos KDC: UDP (88): SKIPPED" in said
    assert len(PORTS) == 8


@pytest.mark.parametrize(
    "line",
    ["", "file --server ipa1.example.test", "--server ipa1.example.test", "file --no-forwarders", "file --setup-dns"],
)
def test_contradictions_are_wrong_usage(line: str) -> None:
    with pytest.raises(SystemExit) as ended:
        ipa_replica_install.main(line.split())
    assert ended.value.code == 2


def test_the_verbs_of_the_documents_are_understood() -> None:
    words = parser("ipa-replica-manage")
    for line in (
        "list",
        "-p x -v list ipa1.example.test",
        "connect a b",
        "disconnect a b",
        "re-initialize --from=a",
        "force-sync --from=a",
        "del a --force",
    ):
        assert words.parse_args(line.split()).verb in line


def test_changes_of_the_directory_that_cannot_be_made_are_refused_before_anything_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "changes.ldif"
    file.write_text(
        "dn: cn=config,cn=ldbm database,cn=plugins,cn=config\nchangetype: modify\n"
        "replace: nsslapd-backend-implement\nnsslapd-backend-implement: cards\n"
    )

    def nobody(question: str) -> str:
        raise AssertionError(question)

    entry = Entry(file=None, hostname="ipa2.example.test", dirsrv_config_file=str(file))
    with pytest.raises(Refused, match="there is no database library 'cards'"):
        enter(entry, ask=nobody, ask_secret=nobody, say=print)
