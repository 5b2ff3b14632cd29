"""``ipa-backup --list-paths``: the inventory of a server, for people and for programs."""

from __future__ import annotations

import json

import pytest

from ipabackup.cli.paths import show_paths
from ipabackup.inventory import Inventory, InventoryItem, PathKind, Rule

pytestmark = pytest.mark.row("F1", "F3")
INVENTORY = Inventory(
    (
        InventoryItem("/etc/ipa", PathKind.DIRECTORY, "ipa", True, ("/etc/ipa/cache",)),
        InventoryItem("/etc/krb5.keytab", PathKind.FILE, "kerberos"),
    ),
    (Rule("/etc/httpd/alias", PathKind.DIRECTORY, "httpd"),),
)


def test_people_get_a_line_for_each_path_and_each_missing_one(capsys: pytest.CaptureFixture[str]) -> None:
    show_paths(INVENTORY, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "/etc/ipa  (directory; ipa; exclusive; without /etc/ipa/cache)",
        "/etc/krb5.keytab  (file; kerberos)",
        "/etc/httpd/alias  (not on this server; httpd)",
    ]


def test_programs_get_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    show_paths(INVENTORY, as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["missing"] == ["/etc/httpd/alias"]
    assert said["paths"][0] == {
        "path": "/etc/ipa",
        "kind": "directory",
        "service": "ipa",
        "exclusive": True,
        "exclude": ["/etc/ipa/cache"],
    }
