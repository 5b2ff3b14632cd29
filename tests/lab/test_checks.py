"""The outline's comparisons can fail, and forgive only what may change."""

from typing import Any

import pytest

from lab.execute import CommandResult
from scenarios import checks
from scenarios.checks import Answer, Check, CheckFailed, Outline, cert_find, compare, entry_lines, id_admin, user_show


class FakeHost:
    """Answers each command with a text."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers
        self.fqdn = "ipa1.example.test"

    def run(self, argv: list[str], **_: Any) -> CommandResult:
        return CommandResult(tuple(argv), self.answers[" ".join(argv)], "", 0, 0.0)


def test_an_entry_s_order_is_free_and_its_values_are_not() -> None:
    one = {"uid": [b"admin"], "memberOf": [b"cn=b", b"cn=a"], "krbLastSuccessfulAuth": [b"1"]}
    other = {"memberOf": [b"cn=a", b"cn=b"], "krbLastSuccessfulAuth": [b"2"], "uid": [b"admin"]}
    assert entry_lines(one) == entry_lines(other)
    other["krbLastPwdChange"] = [b"2"]
    assert entry_lines(one) != entry_lines(other)


def test_binary_values_are_compared_too() -> None:
    assert entry_lines({"key": [b"\xff\x00"]}) == ("key: ff00",)
    assert entry_lines({"key": [b"\xff\x01"]}) != entry_lines({"key": [b"\xff\x00"]})


@pytest.mark.parametrize(
    ("check", "command", "one", "same", "other"),
    [
        (
            id_admin,
            "id admin",
            "uid=1(admin) gid=1(admins) groups=1(admins),2(editors)\n",
            "uid=1(admin) gid=1(admins) groups=2(editors),1(admins)\n",
            "uid=2(admin) gid=1(admins) groups=1(admins),2(editors)\n",
        ),
        (
            user_show,
            "ipa user-show admin",
            "  UID: 1\n  Member of groups: admins, trust admins\n",
            "  UID: 1\n  Member of groups: trust admins, admins\n",
            "  UID: 1\n  Member of groups: admins\n",
        ),
        (
            cert_find,
            "ipa cert-find",
            "  Subject: CN=a\n  Serial number: 1\n\n  Subject: CN=b\n  Serial number: 2\n",
            "  Subject: CN=b\n  Serial number: 2\n\n  Subject: CN=a\n  Serial number: 1\n",
            "  Subject: CN=b\n  Serial number: 1\n\n  Subject: CN=a\n  Serial number: 2\n",
        ),
    ],
)
def test_only_free_orders_are_forgiven(check: Any, command: str, one: str, same: str, other: str) -> None:
    def answer(text: str) -> Answer:
        found: Answer = check(FakeHost({command: text}))
        return found

    assert answer(one) == answer(same)
    assert answer(one) != answer(other)


def test_differences_are_shown_with_their_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    host: Any = FakeHost({"id admin": "uid=1(admin)"})
    monkeypatch.setattr(checks, "CHECKS", (Check("id admin", id_admin),))
    outline = Outline.note(host)
    outline.assert_unchanged()
    host.answers["id admin"] = "uid=2(admin)"
    with pytest.raises(CheckFailed, match=r"(?s)id admin.*-uid=1\(admin\).*\+uid=2\(admin\)"):
        outline.assert_unchanged()


def test_a_command_that_fails_afterwards_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    host: Any = FakeHost({"id admin": "uid=1(admin)"})
    monkeypatch.setattr(checks, "CHECKS", (Check("id admin", id_admin),))
    outline = Outline.note(host)
    host.answers.clear()
    assert "no answer" in outline.differences()["id admin"]


def test_a_comparison_names_what_went_and_what_came() -> None:
    text = compare(Answer(("a", "b")), Answer(("a", "c")))
    assert text.splitlines()[-2:] == ["-b", "+c"]


def test_every_check_of_the_test_outline_is_there() -> None:
    names = {check.name for check in checks.CHECKS}
    for asked in ("entry of admin", "ipa user-show admin", "id admin", "ipa cert-find", "host lookup", "kinit admin"):
        assert asked in names
