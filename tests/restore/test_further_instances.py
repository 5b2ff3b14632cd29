"""Other masters whose authority has a directory instance of its own, which agreements lead to by its port."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from ipabackup.directory.agreements import Door, agreements_in, doors
from ipabackup.directory.instances import read_config
from ipabackup.errors import CannotCatchUp, Incomplete, PeersUnreachable
from ipabackup.realm import check
from ipabackup.realm.check import Verdict, check_realm
from ipabackup.realm.state import Viewpoint
from ipabackup.record import ServerRecord
from ipabackup.restore import RestoreOptions
from ipabackup.restore.refill import plan_refill
from tests.host_of_its_own import HOST, OwnHost, give_own_instance_to_authority, make_host
from tests.restore.deeds import restored, uninstalled

SECOND, THIRD = "ipa2.example.test", "ipa3.example.test"
AUTHORITY = ":7389"
AGREEMENT = """dn: cn=caTo{host},cn=replica,cn=o\\3Dipaca,cn=mapping tree,cn=config
objectClass: nsds5replicationagreement
nsDS5ReplicaHost: {host}
nsDS5ReplicaPort: {port}
nsDS5ReplicaRoot: o=ipaca
nsDS5ReplicaTransportInfo: {transport}

"""


def agree(host: OwnHost, name: str, port: int = 7389, transport: str = "TLS") -> None:
    """Have the authority's instance here supply that of another master."""
    dse = host.path("/etc/dirsrv/slapd-PKI-IPA/dse.ldif")
    dse.write_text(dse.read_text() + AGREEMENT.format(host=name, port=port, transport=transport))


def chain(*names: str) -> dict[str, list[str]]:
    """Each with its neighbours."""
    return {name: [*names[:at][-1:], *names[at + 1 :][:1]] for at, name in enumerate(names)}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OwnHost:
    """The first of three masters in a row, each with two instances; only the next one is known here by its port."""
    monkeypatch.setattr(check, "_BETWEEN_LOOKS", 0.001)
    host = make_host(tmp_path)
    give_own_instance_to_authority(host)
    instances = {f"dirsrv@{name}.service" for name in ("EXAMPLE-TEST", "PKI-IPA")}
    host.services.active = {*host.services.units, *instances}
    host.services.ipa_units = {"krb5-kdc.service", "apache2.service", *instances}
    names = (HOST, SECOND, THIRD)
    host.directory.masters.update({name: {"KDC"} for name in names[1:]})
    host.masters.agreements = chain(*names) | chain(*(name + AUTHORITY for name in names))
    host.masters.generations = dict.fromkeys(host.masters.agreements, "6a00")
    agree(host, SECOND)
    return host


@pytest.fixture(params=[True, False], ids=["data", "full"])
def options(request: pytest.FixtureRequest) -> RestoreOptions:
    return RestoreOptions(data=request.param)


def deeds(host: OwnHost, *kinds: str) -> list[str]:
    return [deed for deed in host.directory.deeds if deed.startswith(kinds)]


def everywhere(names: Iterable[str] = (SECOND, THIRD)) -> set[str]:
    return {f"disable {name}{port}" for name in names for port in ("", AUTHORITY)}


@pytest.mark.row("R8", "L6")
def test_agreements_of_every_instance_are_switched_off_before_data_is_touched(
    host: OwnHost, backup: Path, options: RestoreOptions
) -> None:
    """Also of those that only another master's agreements lead to."""
    restored(host, backup, options)
    first = next(at for at, deed in enumerate(host.directory.deeds) if deed.startswith(("unarchive", "load")))
    assert everywhere() <= set(host.directory.deeds[:first])


@pytest.mark.row("R8", "L6")
def test_on_a_host_with_nothing_left_the_backup_tells_where_they_are(host: OwnHost, backup: Path) -> None:
    uninstalled(host)
    host.directory.homes = {"EXAMPLE-TEST": ("userRoot",), "PKI-IPA": ("ipaca",)}
    restored(host, backup)
    assert everywhere() <= set(host.directory.deeds)


@pytest.mark.row("R8", "L6")
@pytest.mark.parametrize("data", [True, False])
def test_without_the_backups_word_the_configuration_tells(
    host: OwnHost, backup: Path, monkeypatch: pytest.MonkeyPatch, data: bool
) -> None:
    """That of this host, or, where nothing is left, that of the files that were restored: older backups say nothing."""
    parse = ServerRecord.parse

    def forgetful(content: bytes) -> ServerRecord:
        return parse(content.replace(b'"doors"', b'"nothing that is known"'))

    monkeypatch.setattr(ServerRecord, "parse", forgetful)
    if not data:
        uninstalled(host)
        host.directory.homes = {"EXAMPLE-TEST": ("userRoot",), "PKI-IPA": ("ipaca",)}
    restored(host, backup, RestoreOptions(data=data))
    first = next(at for at, deed in enumerate(host.directory.deeds) if deed.startswith(("unarchive", "load")))
    assert everywhere() <= set(host.directory.deeds[:first])


@pytest.mark.row("R8", "L6")
def test_an_instance_out_of_reach_is_named(host: OwnHost, backup: Path, options: RestoreOptions) -> None:
    host.masters.down = {THIRD + AUTHORITY}
    with pytest.raises(PeersUnreachable, match=f"{THIRD}:7389 cannot be reached"):
        restored(host, backup, options)


@pytest.mark.row("R15", "L6")
def test_every_instance_is_filled_from_its_neighbour_and_switched_on(
    host: OwnHost, backup: Path, options: RestoreOptions
) -> None:
    restored(host, backup, RestoreOptions(data=options.data, reinitialize=True))
    assert sorted(deeds(host, "refresh")) == [
        f"refresh {SECOND} from {HOST}",
        f"refresh {SECOND}:7389 from {HOST}:7389",
        f"refresh {THIRD} from {SECOND}",
        f"refresh {THIRD}:7389 from {SECOND}:7389",
    ]
    assert host.masters.asleep == set()
    assert {f"enable {name}{port}" for name in (SECOND, THIRD) for port in ("", AUTHORITY)} <= set(
        deeds(host, "enable")
    )


@pytest.mark.row("R15", "L6")
@pytest.mark.parametrize("missing", ["", AUTHORITY])
def test_what_a_master_has_no_data_of_is_sent_first(host: OwnHost, missing: str) -> None:
    """It may still wait for more of it, and does not survive that this is broken off while something else comes in."""
    host.masters.emptied = {SECOND + missing}
    with suppress(Incomplete, PeersUnreachable):
        host.run(plan_refill(host.server(), [SECOND], None, host.machine).plan)
    assert deeds(host, "refresh")[0] == f"refresh {SECOND}{missing} from {HOST}{missing}"


@pytest.mark.row("R15", "L6")
def test_filling_a_master_again_takes_its_every_instance(host: OwnHost) -> None:
    host.run(plan_refill(host.server(), [SECOND], None, host.machine).plan)
    before = host.directory.deeds[: host.directory.deeds.index(f"refresh {SECOND} from {HOST}")]
    assert everywhere([SECOND]) <= set(before)
    assert f"refresh {SECOND}:7389 from {HOST}:7389" in host.directory.deeds


@pytest.mark.row("R15", "L6")
def test_only_the_domains_instance_may_have_lost_the_accounts_of_masters(host: OwnHost) -> None:
    host.masters.emptied = {SECOND}
    with suppress(Incomplete):
        host.run(plan_refill(host.server(), [SECOND], None, host.machine).plan)
    assert deeds(host, "admit") == [f"admit {HOST} to {SECOND}"]
    assert f"refresh {SECOND}:7389 from {HOST}:7389" in host.directory.deeds


@pytest.mark.row("R15", "L6")
def test_a_supplier_is_switched_on_last_for_one_that_came_to_grief_with_another_suffix(host: OwnHost) -> None:
    """It only supplied: its other agreements are left as they are, and a master in trouble holds up no look."""
    host.masters.broken = {THIRD + AUTHORITY}
    looks: list[int] = []
    host.masters.at_each_look = lambda: looks.append(len(host.directory.deeds))
    with pytest.raises(PeersUnreachable, match=f"{THIRD} could not be re-initialised with o=ipaca"):
        host.run(plan_refill(host.server(), [THIRD], None, host.machine).plan)
    assert f"refresh {THIRD} from {SECOND}" in host.directory.deeds, "the domain came first"
    on = f"switch {THIRD} from {SECOND} on"
    assert host.directory.deeds.count(on) == 1
    assert looks[-1] <= host.directory.deeds.index(on)


def looked_at(host: OwnHost, wait: float = 0) -> Verdict:
    server = host.server()
    return check_realm(Viewpoint(server.host, server.basedn, server.instances, host.machine, None), wait=wait)


@pytest.mark.row("R15", "L6")
def test_every_instance_is_looked_at(host: OwnHost) -> None:
    host.masters.enabled = set(host.masters.agreements)
    found = looked_at(host)
    assert found.one_realm
    assert all(set(one.replicas) == {"dc=example,dc=test", "o=ipaca"} for one in found.state.masters.values())
    assert all(set(one.contents) == set(one.replicas) for one in found.state.masters.values())

    host.masters.generations[THIRD + AUTHORITY] = "6b11"
    (trouble,) = (one for one in looked_at(host).troubles if one.kind == "generation")
    assert trouble.suffix == "o=ipaca"

    host.masters.down = {THIRD + AUTHORITY}
    away = looked_at(host)
    assert [(one.kind, one.hosts) for one in away.troubles] == [("unreachable", (THIRD,))]
    assert ":7389" in away.troubles[0].message


@pytest.mark.row("R15", "L6")
def test_a_master_that_comes_back_is_looked_at_wholly(host: OwnHost) -> None:
    host.masters.enabled = set(host.masters.agreements)
    host.masters.newest = {THIRD: {5: "6a000002000000050000"}}
    looks = []

    def go_and_come_back() -> None:
        looks.append("look")
        host.masters.silent = {SECOND} if 10 < len(looks) < 20 else set()
        if len(looks) > 40:
            host.masters.newest = {}

    host.masters.at_each_look = go_and_come_back
    found = looked_at(host, wait=30)
    assert len(looks) > 40
    assert found.one_realm
    assert set(found.state.masters[SECOND].replicas) == {"dc=example,dc=test", "o=ipaca"}


@pytest.mark.row("R9", "L6")
def test_one_that_catches_up_asks_every_instance_what_it_can_supply(host: OwnHost, backup: Path) -> None:
    options = RestoreOptions(authoritative=False)
    host.masters.down = {SECOND + AUTHORITY, THIRD + AUTHORITY, THIRD}
    with pytest.raises(CannotCatchUp, match=f"{SECOND}:7389"):
        restored(host, backup, options)


@pytest.mark.row("R8", "L6")
@pytest.mark.parametrize(
    ("port", "transport", "expected"),
    [
        (389, "LDAP", set()),
        (636, "SSL", set()),
        (7389, "TLS", {Door(SECOND, 7389)}),
        (7390, "SSL", {Door(SECOND, 7390, ldaps=True)}),
    ],
)
def test_ports_tell_further_instances_from_the_usual_one(
    port: int, transport: str, expected: set[Door], tmp_path: Path
) -> None:
    host = make_host(tmp_path)
    give_own_instance_to_authority(host)
    agree(host, SECOND.upper(), port, transport)
    assert doors(agreements_in(read_config(host.path("/etc/dirsrv/slapd-PKI-IPA")))) == expected
    record = ServerRecord.of(host.server(), type="FULL", time="2026-11-27T00:00:00+00:00")
    assert set(ServerRecord.parse(record.render()).doors) == expected
