"""Words on the command line: usage errors, passwords, where things go."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from ipabackup.cli import backup, restore
from ipabackup.cli.options import password
from ipabackup.errors import NotRoot, UsageError


@pytest.mark.row("B13")
@pytest.mark.parametrize(
    "argv",
    [["--no-such-option"], ["-q", "-v"], ["extra-word"], ["--format", "9"], ["--gpg-keyring"]],
)
def test_words_that_do_not_fit_are_usage_errors(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        backup.main(argv)
    assert caught.value.code == 2
    assert "See 'ipa-backup --help'" in capsys.readouterr().err


@pytest.mark.row("B13")
def test_a_restore_without_a_backup_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in ([], ["--extract"]):
        with pytest.raises(SystemExit) as caught:
            restore.main(argv)
        assert caught.value.code == 2
    assert "BACKUP" in capsys.readouterr().err


@pytest.mark.row("R15")
@pytest.mark.parametrize(
    "argv",
    [
        ["--peer", "ipa2", "ipa-full-1"],
        ["--peer", "ipa2"],
        ["--reinitialize-peers", "--online"],
        ["--reinitialize-peers", "--replication=catch-up"],
        ["--reinitialize-peers", "--extract"],
    ],
)
def test_masters_are_filled_without_a_restore_only_when_nothing_is_said_of_one(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        restore.main(argv)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    "argv", [["--check-realm", "ipa-full-1"], ["--check-realm", "--extract"], ["--check-realm", "--wait", "-1"]]
)
def test_the_realm_is_checked_without_a_backup(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        restore.main(argv)
    assert caught.value.code == 2
    assert "See 'ipa-restore --help'" in capsys.readouterr().err


@pytest.mark.row("B13")
@pytest.mark.parametrize("main", [backup.main, restore.main])
@pytest.mark.parametrize("option", ["--version", "--help", "-h"])
def test_version_and_help_need_no_root(main: object, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(main)
    with pytest.raises(SystemExit) as caught:
        main([option])
    assert caught.value.code == 0
    assert "ipa-" in capsys.readouterr().out


@pytest.mark.row("R5")
def test_the_word_after_extract_is_the_backup_when_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, Path]] = []
    monkeypatch.setattr(
        restore, "conclude", lambda arguments, prog, deed: seen.append((arguments.backup, arguments.extract))
    )
    restore.main(["--extract", "ipa-full-1"])
    restore.main(["ipa-full-1", "--extract"])
    restore.main(["ipa-full-1", "--extract", "/target"])
    assert seen == [("ipa-full-1", Path()), ("ipa-full-1", Path()), ("ipa-full-1", Path("/target"))]


def test_a_backups_name_alone_is_looked_up_where_backups_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert restore.find_backup("ipa-full-1") == Path("/var/lib/ipa/backup/ipa-full-1")
    (tmp_path / "ipa-full-1").mkdir()
    assert restore.find_backup("ipa-full-1") == Path("ipa-full-1")
    assert restore.find_backup("/srv/ipa-full-1") == Path("/srv/ipa-full-1")


def given(word: str | None = None, file: Path | None = None) -> argparse.Namespace:
    return argparse.Namespace(password=word, password_file=file)


@pytest.mark.row("B13")
def test_a_password_comes_from_the_first_line_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("Secret123\nsecond line\n")
    assert password(given(file=file)) == "Secret123"
    assert password(given()) is None
    file.write_text("\n")
    with pytest.raises(UsageError, match="empty"):
        password(given(file=file))
    with pytest.raises(UsageError, match="cannot be read"):
        password(given(file=tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="exclude each other"):
        password(given("word", file))


_ASKS = """
import argparse
from pathlib import Path
from ipabackup.cli.options import password
from ipabackup.errors import UsageError
try:
    password(argparse.Namespace(password=None, password_file=Path("-")))
except UsageError as error:
    print(error.message)
"""


@pytest.mark.row("B13")
def test_a_password_that_nobody_is_there_to_give_is_a_usage_error() -> None:
    # Without a terminal it is read from standard input, which is at its end here.
    asked = subprocess.run(
        [sys.executable, "-c", _ASKS],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    assert "Nobody answers" in asked.stdout


_SHOWS_ITSELF = """
import sys
from pathlib import Path
from ipabackup.cli.options import hide_argument
hide_argument(sys.argv[2])
print(Path('/proc/self/cmdline').read_bytes())
"""


@pytest.mark.row("B13")
def test_a_password_on_the_command_line_is_hidden_from_others() -> None:
    argv = [sys.executable, "-c", _SHOWS_ITSELF, "-p", "Secret-4711"]
    shown = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert "Secret-4711" not in shown.stdout
    assert "***********" in shown.stdout


@pytest.mark.row("R13")
def test_only_root_may(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert backup.main([]) == NotRoot.exit_status
    assert "must be run as root" in capsys.readouterr().err
