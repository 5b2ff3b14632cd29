"""What the installer asks, refuses and writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.node.commands.ipa_server_install import main, parser
from lab.node.component import Install
from lab.node.facts import InstallOptions, RealmFacts
from lab.node.install import checks, questions
from lab.node.install.checks import Refused
from lab.node.install.order import ORDER, components
from lab.node.install.sssd import nsswitch_with_sss

FULL = InstallOptions(
    realm="EXAMPLE.TEST",
    domain="example.test",
    hostname="ipa1.example.test",
    dm_password="Secret123",
    admin_password="Secret123",
    no_forwarders=True,
    setup_dns=True,
    unattended=True,
)


def answering(answers: Iterable[str]) -> Callable[[str], str]:
    """Answers in order; a question too many is an error."""
    left = iter(answers)

    def answer(question: str) -> str:
        assert question
        return next(left)

    return answer


def test_a_complete_command_line_is_asked_nothing() -> None:
    assert questions.complete(FULL, "other.example.test", ask=answering([]), ask_secret=answering([])) == FULL


@pytest.mark.parametrize(
    ("hole", "reason"),
    [
        ({"realm": ""}, "-r/--realm is required"),
        ({"dm_password": ""}, "-p/--ds-password is required"),
        ({"admin_password": ""}, "-a/--admin-password is required"),
        ({"no_forwarders": False}, "--no-forwarders"),
        ({"dm_password": "short"}, "at least 8 characters"),
        ({"admin_password": "Secret123\n"}, "control characters"),
        ({"hostname": "ipa1"}, "fully-qualified"),
        ({"hostname": "IPA1.example.test"}, "lower-case"),
        ({"hostname": "localhost.example.test"}, "localhost"),
        ({"domain": "exa_mple.test"}, "exa_mple"),
        ({"domain": "-x.test"}, "-x"),
        ({"domain": "test"}, "at least 2 parts"),
        ({"realm": "example.test"}, "upper-case"),
        ({"domain": "ipa1.example.test"}, "cannot be the same"),
        ({"dirsrv_cert_files": ("a",)}, "--dirsrv-pin with --dirsrv-cert-file"),
        ({"http_cert_files": ("a",)}, "--http-pin with --http-cert-file"),
        ({"dirsrv_config_file": "/nowhere.ldif"}, "/nowhere.ldif"),
    ],
)
def test_unattended_refuses_what_is_missing_or_wrong(hole: dict[str, object], reason: str) -> None:
    with pytest.raises(Refused, match=re.escape(reason)):
        questions.complete(replace(FULL, **hole), "ipa1.example.test")  # type: ignore[arg-type]


def test_questions_fill_the_holes_with_defaults_from_the_host_name() -> None:
    answers = ["", "yes", "", "", "no"]
    secrets = ["short", "Secret123", "Secret123", "Secret123", "Secret124", "Secret456", "Secret456"]
    options = questions.complete(
        InstallOptions(), "ipa1.example.test", ask=answering(answers), ask_secret=answering(secrets)
    )
    assert options == replace(FULL, unattended=False, admin_password="Secret456")


def test_the_passwords_of_keys_are_asked_for() -> None:
    options = replace(FULL, unattended=False, dirsrv_cert_files=("d.p12",), http_cert_files=("h.p12",), http_pin="")
    found = questions.complete(options, "x", ask=answering([]), ask_secret=answering(["of d.p12"]))
    assert (found.dirsrv_pin, found.http_pin) == ("of d.p12", "")
    assert "of d.p12" not in repr(found)


def test_a_wrong_answer_is_asked_again(capsys: pytest.CaptureFixture[str]) -> None:
    options = questions.complete(
        replace(FULL, unattended=False, domain=""), "x", ask=answering(["exa mple", "example.test"])
    )
    assert options.domain == "example.test"
    assert "exa mple" in capsys.readouterr().out


def test_nothing_is_installed_without_a_yes() -> None:
    with pytest.raises(Refused, match="aborted"):
        questions.confirm(replace(FULL, unattended=False), "192.0.2.1", ask=answering([""]))
    with pytest.raises(Refused, match="Aborting uninstall"):
        questions.confirm_uninstall(ask=answering(["n"]))


@pytest.mark.parametrize("text", ["127.0.0.1", "0.0.0.0", "224.0.0.1", "300.1.1.1", "ipa1.example.test"])
def test_addresses_that_no_server_can_have_are_refused(text: str) -> None:
    with pytest.raises(Refused, match="invalid IP address"):
        checks.check_address(text)


@given(st.lists(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True), min_size=3, max_size=5))
def test_every_proper_host_name_is_taken(labels: list[str]) -> None:
    name = ".".join(labels)
    if not name.startswith("localhost"):
        assert checks.check_hostname(name) == name


@given(st.text(min_size=1, max_size=20))
def test_no_name_with_strange_characters_becomes_a_domain(text: str) -> None:
    if re.fullmatch(r"[a-z0-9.-]+", text) is None:
        with pytest.raises(Refused):
            checks.check_domain(f"{text}.test")


def test_the_options_that_people_use_are_understood() -> None:
    line = (
        "-U -r EXAMPLE.TEST -n example.test -p Secret123 -a Secret123 --hostname ipa1.example.test "
        "--setup-dns --forwarder 192.0.2.53 --no-ntp"
    )
    given_words = parser().parse_args(line.split())
    assert (given_words.realm, given_words.setup_dns, given_words.forwarder) == ("EXAMPLE.TEST", True, ["192.0.2.53"])
    assert parser().parse_args(["--uninstall", "-U"]).uninstall


def test_sss_is_added_once_and_nothing_else_changes() -> None:
    text = "# comment\npasswd:         files\ngroup: files systemd\nhosts:          files dns\n"
    changed = nsswitch_with_sss(text)
    assert changed == (
        "# comment\npasswd:         files sss\ngroup: files systemd sss\nhosts:          files dns\nshadow: files sss\n"
    )
    assert nsswitch_with_sss(changed) == changed


@given(st.lists(st.sampled_from(["passwd: files", "group:\tfiles sss", "shadow: compat", "hosts: dns", "# x"])))
def test_asking_sss_twice_is_asking_it_once(lines: list[str]) -> None:
    once = nsswitch_with_sss("\n".join(lines) + "\n")
    assert nsswitch_with_sss(once) == once


def test_steps_are_announced_as_freeipa_does_and_end_at_the_first_failure() -> None:
    said: list[str] = []
    done: list[str] = []
    install = Install(RealmFacts("R", "d", "h"), FULL, out=said.append)

    def fail() -> None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        install.run_steps("kadmin", [("one", lambda: done.append("one")), ("two", fail), ("three", done.clear)])
    assert done == ["one"]
    assert said == ["Configuring kadmin", "  [1/3]: one", "  [2/3]: two"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--dirsrv-cert-file", "d.p12", "--no-pkinit"], "--http-cert-file are required"),
        (["--http-cert-file", "h.p12", "--no-pkinit"], "--dirsrv-cert-file and"),
        (["--dirsrv-cert-file", "d.p12", "--http-cert-file", "h.p12"], "--no-pkinit are required"),
    ],
)
def test_certificates_are_given_completely(words: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


def test_a_server_without_an_authority_has_no_part_of_one() -> None:
    pytest.importorskip("cryptography", reason="needs cryptography")
    with_one = {part.name for part in components(FULL)}
    without = {part.name for part in components(replace(FULL, ca_less=True))}
    assert with_one - without == {"ca", "certmonger", "directory-tls"}
    assert without - with_one == {"external-certificates"}


@pytest.mark.row("L6")
def test_an_upgraded_layout_adds_the_authoritys_own_directory_before_the_authority() -> None:
    pytest.importorskip("cryptography", reason="needs cryptography")
    names = [part.name for part in components(replace(FULL, upgraded_layout=True))]
    assert set(names) - {part.name for part in components(FULL)} == {"authority-directory", "authority-directory-tls"}
    assert names.index("directory") < names.index("authority-directory") < names.index("ca")
    assert names.index("certmonger") < names.index("authority-directory-tls")
    ca_less = {part.name for part in components(replace(FULL, ca_less=True))}
    assert {part.name for part in components()} == {*names, *ca_less}, "an uninstall takes all of them away"


def test_an_upgraded_layout_is_about_an_authority(capsys: pytest.CaptureFixture[str]) -> None:
    certificates = ["--dirsrv-cert-file", "d.p12", "--http-cert-file", "h.p12", "--no-pkinit"]
    with pytest.raises(SystemExit) as ended:
        main([*certificates, "--layout=upgraded"])
    assert ended.value.code == 2
    assert "--layout=upgraded" in capsys.readouterr().err
    assert "--layout" not in parser().format_help(), "FreeIPA has no such option"


def test_the_directory_comes_first_and_replication_last() -> None:
    names = [name.rsplit(":", 1)[1] for name in ORDER]
    assert names[:2] == ["DirectoryServer", "Kerberos"]
    assert names[-2:] == ["Client", "Replication"]
    assert names.index("Certmonger") < names.index("DirectoryTLS") < names.index("HttpServer")
