"""The page of a run: each scenario is on it, failures link to what was saved, and nothing in it is taken for HTML."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from tests.plugins.run_report import Phase, Scenario, folder_of, render

FAILED = "scenarios/test_x.py::test_it_breaks[a-b]"


def page(saved: set[str] | None = None) -> str:
    passed = Scenario("scenarios/test_x.py::test_it_works", "T1 T2", "gw0", phases=[Phase("call", 10, 20)])
    failed = Scenario(FAILED, "R1", "gw1", "failed", [Phase("setup", 0, 10), Phase("call", 10, 90)], ["<b>no & no</b>"])
    return render([passed, failed], 0, 100, [], saved or set())


def test_failed_scenarios_come_first_with_what_they_said() -> None:
    text = page()
    assert text.index("test it breaks[a-b]") < text.index("test it works")
    assert "1 failed, 1 passed" in text
    assert "&lt;b&gt;no &amp; no&lt;/b&gt;" in text
    assert ">90.0</td>" in text
    assert "left:10.00%;width:80.00%" in text


def test_what_was_saved_is_linked_where_it_is() -> None:
    assert "href" not in page()
    assert f'href="{folder_of(FAILED)}/"' in page({folder_of(FAILED)})
    assert 'href="scenarios-test-x-py/"' in page({"scenarios-test-x-py"}), "a shared realm goes by its file"


def test_every_element_is_closed_and_nothing_is_fetched() -> None:
    class Elements(HTMLParser):
        open: list[str]

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert not {"src", "data"} & {name for name, _ in attrs}
            if tag not in ("meta", "br"):
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    parser = Elements()
    parser.open = []
    parser.feed(page({folder_of(FAILED)}))
    assert parser.open == []


def test_the_plugin_writes_the_page_of_a_real_run(tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "test_small.py").write_text("def test_good(): pass\ndef test_bad(): assert 1 == 2, 'one is not two'\n")
    (tmp_path / "conftest.py").write_text(
        "import pytest\nfrom pathlib import Path\nfrom tests.plugins.run_report import KEPT_LAB, RunReport\n"
        "@pytest.hookimpl(wrapper=True)\n"
        "def pytest_runtest_makereport(item):\n"
        "    report = yield\n"
        "    if report.when == 'teardown' and 'bad' in item.name:\n"
        "        report.user_properties.append((KEPT_LAB, 'lab-1'))\n"
        "    return report\n"
        "def pytest_configure(config):\n"
        "    if not hasattr(config, 'workerinput'):\n"
        f"        config.pluginmanager.register(RunReport(Path({str(tmp_path / 'out')!r})))\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-c", "pyproject.toml", f"--rootdir={tmp_path}"]
    ended = subprocess.run([*command, str(tmp_path)], cwd=root, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "1 failed, 1 passed" in text
    assert "one is not two" in text
    assert "gw" in text
    assert str(tmp_path / "out" / "report.html") in ended.stdout
    assert ended.stdout.count("Left up: python -m lab shell --lab lab-1") == 1
