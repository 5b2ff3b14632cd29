"""A restored server gets what it missed before it makes a change of its own, and then replicates as it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from ipabackup.backup import BackupOptions, plan_backup
from ipabackup.directory.agreements import Agreement, Replica, agreements_in
from ipabackup.directory.instances import read_config
from ipabackup.directory.masters import Master, PeerFailure
from ipabackup.errors import DirectoryFailure, Incomplete
from ipabackup.host.processes import CommandFailed
from ipabackup.realm import check
from ipabackup.restore import RestoreOptions, resume
from ipabackup.steps import Reporter
from tests.fakes.directory import FakeMaster
from tests.host_of_its_own import HOST, OwnHost, make_host
from tests.realm.realms import change
from tests.restore.deeds import restored

SECOND, THIRD = "ipa2.example.test", "ipa3.example.test"
UNIT = "dirsrv@EXAMPLE-TEST.service"
AGREEMENT = """dn: cn=meTo{host}
objectClass: nsds5replicationagreement
nsDS5ReplicaHost: {host}
nsDS5ReplicaRoot: dc=example,dc=test
nsds5ReplicaEnabled: {state}

"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OwnHost:
    """A master that lacks a change of the second one, as its backup does, and none of its own."""
    monkeypatch.setattr(check, "_BETWEEN_LOOKS", 0.001)
    monkeypatch.setattr(resume, "BETWEEN_LOOKS", 0.001)
    monkeypatch.setattr(resume, "PATIENCE", 0.05)
    monkeypatch.setattr(resume, "SETTLE_LIMIT", 0.05)
    host = make_host(tmp_path)
    host.services.active = {*host.services.units, UNIT}
    host.services.ipa_units = {"krb5-kdc.service", "apache2.service", UNIT}
    names = (HOST, SECOND, THIRD)
    host.directory.masters.update({name: {"KDC"} for name in names[1:]})
    host.masters.agreements = {name: [other for other in names if other != name] for name in names}
    host.masters.generations = dict.fromkeys(names, "6a00")
    host.masters.enabled = set(names)
    host.masters.off = {(HOST, THIRD)}
    host.masters.newest = {name: {4: change(1, 4), 5: change(9, 5)} for name in names}
    host.masters.newest[HOST][5] = change(2, 5)
    dse = host.path("/etc/dirsrv/slapd-EXAMPLE-TEST/dse.ldif")
    added = [AGREEMENT.format(host=name, state=state) for name, state in ((SECOND, "on"), (THIRD, "off"))]
    dse.write_text(dse.read_text() + "".join(added))
    return host


OPTIONS = [
    RestoreOptions(data=True, authoritative=False, peer_check=False),
    RestoreOptions(data=True, online=True, authoritative=False, peer_check=False),
    RestoreOptions(authoritative=False, peer_check=False),
]


@pytest.fixture(params=OPTIONS, ids=["data", "online", "full"])
def options(request: pytest.FixtureRequest) -> RestoreOptions:
    found: RestoreOptions = request.param
    return found


def states(host: OwnHost) -> dict[str, bool]:
    """This server's agreements as its configuration has them: consumer → whether it is on."""
    content = read_config(host.path("/etc/dirsrv/slapd-EXAMPLE-TEST"))
    return {agreement.consumer: agreement.enabled for agreement in agreements_in(content)}


def noted(host: OwnHost, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether any of its agreements is on, in its configuration or as it runs, at each wait for what is to arrive."""
    seen: list[bool] = []
    wait = resume._wait

    def waiting(here: Sequence[Master], suppliers: Mapping[str, Mapping[str, Replica]], report: Reporter) -> None:
        running = f"disable {HOST}" in host.directory.deeds
        seen.append(HOST in host.masters.enabled if running else any(states(host).values()))
        wait(here, suppliers, report)

    monkeypatch.setattr(resume, "_wait", waiting)
    return seen


@pytest.mark.row("R9")
def test_others_are_told_to_look_while_own_agreements_are_off(
    host: OwnHost, backup: Path, options: RestoreOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = noted(host, monkeypatch)
    with suppress(Incomplete):  # of the agreement that was off before
        restored(host, backup, options)
    for name in (SECOND, THIRD):
        at = host.directory.deeds.index(f"switch {HOST} from {name} off")
        assert host.directory.deeds[at + 1] == f"switch {HOST} from {name} on"
    assert seen == [False]
    assert host.masters.newest[HOST][5] == change(9, 5)
    assert not any(deed.startswith("refresh") for deed in host.directory.deeds)
    switched_on = [deed for deed in host.directory.deeds if deed.endswith(f"from {HOST} on")]
    assert switched_on == [f"switch {SECOND} from {HOST} on"], "and no other one than was on"


@pytest.mark.row("R9")
@pytest.mark.parametrize("live", [True, False], ids=["copied live", "own changes are lost"])
def test_what_arrives_would_not_do_so_another_one_fills_the_server(
    host: OwnHost, backup: Path, options: RestoreOptions, live: bool
) -> None:
    if live:
        plan = plan_backup(host.server(), BackupOptions(target=host.backups, hot=True), host.machine)
        host.run(plan.plan)
        backup = plan.path or backup
        host.directory.deeds.clear()
    else:
        for name in (SECOND, THIRD):
            host.masters.newest[name][4] = change(7, 4)
    with suppress(Incomplete):  # of the agreement that was off before
        restored(host, backup, options)
    wanted = ("refresh", "own change", "switch")
    assert [deed for deed in host.directory.deeds if deed.startswith(wanted)] == [
        f"refresh {HOST} from {SECOND}",
        f"own change {HOST}",
        f"switch {HOST} from {THIRD} off",
        f"switch {HOST} from {THIRD} on",
        f"switch {SECOND} from {HOST} on",
    ], "its first own change comes before it supplies anybody, and the third one may have what the second has not"
    assert host.masters.flows == [(HOST, {"window": [b"usual"]})]
    assert host.masters.asleep == set()


@pytest.mark.row("R9")
def test_own_changes_that_the_backup_lacks_are_missed_although_what_arrived_hides_it(
    host: OwnHost, options: RestoreOptions
) -> None:
    """Others that had news began to send at the start, and the server has changed something since."""
    host.directory.ruv = ["{replicageneration} 6a00", f"{{replica 4 ldap://{HOST}:389}} {change(1, 4)} {change(1, 4)}"]
    for known, fills in ((change(1, 4), 0), (change(7, 4), 1)):
        plan = plan_backup(host.server(), BackupOptions(target=host.backups), host.machine)
        host.run(plan.plan)
        assert plan.path
        host.directory.deeds.clear()
        for name in (SECOND, THIRD):
            host.masters.newest[name][4] = known
        host.masters.newest[HOST] = {4: change(20, 4), 5: change(2, 5)}
        with suppress(Incomplete):  # of the agreement that was off before
            restored(host, plan.path, options)
        assert host.directory.deeds.count(f"refresh {HOST} from {SECOND}") == fills


@pytest.mark.row("R9")
def test_one_that_was_started_with_an_order_to_fill_the_server_is_waited_for(host: OwnHost, backup: Path) -> None:
    """It does so instead of looking; one that is at it is left alone, as it would not answer for minutes."""
    host.masters.ordered = {SECOND: {HOST}}
    with suppress(Incomplete):  # of the agreement that was off before
        restored(host, backup, OPTIONS[0])
    assert [deed for deed in host.directory.deeds if deed.startswith(("refresh", "own change", "switch"))] == [
        f"switch {HOST} from {SECOND} off",
        f"switch {HOST} from {SECOND} on",
        f"refresh {HOST} from {SECOND}",
        f"own change {HOST}",
        f"switch {HOST} from {THIRD} off",
        f"switch {HOST} from {THIRD} on",
        f"switch {SECOND} from {HOST} on",
    ]
    host.directory.deeds.clear()
    host.masters.given_up = {HOST}
    with suppress(Incomplete):  # of the agreement that was off before
        restored(host, backup, OPTIONS[0])
    deeds = [deed for deed in host.directory.deeds if deed.startswith(("refresh", "own change", "switch"))]
    assert deeds[:3] == [*[f"refresh {HOST} from {SECOND}"] * 2, f"own change {HOST}"]
    host.masters.broken = {HOST}
    with pytest.raises(Incomplete, match=f"{SECOND} began to send all that it has, and did not.*it broke, so"):
        restored(host, backup, OPTIONS[0])


@pytest.mark.row("R9")
def test_the_next_one_fills_it_when_one_cannot(host: OwnHost, backup: Path) -> None:
    for name in (SECOND, THIRD):
        host.masters.newest[name][4] = change(7, 4)
    host.masters.off.add((SECOND, HOST))
    with suppress(Incomplete):
        restored(host, backup, OPTIONS[0])
    assert f"refresh {HOST} from {THIRD}" in host.directory.deeds
    host.masters.newest[HOST][4] = change(1, 4)
    host.masters.broken = {HOST}
    with pytest.raises(Incomplete, match=rf"No other master could send all.*{SECOND}: it has no.*{THIRD}: .*it broke"):
        restored(host, backup, OPTIONS[0])


@pytest.mark.row("R9", "R14")
def test_one_that_goes_away_when_it_is_to_look_is_told_of(
    host: OwnHost, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(master: FakeMaster, agreement: Agreement, state: str) -> None:
        if agreement.consumer == HOST:
            raise PeerFailure("It went away.")

    monkeypatch.setattr(FakeMaster, "switch", gone)
    with pytest.raises(Incomplete, match=f"It went away, so it could not be told.*force-sync --from={THIRD}"):
        restored(host, backup, OPTIONS[0])


@pytest.mark.row("R9")
def test_a_busy_server_is_waited_for(host: OwnHost, backup: Path) -> None:
    for name in (SECOND, THIRD):
        host.masters.newest[name][4] = change(7, 4)
    host.masters.busy = {HOST: 2}
    with suppress(Incomplete):
        restored(host, backup, OPTIONS[0])
    assert host.directory.deeds.count(f"refresh {HOST} from {SECOND}") == 3


@pytest.mark.row("R9")
def test_a_server_that_nothing_is_sent_to_says_so_and_replicates_all_the_same(
    host: OwnHost, backup: Path, options: RestoreOptions
) -> None:
    host.masters.idle = {SECOND, THIRD}
    with pytest.raises(Incomplete, match=r"no other master has sent any.*dc=example,dc=test"):
        restored(host, backup, options)
    assert f"switch {SECOND} from {HOST} on" in host.directory.deeds


@pytest.mark.row("R9", "R14")
def test_agreements_are_on_again_when_the_restore_fails(
    host: OwnHost, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*words: object) -> None:
        raise DirectoryFailure("It does not answer.")

    monkeypatch.setattr(resume, "_wait", broken)
    with pytest.raises(DirectoryFailure):
        restored(host, backup, OPTIONS[0])
    assert f"switch {SECOND} from {HOST} on" in host.directory.deeds


@pytest.mark.row("R9", "R14")
def test_a_server_that_does_not_start_finds_its_agreements_as_they_were(host: OwnHost, backup: Path) -> None:
    before = states(host)
    host.services.broken = {UNIT}
    with pytest.raises(CommandFailed):
        restored(host, backup, OPTIONS[0])
    assert states(host) == before == {SECOND: True, THIRD: False}


@pytest.mark.row("R9")
def test_what_arrives_slowly_is_waited_for(host: OwnHost, backup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "BETWEEN_LOOKS", 0.02)
    host.masters.idle = {SECOND, THIRD}
    looks: list[str] = []

    def arrive() -> None:
        if f"switch {HOST} from {SECOND} on" in host.directory.deeds:
            looks.append("awake" if HOST in host.masters.awake_now else "asleep")
            host.masters.newest[HOST][5] = change(min(2 + len(looks), 9), 5)

    host.masters.at_each_look = arrive
    with pytest.raises(Incomplete) as warned:  # of the agreement that was off before
        restored(host, backup, OPTIONS[0])
    assert len(looks) * 0.02 > resume.PATIENCE
    assert set(looks[: int(resume.PATIENCE / 0.02)]) == {"awake"}, "it takes what arrives without delay"
    assert "no other master has sent" not in str(warned.value)


@pytest.mark.row("R9")
def test_nobody_is_asked_where_the_backup_is_to_win(host: OwnHost, backup: Path) -> None:
    restored(host, backup, RestoreOptions(data=True))
    assert not any(deed.startswith("switch") for deed in host.directory.deeds)


@pytest.mark.row("R9")
def test_a_server_that_stays_down_is_said_not_to_have_caught_up(host: OwnHost, backup: Path) -> None:
    before = states(host)
    host.services.active.discard(UNIT)
    with pytest.raises(Incomplete, match=r"does not run, so it has not caught up.*re-initialize"):
        restored(host, backup, OPTIONS[0])
    assert not any(deed.startswith("switch") for deed in host.directory.deeds)
    assert states(host) == before
