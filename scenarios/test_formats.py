"""Backups in format 1, as FreeIPA's own tools write and read them."""

from __future__ import annotations

import configparser
import re

import pytest

from lab.host import Host
from scenarios.checks import Outline
from scenarios.deeds import BACKUPS, back_up, restore, uninstall

SPOILT = "/root/spoilt"


@pytest.mark.row("T1", "B7", "R1", "R2")
def test_a_backup_in_format_1_brings_an_uninstalled_server_back(master: Host) -> None:
    outline = Outline.note(master)
    backup = back_up(master, "--format", "1")
    outline.assert_unchanged()
    assert re.fullmatch(rf"{BACKUPS}/ipa-full-\d{{4}}(-\d\d){{5}}", backup)
    assert master.run(["ls", backup]).lines == ["header", "ipa-full.tar"]

    header = configparser.ConfigParser()
    header.read_string(master.read_file(f"{backup}/header"))
    assert list(header["ipa"]) == ["type", "time", "host", "ipa_version", "version", "services"]
    assert (header["ipa"]["type"], header["ipa"]["version"], header["ipa"]["host"]) == ("FULL", "1", master.fqdn)

    # As FreeIPA's ipa-restore unpacks it: one tar in the other, with nothing but tar.
    master.run(["mkdir", "/root/outer", "/root/inner"])
    master.run(["tar", "--xattrs", "--selinux", "-xzf", f"{backup}/ipa-full.tar", "-C", "/root/outer", "."])
    master.run(["tar", "--xattrs", "--selinux", "-xzf", "/root/outer/files.tar", "-C", "/root/inner"])
    top = set(master.run(["ls", "/root/outer"]).lines)
    instance = master.instance
    assert top == {instance, f"{instance}-userRoot.ldif", f"{instance}-ipaca.ldif", "files.tar"}
    assert master.read_file("/root/inner/etc/ipa/default.conf") == master.read_file("/etc/ipa/default.conf")
    owner = master.run(["stat", "-c", "%U %a", f"/root/outer/{instance}-userRoot.ldif"]).stdout.strip()
    assert owner == "dirsrv 600"

    uninstall(master)
    restore(master, backup)
    outline.assert_unchanged()


@pytest.mark.row("B7", "B8", "B9")
def test_data_in_format_1_goes_back_encrypted_and_online(master: Host) -> None:
    master.run(["install", "-d", "-m", "700", "/root/keys"])
    key = [
        "--passphrase",
        "",
        "--quick-generate-key",
        "IPA Backup <backup@example.test>",
        "default",
        "default",
        "never",
    ]
    master.run(["gpg", "--homedir", "/root/keys", "--batch", *key])
    outline = Outline.note(master)
    backup = back_up(master, "--data", "--online", "--format=1", "--gpg", "--gpg-keyring=/root/keys")
    assert master.run(["ls", backup]).lines == ["header", "ipa-data.tar.gpg"]
    master.kinit()
    master.run(["ipa", "user-add", "testuser", "--first", "Test", "--last", "User"])
    restore(master, backup, "--online", "--gpg-keyring=/root/keys")
    outline.assert_unchanged()
    gone = master.run(["ipa", "user-show", "testuser"], check=False)
    assert "not found" in gone.stderr, gone.describe()


@pytest.mark.row("R13", "R14")
def test_an_export_that_was_cut_off_before_it_was_backed_up_is_refused(master: Host) -> None:
    backup = back_up(master, "--data", "--online", "--format=1")
    instance = master.instance
    master.run(["mkdir", "-p", f"{SPOILT}/tree"])
    master.run(["cp", f"{backup}/header", SPOILT])
    master.run(["tar", "-xzf", f"{backup}/ipa-data.tar", "-C", f"{SPOILT}/tree"])
    ldif = f"{SPOILT}/tree/{instance}-userRoot.ldif"
    size = int(master.run(["stat", "-c", "%s", ldif]).stdout)
    outline = Outline.note(master)
    for kept in (size * 2 // 3, 0):
        master.run(["truncate", "-s", str(kept), ldif])
        master.run(["tar", "-czf", f"{SPOILT}/ipa-data.tar", "-C", f"{SPOILT}/tree", "."])
        refused = master.run(["ipa-restore", "-U", SPOILT], check=False)
        assert refused.status == 4, refused.describe()
        assert "userRoot" in refused.stderr
    outline.assert_unchanged()
