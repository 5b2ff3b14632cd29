"""The audit's comparison of changed paths with an inventory and a list of ignored ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.audit import Ignored, Listed, compare, ignored, matches

pytestmark = pytest.mark.row("F2")


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/etc/krb5.conf", "/etc/krb5.conf", True),
        ("/etc/krb5.conf", "/etc/krb5.conf.d", False),
        ("/etc/krb5.conf", "/etc/krb5xconf", False),
        ("/var/lib/sss", "/var/lib/sss/db/a.ldb", True),
        ("/var/lib/sss/*.ldb", "/var/lib/sss/db/a.ldb", False),
        ("/var/lib/sss/*/*.ldb", "/var/lib/sss/db/a.ldb", True),
        ("/etc/rc[2-5].d/[KS]0?x", "/etc/rc3.d/S01x", True),
        ("/etc/rc[2-5].d/[KS]0?x", "/etc/rc6.d/S01x", False),
    ],
)
def test_a_pattern_matches_a_path_and_all_below_it(pattern: str, path: str, expected: bool) -> None:
    assert matches(pattern, path) is expected


@pytest.mark.parametrize(
    ("kind", "path", "known"),
    [
        ("file", "/a/b", True),
        ("file", "/a", True),
        ("file", "/a/b/c", False),
        ("file", "/a/bc", False),
        ("directory", "/a/b/c/d", True),
        ("directory", "/a/b/out", False),
        ("directory", "/a/b/out/deep", False),
        ("log", "/a/b/c", True),
        ("required-directory", "/a/b", True),
        ("required-directory", "/a/b/c", False),
    ],
)
def test_what_a_listed_path_stands_for(kind: str, path: str, known: bool) -> None:
    assert Listed("/a/b", kind, ("/a/b/out",)).knows(path) is known


def test_unknown_paths_and_idle_patterns_are_found() -> None:
    listed = [Listed("/etc/ipa", "directory")]
    ignoring = [
        Ignored(("/var/cache/*", "/etc/ipa/nssdb"), "reasons"),
        Ignored(("/never",), "reason"),
        Ignored(("/now-and-then",), "reason", sometimes=True),
    ]
    findings = compare(["/etc/ipa/nssdb/key4.db", "/var/cache/x", "/etc/new"], listed, ignoring)
    assert findings.unknown == ("/etc/new",)
    assert findings.idle == ("/etc/ipa/nssdb", "/never")


def test_every_ignored_path_has_a_reason(tmp_path: Path) -> None:
    assert all(len(entry.reason) > 20 for entry in ignored())
    file = tmp_path / "list.toml"
    file.write_text('[[ignored]]\npaths = ["/x"]\n')
    with pytest.raises(ValueError, match="reason"):
        ignored(file)
