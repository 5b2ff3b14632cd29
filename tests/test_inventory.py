"""The inventory: reading lists, resolving them, and what the shipped ones hold."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipabackup.errors import UsageError
from ipabackup.host.files import Paths
from ipabackup.inventory import SHIPPED, InventoryItem, Names, PathKind, Rule, load, read_list, resolve

NAMES = Names("EXAMPLE.TEST", "example.test", "ipa1.example.test", ("EXAMPLE-TEST",), "debian")


class Existing:
    """A probe that knows these paths."""

    def __init__(self, *paths: str) -> None:
        self._paths = sorted(paths)

    def expand(self, pattern: str) -> Sequence[str]:
        depth = pattern.count("/")
        return [path for path in self._paths if path.count("/") == depth and fnmatch.fnmatchcase(path, pattern)]


def rule(pattern: str, kind: PathKind = PathKind.FILE, **words: object) -> Rule:
    return Rule(pattern, kind, "test", **words)  # type: ignore[arg-type]


def paths(rules: Sequence[Rule], *existing: str, names: Names = NAMES, logs: bool = False) -> list[str]:
    return [item.path for item in resolve(rules, names, Existing(*existing), logs=logs).items]


@pytest.mark.row("F1", "B5")
def test_placeholders_and_patterns_find_what_exists() -> None:
    rules = [
        rule("/etc/dirsrv/slapd-{instance}", PathKind.DIRECTORY),
        rule("/x/{host}-*-{realm}"),
        rule("/none"),
    ]
    found = paths(
        rules,
        "/etc/dirsrv/slapd-EXAMPLE-TEST",
        "/etc/dirsrv/slapd-OTHER",
        "/x/ipa1.example.test-443-EXAMPLE.TEST",
    )
    assert found == ["/etc/dirsrv/slapd-EXAMPLE-TEST", "/x/ipa1.example.test-443-EXAMPLE.TEST"]


@pytest.mark.row("F1", "B3")
def test_every_instance_is_taken_and_excludes_only_its_own(tmp_path: Path) -> None:
    names = Names("R", "d", "h", ("EXAMPLE-TEST", "PKI-IPA"))
    rules = [rule("/lib/slapd-{instance}", PathKind.DIRECTORY, exclude=("/lib/slapd-{instance}/db",))]
    items = resolve(rules, names, Existing("/lib/slapd-EXAMPLE-TEST", "/lib/slapd-PKI-IPA")).items
    assert [item.exclude for item in items] == [("/lib/slapd-EXAMPLE-TEST/db",), ("/lib/slapd-PKI-IPA/db",)]
    assert items[0].excludes("/lib/slapd-EXAMPLE-TEST/db/userRoot/id2entry.db")
    assert not items[0].excludes("/lib/slapd-EXAMPLE-TEST/dbx")


def test_a_name_with_pattern_signs_means_itself() -> None:
    names = Names("R", "d", "host[1]*", ())
    assert paths([rule("/x/{host}")], "/x/host[1]*", "/x/host1", "/x/host1a", names=names) == ["/x/host[1]*"]


def test_a_path_within_a_taken_folder_is_not_listed_again() -> None:
    rules = [
        rule("/var/lib/ipa/sysrestore", PathKind.DIRECTORY),
        rule("/var/lib/ipa", PathKind.DIRECTORY, exclude=("/var/lib/ipa/backup",)),
        rule("/var/lib/ipa/backup/keep"),
        rule("/var/lib/ipa2"),
    ]
    existing = ["/var/lib/ipa", "/var/lib/ipa/sysrestore", "/var/lib/ipa/backup/keep", "/var/lib/ipa2"]
    assert paths(rules, *existing) == ["/var/lib/ipa", "/var/lib/ipa/backup/keep", "/var/lib/ipa2"]


def test_a_folder_of_ipas_own_within_another_stays_listed() -> None:
    rules = [rule("/a", PathKind.DIRECTORY), rule("/a/b", PathKind.DIRECTORY, exclusive=True)]
    assert paths(rules, "/a", "/a/b") == ["/a", "/a/b"]


@pytest.mark.row("B6")
def test_logs_come_only_when_asked_for_but_their_folders_always() -> None:
    rules = [rule("/var/log/pki", PathKind.REQUIRED_DIRECTORY), rule("/var/log/ipa.log", PathKind.LOG)]
    assert paths(rules, "/var/log/pki", "/var/log/ipa.log") == ["/var/log/pki"]
    assert paths(rules, "/var/log/pki", "/var/log/ipa.log", logs=True) == ["/var/log/pki", "/var/log/ipa.log"]


@pytest.mark.row("B6")
def test_a_log_folder_asked_for_is_listed_as_log_too() -> None:
    rules = [rule("/var/log/pki", PathKind.REQUIRED_DIRECTORY), rule("/var/log/pki", PathKind.LOG)]
    kinds = [item.kind for item in resolve(rules, NAMES, Existing("/var/log/pki"), logs=True).items]
    assert kinds == [PathKind.REQUIRED_DIRECTORY, PathKind.LOG]


@pytest.mark.row("B5")
def test_only_what_this_generation_should_have_is_missed() -> None:
    rules = [
        rule("/a", generations=frozenset({"debian"})),
        rule("/b", generations=frozenset({"redhat"})),
        rule("/c", optional=True),
        rule("/d"),
    ]
    missing = resolve(rules, NAMES, Existing()).missing
    assert [found.pattern for found in missing] == ["/a", "/d"]
    guessed = Names("R", "d", "h", ())
    missing = resolve(rules, guessed, Existing("/etc/redhat-release")).missing
    assert [found.pattern for found in missing] == ["/b", "/d"]
    upgraded = Existing("/var/lib/pki-ca", "/etc/debian_version")
    assert [found.pattern for found in resolve(rules, guessed, upgraded).missing] == ["/a", "/d"]


@pytest.mark.row("F3")
def test_an_administrator_adds_a_list_and_replaces_one_of_ours(tmp_path: Path) -> None:
    ours, local = tmp_path / "ours", tmp_path / "local"
    ours.mkdir()
    local.mkdir()
    (ours / "a.toml").write_text('[[entry]]\npaths = ["/a"]\n')
    (ours / "b.toml").write_text('[[entry]]\npaths = ["/b"]\n')
    (local / "b.toml").write_text('service = "mine"\n[[entry]]\npaths = ["/mine"]\n')
    (local / "z.toml").write_text('[[entry]]\npaths = ["/z"]\nkind = "directory"\n')
    rules = load((ours, local, tmp_path / "missing"))
    assert [(found.pattern, found.service) for found in rules] == [
        ("/a", "a"),
        ("/mine", "mine"),
        ("/z", "z"),
    ]


@pytest.mark.row("F3")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[entry", "cannot be read"),
        ('[[entries]]\npaths = ["/a"]', "unknown: entries"),
        ('[[entry]]\npath = ["/a"]', "unknown words: path"),
        ('[[entry]]\npaths = "/a"', "not a list"),
        ("[[entry]]\npaths = []", "names no paths"),
        ('[[entry]]\npaths = ["a"]', "not an absolute path"),
        ('[[entry]]\npaths = ["/a/../b"]', "'..'"),
        ('[[entry]]\npaths = ["/{instnce}"]', "no such placeholder: instnce"),
        ('[[entry]]\npaths = ["/a"]\nkind = "dir"', "dir"),
        ('[[entry]]\npaths = ["/a"]\ngenerations = ["suse"]', "no such generation: suse"),
        ('[[entry]]\npaths = ["/a"]\nexclusive = 1', "neither true nor false"),
        ('[[entry]]\npaths = ["/[z-a]"]', "not a pattern"),
        ('entry = ["/a"]', "not a table"),
    ],
)
def test_a_wrong_list_is_refused_and_the_place_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "local.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=words) as refused:
        read_list(path)
    assert str(path) in refused.value.message


@given(st.lists(st.sampled_from(["a", "b*", "*", "?", "[ab]", "[!a]", "c.d"]), min_size=1, max_size=4))
def test_exclusion_agrees_with_the_shells_matching(parts: list[str]) -> None:
    item = InventoryItem("/r", PathKind.DIRECTORY, "test", exclude=("/r/" + "/".join(parts),))
    for candidate in ("a", "b", "bb", "c.d", "cxd", "a/a", "b/bb", "a/b/c.d", "b/a/a/a"):
        pieces = candidate.split("/")
        expected = len(pieces) >= len(parts) and all(
            fnmatch.fnmatchcase(piece, part) for piece, part in zip(pieces, parts, strict=False)
        )
        assert item.excludes(f"/r/{candidate}") == expected


@pytest.mark.row("F1")
def test_the_shipped_lists_are_sound() -> None:
    rules = load((SHIPPED,))
    assert len({(found.pattern, found.kind) for found in rules}) == len(rules)
    assert {found.service for found in rules} >= {
        "dirsrv",
        "kerberos",
        "httpd",
        "ca",
        "dns",
        "ipa",
        "certmonger",
    }
    for found in rules:
        if found.exclusive:
            assert found.kind is PathKind.DIRECTORY, found
        if found.exclude:
            assert found.reason, f"{found.pattern} excludes something without a reason"


@pytest.mark.row("F1", "B12")
def test_a_debian_server_has_everything_that_a_stock_restore_lacked(tmp_path: Path) -> None:
    existing = {
        "/etc/debian_version": None,
        "/etc/krb5kdc": "/etc/krb5kdc/kadm5.acl",
        "/etc/krb5.conf.d": "/etc/krb5.conf.d/freeipa",
        "/etc/apache2": "/etc/apache2/ipa/ipasession.key",
        "/usr/local/share/ca-certificates/ipa-ca": "/usr/local/share/ca-certificates/ipa-ca/ca.crt",
        "/var/lib/ipa": "/var/lib/ipa/private/httpd.key",
        "/var/lib/dirsrv/slapd-EXAMPLE-TEST": "/var/lib/dirsrv/slapd-EXAMPLE-TEST/scripts",
    }
    taken = resolve(load((SHIPPED,)), NAMES, Existing(*existing)).items
    for folder, file in existing.items():
        if file is not None:
            assert any(item.covers(file) for item in taken), f"nothing takes {file} of {folder}"
    for data in (
        "/var/lib/dirsrv/slapd-EXAMPLE-TEST/db/data.mdb",
        "/var/lib/dirsrv/slapd-EXAMPLE-TEST/ldif/leftover.ldif",
        "/var/lib/ipa/backup/ipa-full-2026-11-21-21-21-22/header",
    ):
        assert not any(item.covers(data) for item in taken), f"{data} must stay out"


DESIGN = [
    "/usr/share/ipa/html",
    "/etc/pki-ca",
    "/etc/httpd/alias",
    "/var/lib/pki-ca",
    "/var/lib/ipa-client/sysrestore",
    "/var/lib/sss/pubconf/krb5.include.d",
    "/var/lib/authconfig/last",
    "/var/lib/certmonger",
    "/var/lib/ipa",
    "/var/run/dirsrv",
    "/var/lock/dirsrv",
    "/etc/named.conf",
    "/etc/sysconfig/pki-ca",
    "/etc/sysconfig/dirsrv",
    "/etc/sysconfig/ntpd",
    "/etc/sysconfig/krb5kdc",
    "/etc/sysconfig/pki/ca/pki-ca",
    "/etc/sysconfig/authconfig",
    "/etc/resolv.conf",
    "/etc/pki/nssdb/cert8.db",
    "/etc/pki/nssdb/key3.db",
    "/etc/pki/nssdb/secmod.db",
    "/etc/nsswitch.conf",
    "/etc/krb5.keytab",
    "/etc/sssd/sssd.conf",
    "/etc/openldap/ldap.conf",
    "/etc/security/limits.conf",
    "/etc/httpd/conf/password.conf",
    "/etc/httpd/conf/ipa.keytab",
    "/etc/httpd/conf.d/ipa-pki-proxy.conf",
    "/etc/httpd/conf.d/ipa-rewrite.conf",
    "/etc/httpd/conf.d/nss.conf",
    "/etc/httpd/conf.d/ipa.conf",
    "/etc/ssh/sshd_config",
    "/etc/ssh/ssh_config",
    "/etc/krb5.conf",
    "/etc/ipa/ca.crt",
    "/etc/ipa/default.conf",
    "/etc/named.keytab",
    "/etc/ntp.conf",
    "/etc/dirsrv/ds.keytab",
    "/etc/sysconfig/dirsrv-EXAMPLE-TEST",
    "/etc/sysconfig/dirsrv-PKI-IPA",
    "/root/ca-agent.p12",
    "/root/cacert.p12",
    "/var/kerberos/krb5kdc/kdc.conf",
    "/etc/dirsrv/slapd-EXAMPLE-TEST",
    "/var/lib/dirsrv/scripts-EXAMPLE-TEST",
    "/var/lib/dirsrv/slapd-EXAMPLE-TEST",
    "/usr/lib64/dirsrv/slapd-PKI-IPA",
    "/etc/dirsrv/slapd-PKI-IPA",
    "/var/lib/dirsrv/slapd-PKI-IPA",
    "/var/log/pki-ca",
    "/var/log/dirsrv/slapd-EXAMPLE-TEST",
    "/var/log/dirsrv/slapd-PKI-IPA",
    "/var/log/httpd",
    "/var/log/ipaserver-install.log",
    "/var/log/kadmind.log",
    "/var/log/pki-ca-install.log",
    "/var/log/messages",
    "/var/log/ipaclient-install.log",
    "/var/log/secure",
    "/var/log/ipaserver-uninstall.log",
    "/var/log/pki-ca-uninstall.log",
    "/var/log/ipaclient-uninstall.log",
    "/var/named/data",
]


@pytest.mark.row("F1")
def test_the_designs_own_list_is_covered(tmp_path: Path) -> None:
    """On a host that has every path of the list; folders are told from files by the list's own use of them."""
    for path in DESIGN:
        (tmp_path / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
    names = Names("EXAMPLE.TEST", "example.test", "ipa.example.test", ("EXAMPLE-TEST", "PKI-IPA"), "v3")
    items = resolve(load((SHIPPED,)), names, Paths(tmp_path), logs=True).items
    missed = [path for path in DESIGN if not any(item.path == path or item.covers(path) for item in items)]
    assert missed == []


@pytest.mark.row("F1")
def test_what_the_stock_tool_saved_is_covered() -> None:
    """Every path in the files of a backup that FreeIPA's own tool made on Debian."""
    from ipabackup.archive.layout import file_path
    from ipabackup.archive.reader import open_payload

    fixtures = Path(__file__).parents[2] / "shared" / "fixtures" / "freeipa-4.13-debian"
    if not fixtures.is_dir():
        pytest.skip(f"{fixtures} is not here")
    saved = []
    for member, _ in open_payload(next(fixtures.glob("ipa-full-*"))).members():
        path = file_path(member.name)
        if path:
            saved.append(path)
    assert len(saved) > 100
    items = resolve(load((SHIPPED,)), NAMES, Existing(*saved, *{str(p) for s in saved for p in Path(s).parents})).items
    elsewhere = (
        "/var/lib/dirsrv/slapd-EXAMPLE-TEST/db/",
        "/run/lock/dirsrv/slapd-",
        "/etc/systemd/system/multi-user",
    )
    missed = [
        path
        for path in saved
        if not path.startswith(elsewhere) and not any(item.path == path or item.covers(path) for item in items)
    ]
    assert missed == []


def test_the_real_probe_sees_dangling_links_and_sorts(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/b[1]").write_text("")
    (tmp_path / "etc/a").symlink_to("nowhere")
    assert Paths(tmp_path).expand("/etc/*") == ("/etc/a", "/etc/b[1]")
    assert Paths(tmp_path).expand("/etc/none") == ()
    assert "/etc" in Paths().expand("/etc")
