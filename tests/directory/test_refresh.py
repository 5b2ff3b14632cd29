"""Total updates by an agreement: begun once, waited for, with their flow control."""

from __future__ import annotations

from typing import Any

import ldap
import pytest

from ipabackup.directory import refresh
from ipabackup.directory.agreements import Agreement, succeeded
from ipabackup.directory.masters import LdapMaster, PeerFailure

AGREEMENT = Agreement("cn=meToipa2", "dc=x", "ipa2", False)


class Agreed:
    """An agreement that is off: its thread has begun when it is asked for the second time, its total update ends, with
    this status, at the third question.  The first `forgotten` requests for a total update are.  One may be `under_way`
    from before; one that is not begins `at`.
    """

    def __init__(
        self,
        status: bytes = b"",
        refuses: str = "",
        forgotten: int = 0,
        under_way: bool = False,
        at: bytes = b"2026",
    ) -> None:
        self.at = at
        self.under_way = under_way
        self.status = status
        self.refuses = refuses
        self.forgotten = forgotten
        self.asked = {"status": 0, "start": 0}
        self.now: dict[str, bytes] = {"nsds5replicaflowcontrolwindow": b"500", "nsds5replicalastinitstart": b"2025"}

    def search_s(self, *words: Any, **more: Any) -> list[tuple[str, dict[str, list[bytes]]]]:
        names = more.get("attrlist", [])
        if "nsds5replicaLastUpdateStatus" in names:
            self.asked["status"] += 1
            told = b"Error (0) agreement disabled" if self.asked["status"] < 2 else b"Error (19) another generation"
            return [("cn=meToipa2", {"nsds5replicaLastUpdateStatus": [told]})]
        if "nsds5replicaLastInitStatus" not in names:
            return [
                ("cn=meToipa2", {name: [value] for name, value in self.now.items() if name in map(str.lower, names)})
            ]
        if not self.asked["start"] and not self.under_way:
            return [("cn=meToipa2", {})]
        self.asked["end"] = self.asked.get("end", 0) + 1
        going_on = {"nsds5BeginReplicaRefresh": [b"start"]} if self.asked["end"] < 3 else {}
        return [("cn=meToipa2", {"nsds5replicalastinitstatus": [self.status], **going_on})]

    def modify_s(self, dn: str, changes: Any) -> None:
        assert dn == "cn=meToipa2"
        for _, name, values in changes:
            if name == self.refuses:
                raise ldap.UNWILLING_TO_PERFORM({"desc": "Server is unwilling to perform"})
            self.now[name.lower()] = values[0]
            if name == "nsds5BeginReplicaRefresh":
                self.asked["start"] += 1
                if self.asked["start"] > self.forgotten:
                    self.now["nsds5replicalastinitstart"] = self.at


@pytest.mark.row("R15")
def test_a_total_update_runs_with_flow_control_open_and_tells_its_end() -> None:
    connection = Agreed(b"Error (0) Total update succeeded")
    master = LdapMaster("ipa1", connection)
    before, found = master.begin_refresh(AGREEMENT)
    assert not found
    assert connection.now["nsds5replicaenabled"] == b"on"
    assert connection.now["nsds5beginreplicarefresh"] == b"start"
    assert connection.now["nsds5replicaflowcontrolwindow"] == b"100000"
    told = [master.refreshed(AGREEMENT) for _ in range(3)]
    assert told == [None, None, "Error (0) Total update succeeded"]
    master.set_flow(AGREEMENT, before)
    assert connection.now["nsds5replicaflowcontrolwindow"] == b"500"
    assert connection.now["nsds5replicaflowcontrolpause"] == b"2000", "the default: it had none before"


@pytest.mark.row("R15")
def test_a_total_update_is_asked_for_when_the_agreement_has_begun_and_again_when_it_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refresh, "_BEGUN", 0.2)
    connection = Agreed(forgotten=1)
    LdapMaster("ipa1", connection).begin_refresh(AGREEMENT)
    assert connection.asked["status"] == 2
    assert connection.asked["start"] == 2
    deaf = Agreed(forgotten=100)
    LdapMaster("ipa1", deaf).begin_refresh(AGREEMENT)
    assert deaf.asked["start"] == 3, "whether it comes to an end is told later"


@pytest.mark.row("R15")
def test_a_total_update_that_an_earlier_command_gave_up_is_waited_for_and_no_second_one_asked_for() -> None:
    connection = Agreed(b"Error (0) Total update in progress", under_way=True)
    master = LdapMaster("ipa1", connection)
    assert master.begin_refresh(AGREEMENT).found
    assert connection.asked["start"] == 0
    assert master.refreshed(AGREEMENT) is None
    assert connection.now["nsds5replicaflowcontrolwindow"] == b"100000", "its flow control is open nevertheless"


@pytest.mark.row("R15")
def test_a_total_update_that_begins_in_the_second_of_the_last_one_is_not_asked_for_twice() -> None:
    connection = Agreed(b"Error (0) Total update in progress", at=b"2025")
    assert not LdapMaster("ipa1", connection).begin_refresh(AGREEMENT).found
    assert connection.asked["start"] == 1, "a second one would begin when it has ended, and nobody would wait for that"


@pytest.mark.row("R15")
def test_a_total_update_without_an_order_is_none_that_has_ended() -> None:
    class Resumed(Agreed):
        """A server that was started with an order has forgotten it, and carries it out."""

        def search_s(self, *words: Any, **more: Any) -> list[tuple[str, dict[str, list[bytes]]]]:
            told = b"Error (0) No replication sessions started since server startup"
            return [
                ("cn=meToipa2", {"nsds5replicaLastUpdateStatus": [told], "nsds5replicaLastInitStatus": [self.status]})
            ]

    master = LdapMaster("ipa1", Resumed(b"Error (0) Total update in progress"))
    assert master.fills(AGREEMENT)
    assert master.fills_again(AGREEMENT, "")
    assert master.refreshed(AGREEMENT) is None
    assert master.begin_refresh(AGREEMENT).found


class Ordered(Agreed):
    """An agreement with an order from before: its server tries `again`, or has forgotten it."""

    def __init__(self, again: bool) -> None:
        super().__init__()
        self.again = again
        self.looks = 0
        self.now["nsds5beginreplicarefresh"] = b"start"

    def search_s(self, *words: Any, **more: Any) -> list[tuple[str, dict[str, list[bytes]]]]:
        if self.again and "nsds5BeginReplicaRefresh" in more.get("attrlist", []):
            self.looks += 1
            self.now["nsds5replicalastinitstart"] = b"2025" if self.looks < 3 else b"2026"
        return super().search_s(*words, **more)


@pytest.mark.row("R15")
def test_an_order_from_before_that_is_tried_again_is_not_given_twice_and_one_that_is_forgotten_is_given_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that is asked while it waits for its next attempt does not answer for two minutes."""
    monkeypatch.setattr(refresh, "_RETRIED", 0.3)
    trying = Ordered(again=True)
    assert LdapMaster("ipa1", trying).begin_refresh(AGREEMENT).found
    assert trying.asked["start"] == 0
    forgetful = Ordered(again=False)
    assert LdapMaster("ipa1", forgetful).fills(AGREEMENT), "it may be about to begin"
    assert not LdapMaster("ipa1", forgetful).begin_refresh(AGREEMENT).found
    assert forgetful.asked["start"] == 1


@pytest.mark.row("R15")
def test_an_agreement_that_begins_to_send_changes_fills_nobody_again() -> None:
    connection = Agreed(b"Error (0) Total update succeeded")
    master = LdapMaster("ipa1", connection)
    assert not master.fills(AGREEMENT)
    assert not master.fills_again(AGREEMENT, master.last_refresh(AGREEMENT))
    assert connection.asked["status"] == 2, "it was waited for"


class Held:
    """An agreement that begins with a total update, which its consumer does not let begin: what it says of its last
    session is what came of that, and what it says of the last total update is that of the one before.
    """

    def __init__(self) -> None:
        self.now = {
            "nsds5replicaLastUpdateStatus": b"Error (1) Replication error acquiring replica: replica busy",
            "nsds5replicaLastInitStatus": b"Error (0) Total update succeeded",
            "nsds5replicaLastInitStart": b"20261129000010Z",
            "nsds5replicaLastInitEnd": b"20261129000008Z",
        }

    def search_s(self, *words: Any, **more: Any) -> list[tuple[str, dict[str, list[bytes]]]]:
        return [("cn=meToipa2", {name: [self.now[name]] for name in more["attrlist"] if name in self.now})]


@pytest.mark.row("R15")
def test_a_total_update_that_its_consumer_does_not_let_begin_goes_on() -> None:
    connection = Held()
    master = LdapMaster("ipa1", connection)
    assert master.fills_again(AGREEMENT, "20261129000007Z")
    assert not master.fills_again(AGREEMENT, "20261129000010Z")
    assert master.refreshed(AGREEMENT) is None

    connection.now["nsds5replicaLastInitEnd"] = b"20261129000012Z"
    assert master.refreshed(AGREEMENT) == "Error (0) Total update succeeded"


@pytest.mark.row("R15")
def test_one_that_never_began_does_not_when_the_agreement_is_switched_off() -> None:
    connection = Held()
    connection.now["nsds5ReplicaEnabled"] = b"off"
    told = LdapMaster("ipa1", connection).refreshed(AGREEMENT)
    assert told == "the agreement was switched off meanwhile"
    assert not succeeded(told)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("Error (0) Total update succeeded", True),
        ("0 Total update succeeded", True),
        ("Error (1) busy", False),
        ("Error (-11) aborted", False),
        ("it says nothing", False),
        ("", False),
    ],
)
def test_a_good_end_is_one_that_is_told(status: str, expected: bool) -> None:
    assert succeeded(status) is expected


@pytest.mark.row("R15")
def test_one_that_its_consumer_never_lets_begin_has_ended() -> None:
    """That notes no end."""
    connection = Held()
    connection.now["nsds5replicaLastInitStatus"] = b"Error (49) Invalid credentials"
    assert LdapMaster("ipa1", connection).refreshed(AGREEMENT) == "Error (49) Invalid credentials"


@pytest.mark.row("R15")
def test_when_a_total_update_cannot_begin_flow_control_is_put_back_at_once() -> None:
    connection = Agreed(refuses="nsds5BeginReplicaRefresh")
    with pytest.raises(PeerFailure, match="ipa1 does not re-initialise ipa2: Server is unwilling"):
        LdapMaster("ipa1", connection).begin_refresh(AGREEMENT)
    assert connection.now["nsds5replicaflowcontrolwindow"] == b"500"
