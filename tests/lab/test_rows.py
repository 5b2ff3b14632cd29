"""The plugin that ties tests to rows."""

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugins import rows

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]

DOCUMENT = """
| row | requirement |
|---|---|
| B1 | Stop IPA and start it again |
| T1 | Full restore |
| T2 | Removed users |
"""

TESTS = """
import pytest

@pytest.mark.row("B1", "T1")
def test_one(): pass

@pytest.mark.row("T1")
@pytest.mark.parametrize("n", [1, 2])
def test_two(n): pass

def test_three(): pass
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    document = pytester.path / "requirements.md"
    document.write_text(DOCUMENT)
    monkeypatch.setattr(rows, "REQUIREMENTS", document)
    monkeypatch.setattr(rows.known_rows, "__defaults__", (document,))
    pytester.makepyfile(TESTS)
    return pytester


def _run(suite: pytest.Pytester, *words: str) -> pytest.RunResult:
    return suite.runpytest_inprocess("-p", "tests.plugins.rows", *words)


def test_rows_are_read_from_tables(tmp_path: Path) -> None:
    document = tmp_path / "requirements.md"
    document.write_text(DOCUMENT)
    assert list(rows.known_rows(document)) == ["B1", "T1", "T2"]


def test_a_row_selects_the_tests_that_prove_it(suite: pytest.Pytester) -> None:
    _run(suite, "--row", "B1").assert_outcomes(passed=1, deselected=2 + 1)
    _run(suite, "--row", "T1").assert_outcomes(passed=3, deselected=1)
    _run(suite, "--row", "B1", "--row", "T1").assert_outcomes(passed=3, deselected=1)


def test_an_unknown_row_is_an_error(suite: pytest.Pytester) -> None:
    assert _run(suite, "--row", "X9").ret == pytest.ExitCode.USAGE_ERROR
    suite.makepyfile(test_bad='import pytest\n@pytest.mark.row("Z1")\ndef test_bad(): pass')
    assert _run(suite).ret == pytest.ExitCode.USAGE_ERROR


def test_the_list_names_tests_and_what_nothing_proves(suite: pytest.Pytester) -> None:
    result = _run(suite, "--list-rows")
    result.stdout.fnmatch_lines(["B1 *Stop IPA*", "*::test_one", "T1 *", "*::test_two", "T2 *Removed users"])
    result.stdout.fnmatch_lines(["2 of 3 rows have a test; nothing proves: T2"])
    assert "test_one PASSED" not in result.stdout.str()
    assert result.ret == pytest.ExitCode.OK


def test_a_skipped_test_fails_the_run_unless_it_may_be_skipped(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_skips="""
        import pytest

        @pytest.mark.may_skip("needs a fixture that is not everywhere")
        def test_may(): pytest.skip("not here")
        """
    )
    assert _run(suite, "--skips-fail").ret == pytest.ExitCode.OK
    suite.makepyfile(test_worse='import pytest\ndef test_worse(): pytest.skip("no time")')
    assert _run(suite).ret == pytest.ExitCode.OK
    result = _run(suite, "--skips-fail")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*skipped without leave: test_worse.py::test_worse"])


@pytest.mark.parametrize(
    ("given", "file"), [("--row T5", "test_data.py"), ("scenarios/test_faults.py", "test_faults.py")]
)
def test_scenarios_are_chosen_by_options_alone_and_by_names(given: str, file: str) -> None:
    """As ``tox -e scenarios -- --row T5`` does, and ``-- scenarios/test_faults.py``."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    command = tox["testenv:scenarios"]["commands"].splitlines()[-1].replace("{env:SCENARIO_WORKERS:6}", "0")
    _, *words = command.replace("{posargs}", f"{given} --collect-only -qq").split()
    found = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    chosen = [line for line in found.stdout.splitlines() if "::" in line]
    assert chosen
    assert all(line.startswith("scenarios/") for line in chosen)
    assert any(f"/{file}::" in line for line in chosen)
