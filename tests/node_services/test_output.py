"""What `ipa` prints, compared with what a real FreeIPA printed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.node.api import output
from lab.node.api.vocabulary import VERBS
from lab.node.commands import ipa

ADMIN: dict[str, Any] = {
    "dn": "uid=admin,cn=users,cn=accounts,dc=example,dc=test",
    "has_keytab": True,
    "memberof_group": ["admins", "trust admins"],
    "uid": ["admin"],
    "sn": ["Administrator"],
    "homedirectory": ["/home/admin"],
    "loginshell": ["/bin/bash"],
    "krbcanonicalname": ["admin@EXAMPLE.TEST"],
    "krbprincipalname": ["admin@EXAMPLE.TEST", "root@EXAMPLE.TEST"],
    "uidnumber": ["1997800000"],
    "gidnumber": ["1997800000"],
    "nsaccountlock": False,
    "has_password": True,
}
ADMIN_SHOWN = """\
  User login: admin
  Last name: Administrator
  Home directory: /home/admin
  Login shell: /bin/bash
  Principal name: admin@EXAMPLE.TEST
  Principal alias: admin@EXAMPLE.TEST, root@EXAMPLE.TEST
  UID: 1997800000
  GID: 1997800000
  Account disabled: False
  Password: True
  Member of groups: admins, trust admins
  Kerberos keys available: True"""


@pytest.mark.row("L3")
def test_a_user_is_shown_as_freeipa_shows_it() -> None:
    assert "\n".join(output.result_lines({"result": ADMIN, "summary": None}, output.USER)) == ADMIN_SHOWN


@pytest.mark.row("L3")
def test_a_deletion_is_a_line_between_dashes_of_its_length() -> None:
    result = {"result": {"failed": []}, "value": ["bob"], "summary": 'Deleted user "bob"'}
    assert output.result_lines(result, ()) == ["------------------", 'Deleted user "bob"', "------------------"]


@pytest.mark.row("L3")
def test_found_entries_are_counted_before_and_after_and_parted_by_blank_lines() -> None:
    hosts = [{"fqdn": ["ipa1.example.test"]}, {"fqdn": ["ipa2.example.test"]}]
    result = {"result": hosts, "count": 2, "summary": "2 hosts matched"}
    assert output.result_lines(result, output.HOST) == [
        "---------------",
        "2 hosts matched",
        "---------------",
        "  Host name: ipa1.example.test",
        "",
        "  Host name: ipa2.example.test",
        "----------------------------",
        "Number of entries returned 2",
        "----------------------------",
    ]
    assert output.exit_status(result) == 0


def test_finding_nothing_has_exit_status_1() -> None:
    assert output.exit_status({"result": [], "count": 0, "summary": "0 users matched"}) == 1


def test_all_shows_what_has_no_label_under_its_own_name() -> None:
    lines = output.result_lines({"result": {**ADMIN, "ipauniqueid": ["x"]}}, output.USER, everything=True)
    assert lines[0] == f"  dn: {ADMIN['dn']}"
    assert lines[-1] == "  ipauniqueid: x"


def test_a_member_that_could_not_be_added_is_named_with_the_reason() -> None:
    result = {"failed": {"member": {"user": [["nosuch", "no such entry"]], "group": []}}, "completed": 0}
    lines = list(output.member_lines(result, "added"))
    assert "    member user: nosuch: no such entry" in lines
    assert "Number of members added 0" in lines
    assert output.exit_status(result) == 1


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_dashes_are_as_long_as_the_text(text: str) -> None:
    above, middle, below = output.dashed(text)
    assert above == below == "-" * len(middle)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_command_has_help(verb: str) -> None:
    assert f"usage: ipa {verb}" in ipa.parser_for(VERBS[verb]).format_help()


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert ipa.main(["nonsense"]) == 1
    assert "ipa: ERROR: unknown command 'nonsense'" in capsys.readouterr().err


def test_garbage_options_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        ipa.main(["user-show", "--no-such-option", "admin"])
    assert ended.value.code == 2
    assert "ipa: ERROR: unrecognized arguments" in capsys.readouterr().err


def test_a_host_that_is_no_client_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(ipa, "DEFAULT_CONF", tmp_path / "default.conf")
    assert ipa.main(["ping"]) == 1
    assert "IPA client is not configured on this system" in capsys.readouterr().err


@pytest.mark.parametrize("given_time", ["20300101000000Z", "2030-01-01 00:00:00Z", "2030-01-01T00:00:00"])
def test_an_expiry_is_taken_in_several_spellings(given_time: str) -> None:
    option = next(o for o in VERBS["user-mod"].options if o.name == "krbpasswordexpiration")
    assert ipa.value_of(option, given_time) == "20300101000000Z"
