"""Encryption by a real GnuPG: every way to name a key, every way in which it can be unusable."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipabackup.archive.gpg import Keyring, check_decryption, check_encryption, keyring
from ipabackup.archive.reader import open_payload
from ipabackup.archive.writer import PayloadWriter
from ipabackup.errors import DamagedBackup, KeyProblem, WrongKey
from ipabackup.host.processes import SystemProcesses
from tests.archive.conftest import backup_of
from tests.fakes.processes import FakeProcesses

pytestmark = [
    pytest.mark.row("B9"),
    pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed"),
]
PROCESSES = SystemProcesses()


def gpg(home: Path, *words: str) -> str:
    done = subprocess.run(
        ["gpg", "--batch", "--homedir", str(home), "--pinentry-mode", "loopback", "--passphrase", "", *words],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # The agent's socket allows for a short path only.
    with tempfile.TemporaryDirectory(prefix="ipa-gpg-") as name:
        yield Path(name)


def home_with(folder: Path, name: str, user: str | None, expires: str = "never", usage: str = "") -> Iterator[Path]:
    home = folder / name
    home.mkdir(mode=0o700)
    if user:
        algorithm = "rsa2048" if usage else "future-default"
        gpg(home, "--quick-generate-key", user, algorithm, usage or "default", expires)
    yield home
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


@pytest.fixture(scope="module")
def home(folder: Path) -> Iterator[Path]:
    yield from home_with(folder, "good", "IPA Backup <backup@example.test>")


@pytest.fixture(scope="module")
def other(folder: Path) -> Iterator[Path]:
    yield from home_with(folder, "other", "Somebody Else <else@example.test>")


def sealed(tmp_path: Path, home: Path) -> Path:
    ring = check_encryption(Keyring(home), PROCESSES)

    def fill(writer: PayloadWriter) -> None:
        writer.add_bytes("record/server.json", b"secret" * 100_000)

    return backup_of(tmp_path, fill, ring)


def test_what_is_encrypted_comes_back(tmp_path: Path, home: Path) -> None:
    backup = sealed(tmp_path, home)
    payload = backup / "ipa-full.tar.gpg"
    assert b"secret" not in payload.read_bytes()
    with keyring(str(home), PROCESSES) as ring:
        check_decryption(ring, payload, PROCESSES)
        reader = open_payload(backup, ring)
        assert reader.verify().members == 1
        assert reader.read(["record/server.json"])["record/server.json"] == b"secret" * 100_000


def test_the_payload_opens_with_gpg_zstd_and_tar_alone(tmp_path: Path, home: Path) -> None:
    backup = sealed(tmp_path, home)
    gpg(home, "--output", str(tmp_path / "plain.zst"), "--decrypt", str(backup / "ipa-full.tar.gpg"))
    subprocess.run(["zstd", "-qd", tmp_path / "plain.zst", "-o", tmp_path / "plain.tar"], check=True)
    listed = subprocess.run(["tar", "-tf", tmp_path / "plain.tar"], check=True, capture_output=True, text=True)
    assert listed.stdout.split() == ["record/server.json", "MANIFEST.jsonl"]


def test_the_wrong_key_is_named_as_such(tmp_path: Path, home: Path, other: Path) -> None:
    backup = sealed(tmp_path, home)
    with pytest.raises(WrongKey):
        check_decryption(Keyring(other), backup / "ipa-full.tar.gpg", PROCESSES)
    with pytest.raises(WrongKey):
        open_payload(backup, Keyring(other)).verify()


def test_damage_within_an_encrypted_payload_is_damage(tmp_path: Path, home: Path) -> None:
    backup = sealed(tmp_path, home)
    payload = bytearray((backup / "ipa-full.tar.gpg").read_bytes())
    payload[-30] ^= 1
    (backup / "ipa-full.tar.gpg").write_bytes(bytes(payload))
    with pytest.raises(DamagedBackup):
        open_payload(backup, Keyring(home)).verify()


def test_reading_only_the_beginning_leaves_no_process_behind(tmp_path: Path, home: Path) -> None:
    backup = sealed(tmp_path, home)
    assert open_payload(backup, Keyring(home)).read(["record/server.json"])
    running = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout
    assert not [line for line in running.splitlines() if f"--homedir {home}" in line and "--decrypt" in line]


def test_a_key_is_found_by_home_user_id_and_legacy_prefix(tmp_path: Path, home: Path, folder: Path) -> None:
    fingerprint = check_encryption(Keyring(home), PROCESSES).recipient
    assert check_encryption(Keyring(home, "backup@example.test"), PROCESSES).recipient == fingerprint
    prefix = folder / "legacy"
    Path(f"{prefix}.pub").write_text(gpg(home, "--armor", "--export"))
    Path(f"{prefix}.sec").write_text(gpg(home, "--armor", "--export-secret-keys"))
    with keyring(str(prefix), PROCESSES) as ring:
        assert check_encryption(ring, PROCESSES).recipient == fingerprint
        temporary = ring.home
    assert temporary is not None
    assert not temporary.exists()
    with keyring("backup@example.test", PROCESSES) as ring:
        assert ring == Keyring(recipient="backup@example.test")
    with keyring(None, PROCESSES) as ring:
        assert ring == Keyring()
    with pytest.raises(KeyProblem, match="neither a GnuPG home"), keyring("/nowhere/backup", PROCESSES):
        pass


def test_unusable_keys_are_refused_with_the_reason(folder: Path, home: Path) -> None:
    with pytest.raises(KeyProblem, match="no key found for nobody"):
        check_encryption(Keyring(home, "nobody@example.test"), PROCESSES)
    for made in home_with(folder, "empty", None):
        with pytest.raises(KeyProblem, match="no key found"):
            check_encryption(Keyring(made), PROCESSES)
    for made in home_with(folder, "signs", "Signer <sign@example.test>", usage="sign"):
        with pytest.raises(KeyProblem, match="not able to encrypt"):
            check_encryption(Keyring(made), PROCESSES)


def test_an_expired_key_is_refused(folder: Path) -> None:
    home = folder / "expired"
    home.mkdir(mode=0o700)
    long_ago = ("--faked-system-time", "20200101T000000")
    gpg(home, *long_ago, "--quick-generate-key", "Old <o@e.test>", "rsa2048", "default", "1y")
    with pytest.raises(KeyProblem, match="expired"):
        check_encryption(Keyring(home), PROCESSES)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


def test_a_key_without_its_secret_half_is_refused_before_anything_is_encrypted(folder: Path, home: Path) -> None:
    public = folder / "public"
    public.mkdir(mode=0o700)
    exported = folder / "exported.asc"
    exported.write_text(gpg(home, "--armor", "--export"))
    gpg(public, "--import", str(exported))
    with pytest.raises(KeyProblem, match="secret half is not in this keyring"):
        check_encryption(Keyring(public, "backup@example.test"), PROCESSES)
    subprocess.run(["gpgconf", "--homedir", str(public), "--kill", "all"], check=True)


def test_without_gpg_the_message_says_so() -> None:
    with pytest.raises(KeyProblem, match="gpg is not installed"):
        check_encryption(Keyring(), FakeProcesses(lambda _: None))


def test_a_gpg_that_dies_ends_the_backup_and_leaves_no_file(tmp_path: Path, home: Path) -> None:
    target = tmp_path / "payload"
    with PayloadWriter(target, threads=0, keyring=Keyring(home, "nobody@example.test")) as writer:

        def write_on() -> None:
            for number in range(20):
                writer.add_bytes(f"record/{number}", bytes(1 << 20))
            writer.close()

        with pytest.raises(KeyProblem, match="nobody@example"):
            write_on()
    assert not target.exists()
