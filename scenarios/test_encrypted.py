"""An encrypted backup: only its key opens it, and with the key everything comes back."""

import pytest

from lab.host import Host
from scenarios.checks import Outline
from scenarios.conftest import RealmMaker
from scenarios.deeds import back_up, restore, services, uninstall
from scenarios.keys import make_key

KEYS = "/root/backup-keys"
KEY_PROBLEM = 5


def _export_legacy(host: Host, home: str, prefix: str) -> None:
    """The two files that the V3 design makes beside each other."""
    for suffix, verb in ((".pub", "--export"), (".sec", "--export-secret-keys")):
        host.run(["gpg", "--homedir", home, "--batch", "--output", prefix + suffix, verb])


@pytest.mark.row("T7", "B9", "B8")
@pytest.mark.parametrize("form", ["home", "prefix"])
def test_an_encrypted_backup_restores_with_its_key_and_with_nothing_else(master: Host, form: str) -> None:
    make_key(master, KEYS)
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


@pytest.fixture(scope="module")
def shared(make_shared_realm: RealmMaker) -> Host:
    """A server with a key, for what is refused and so changes nothing."""
    host = make_shared_realm().master
    make_key(host, KEYS)
    return host


@pytest.mark.row("B9", "R13")
def test_key_problems_are_found_before_anything_stops(shared: Host) -> None:
    before = services(shared)
    no_default = shared.run(["ipa-backup", "--gpg"], check=False)
    assert no_default.status == KEY_PROBLEM, no_default.describe()
    unknown = shared.run(["ipa-backup", "--gpg", "--gpg-keyring", "nobody@example.test"], check=False)
    assert unknown.status == KEY_PROBLEM, unknown.describe()
    assert "nobody@example.test" in unknown.stderr

    make_key(shared, "/root/expiring", "seconds=1")
    # A key's life is counted in seconds: wait until GnuPG itself calls it expired.
    listed = "until gpg --homedir /root/expiring --list-keys --with-colons | grep -q '^pub:e'; do sleep 0.2; done"
    shared.run(["sh", "-c", listed], timeout=30)
    expired = shared.run(["ipa-backup", "--gpg", "--gpg-keyring", "/root/expiring"], check=False)
    assert expired.status == KEY_PROBLEM, expired.describe()
    assert "expired" in expired.stderr
    assert services(shared) == before


@pytest.mark.row("B9", "R13")
def test_a_wrong_key_and_damaged_cipher_text_are_refused_each_in_its_way(shared: Host) -> None:
    backup = back_up(shared, "--data", "--online", "--gpg", "--gpg-keyring", KEYS)
    before = services(shared)
    make_key(shared, "/root/other-keys")
    wrong = shared.run(["ipa-restore", "-U", "--gpg-keyring", "/root/other-keys", backup], check=False)
    assert wrong.status == KEY_PROBLEM, wrong.describe()
    assert "secret" in wrong.stderr

    payload = f"{backup}/ipa-data.tar.gpg"
    size = int(shared.run(["stat", "-c", "%s", payload]).stdout)
    overwrite = ["dd", f"of={payload}", "bs=1", f"seek={size // 2}", "conv=notrunc", "status=none"]
    shared.run(overwrite, input=b"\xff\x00\xff\x00")
    refused = shared.run(["ipa-restore", "-U", "--gpg-keyring", KEYS, backup], check=False)
    assert refused.status == 4, refused.describe()
    assert refused.stderr != wrong.stderr
    assert services(shared) == before
