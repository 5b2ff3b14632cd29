"""An encrypted backup: only its key opens it, and with the key everything comes back."""

import pytest

from lab.host import Host
from scenarios.checks import Outline
from scenarios.deeds import back_up, restore, services, uninstall

KEYS = "/root/backup-keys"
KEY_PROBLEM = 5

_PARAMETERS = """\
%no-protection
Key-Type: RSA
Key-Length: 2048
Subkey-Type: RSA
Subkey-Length: 2048
Name-Real: IPA Backup
Name-Email: backup@example.test
Expire-Date: {expires}
%commit
"""


def _make_key(host: Host, home: str, expires: str = "0") -> None:
    host.run(["install", "-d", "-m", "700", home])
    host.write_file("/root/keygen", _PARAMETERS.format(expires=expires))
    host.run(["gpg", "--homedir", home, "--batch", "--generate-key", "/root/keygen"])


def _export_legacy(host: Host, home: str, prefix: str) -> None:
    """The two files that the V3 design makes beside each other."""
    for suffix, verb in ((".pub", "--export"), (".sec", "--export-secret-keys")):
        host.run(["gpg", "--homedir", home, "--batch", "--output", prefix + suffix, verb])


@pytest.mark.row("T7", "B9", "B8")
@pytest.mark.parametrize("form", ["home", "prefix"])
def test_an_encrypted_backup_restores_with_its_key_and_with_nothing_else(master: Host, form: str) -> None:
    _make_key(master, KEYS)
    keyring = KEYS
    if form == "prefix":
        keyring = "/root/backup"
        _export_legacy(master, KEYS, keyring)
        master.run(["rm", "-r", KEYS])
    outline = Outline.note(master)
    backup = back_up(master, "--gpg", f"--gpg-keyring={keyring}")
    outline.assert_unchanged()

    names = master.run(["ls", backup]).lines
    assert names == ["header", "ipa-full.tar.gpg"]
    assert "host = " in master.read_file(f"{backup}/header"), "the header stays clear text"
    content = master.read_bytes(f"{backup}/ipa-full.tar.gpg")
    assert not content.startswith(b"\x28\xb5\x2f\xfd"), "the payload is plain zstd"

    before = services(master)
    refused = master.run(["ipa-restore", "-U", backup], check=False)
    assert refused.status == KEY_PROBLEM, refused.describe()
    assert "secret" in refused.stderr
    assert services(master) == before

    uninstall(master)
    restore(master, backup, f"--gpg-keyring={keyring}")
    outline.assert_unchanged()


@pytest.mark.row("B9", "R13")
def test_key_problems_are_found_before_anything_stops(master: Host) -> None:
    before = services(master)
    no_default = master.run(["ipa-backup", "--gpg"], check=False)
    assert no_default.status == KEY_PROBLEM, no_default.describe()
    unknown = master.run(["ipa-backup", "--gpg", "--gpg-keyring", "nobody@example.test"], check=False)
    assert unknown.status == KEY_PROBLEM, unknown.describe()
    assert "nobody@example.test" in unknown.stderr

    _make_key(master, "/root/expiring", "seconds=1")
    # A key's life is counted in seconds: wait until GnuPG itself calls it expired.
    listed = "until gpg --homedir /root/expiring --list-keys --with-colons | grep -q '^pub:e'; do sleep 0.2; done"
    master.run(["sh", "-c", listed], timeout=30)
    expired = master.run(["ipa-backup", "--gpg", "--gpg-keyring", "/root/expiring"], check=False)
    assert expired.status == KEY_PROBLEM, expired.describe()
    assert "expired" in expired.stderr
    assert services(master) == before


@pytest.mark.row("B9", "R13")
def test_damaged_cipher_text_is_refused(master: Host) -> None:
    _make_key(master, KEYS)
    backup = back_up(master, "--data", "--online", "--gpg", "--gpg-keyring", KEYS)
    payload = f"{backup}/ipa-data.tar.gpg"
    size = int(master.run(["stat", "-c", "%s", payload]).stdout)
    overwrite = ["dd", f"of={payload}", "bs=1", f"seek={size // 2}", "conv=notrunc", "status=none"]
    master.run(overwrite, input=b"\xff\x00\xff\x00")
    before = services(master)
    refused = master.run(["ipa-restore", "-U", "--gpg-keyring", KEYS, backup], check=False)
    assert refused.status == 4, refused.describe()
    assert services(master) == before
