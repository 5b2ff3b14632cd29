"""Files are written whole; commands keep their secrets."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.node.files import render, write_file
from lab.node.kadmin import complaints, quoted
from lab.node.run import MASK, CommandFailed, masked, run
from lab.node.services import WaitedTooLong, wait_for


def test_a_file_gets_its_mode_and_no_draft_stays(tmp_path: Path) -> None:
    write_file(tmp_path / "ds.keytab", b"\x05\x02", mode=0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["ds.keytab"]
    assert (tmp_path / "ds.keytab").stat().st_mode & 0o7777 == 0o600


def test_a_reader_of_the_old_file_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "krb5.conf"
    path.write_text("old")
    with path.open() as reader:
        write_file(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "krb5.conf"
    path.write_text("old")
    with pytest.raises(LookupError):
        write_file(path, "new", owner="no-such-account-here")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["krb5.conf"]


def test_a_template_without_all_its_values_is_not_written() -> None:
    assert render("realm = ${realm}", realm="EXAMPLE.TEST") == "realm = EXAMPLE.TEST"
    with pytest.raises(KeyError, match="realm"):
        render("realm = ${realm}", domain="example.test")


def test_a_failing_command_says_what_it_printed() -> None:
    with pytest.raises(CommandFailed, match="status 3: it broke") as caught:
        run([sys.executable, "-c", "import sys; print('it broke', file=sys.stderr); sys.exit(3)"])
    assert caught.value.completed.status == 3


def test_a_missing_command_and_an_endless_one_fail_like_in_a_shell() -> None:
    with pytest.raises(CommandFailed, match="status 127"):
        run(["/no/such/command"], check=False)
    with pytest.raises(CommandFailed, match="status 124"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], limit=0.2)


def test_secrets_are_in_neither_log_nor_error(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(CommandFailed) as caught:
        run(
            [sys.executable, "-c", "import sys; print(sys.argv[1], sys.stdin.read()); sys.exit(1)", "Secret123"],
            input="Secret123",
            secrets=["Secret123"],
        )
    assert MASK in caplog.text
    assert "Secret123" not in caplog.text + str(caught.value) + caught.value.completed.stdout


@given(text=st.text("abS3-"), secrets=st.lists(st.text("abS3", min_size=1, max_size=4), max_size=4))
def test_no_secret_survives_masking(text: str, secrets: list[str]) -> None:
    left = masked(text, secrets).replace(MASK, "\n")
    assert not any(secret in left for secret in secrets)


def test_kadmin_words_are_quoted_as_its_parser_reads_them() -> None:
    assert quoted('say "x"') == '"say ""x"""'


@pytest.mark.parametrize(
    "said",
    [
        "kadmin.local: Cannot find master key record in database while initializing kadmin.local interface",
        'change_password: Principal does not exist while changing password for "x@EXAMPLE.TEST".',
        "kadmin.local: Principal x@EXAMPLE.TEST does not exist.",
        "ktadd: cannot specify keysaltlist when not changing key",
    ],
)
def test_complaints_of_kadmin_are_noticed(said: str) -> None:
    assert complaints(said) == [said]


def test_warnings_of_kadmin_are_not_complaints() -> None:
    said = 'No policy specified for x@EXAMPLE.TEST; defaulting to no policy\nWARNING: policy "x" does not exist\n'
    assert complaints(said) == []


def test_a_wait_that_is_too_long_says_for_what() -> None:
    with pytest.raises(WaitedTooLong, match=r"waited 0\.05 seconds for rain"):
        wait_for("rain", lambda: False, limit=0.05, every=0.01)
