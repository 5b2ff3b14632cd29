"""GnuPG as a filter: which key is meant, whether it can be used, and the commands that a stream goes through.

``--gpg-keyring NAME`` may be a key id or user id, a GnuPG home directory, or a prefix with ``PREFIX.pub`` and
``PREFIX.sec`` beside it, as the FreeIPA V3 design makes them (``/root/backup``).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ipabackup.errors import KeyProblem, WrongKey
from ipabackup.host.processes import CommandMissing, Completed, Processes

GPG = "gpg"
_BATCH = ("--batch", "--no-tty", "--yes", "--quiet")
ENVIRONMENT = {"LC_ALL": "C", "LANGUAGE": ""}
"""What a GnuPG process whose messages are read gets on top of the environment."""

_USELESS = {"e": "expired", "r": "revoked", "d": "disabled", "i": "invalid"}
_SAMPLE = "ipabackup"


@dataclass(frozen=True)
class Keyring:
    """Where GnuPG finds its keys (``home`` None: the caller's own) and, when encrypting, for whom."""

    home: Path | None = None
    recipient: str = ""

    def command(self, *words: str) -> list[str]:
        """A command that never asks anybody anything."""
        home = [] if self.home is None else ["--homedir", os.fspath(self.home)]
        return [GPG, *_BATCH, *home, *words]

    def encrypting(self) -> list[str]:
        """The command that encrypts its standard input for the recipient.

        Compression is off: the payload is compressed.  Trust is not asked for: the administrator named the
        key.
        """
        recipient = ["--recipient", self.recipient] if self.recipient else ["--default-recipient-self"]
        return self.command("--trust-model", "always", "--compress-algo", "none", *recipient, "--encrypt")

    def decrypting(self) -> list[str]:
        """The command that decrypts its standard input, with status lines among its messages."""
        return self.command("--status-fd", "2", "--decrypt")


@dataclass(frozen=True)
class _Key:
    fingerprint: str
    validity: str
    capabilities: str
    users: tuple[str, ...]


@contextmanager
def keyring(name: str | None, processes: Processes) -> Iterator[Keyring]:
    """The keyring that ``--gpg-keyring NAME`` means; None means the caller's own keyring and its default key.

    Raises KeyProblem when there is nothing of this name.  A legacy keyring is imported into a temporary
    home, which lasts as long as the context.
    """
    if not name:
        yield Keyring()
        return
    path = Path(name)
    if path.is_dir():
        yield Keyring(home=path)
        return
    public, secret = Path(f"{name}.pub"), Path(f"{name}.sec")
    if not (public.exists() or secret.exists()):
        if path.is_absolute():
            raise KeyProblem(
                f"{name} is neither a GnuPG home directory nor a prefix with {public} and {secret} beside it"
            )
        yield Keyring(recipient=name)
        return
    # In /run or /tmp and with a short name: the agent's socket lives there, and its path is limited to 107
    # bytes.
    base = "/run" if os.access("/run", os.W_OK) else None
    home = Path(tempfile.mkdtemp(prefix="ipabackup-gpg-", dir=base))
    ring = Keyring(home=home)
    try:
        for file in (public, secret):
            if file.exists():
                _import(ring, file, processes)
        yield ring
    finally:
        with suppress(CommandMissing):
            processes.run(["gpgconf", "--homedir", os.fspath(home), "--kill", "all"], check=False)
        shutil.rmtree(home, ignore_errors=True)


def check_encryption(ring: Keyring, processes: Processes) -> Keyring:
    """Make sure that what is encrypted now can be read again; the result names the key by its fingerprint.

    Raises KeyProblem: gpg is missing, no such key, several keys, expired, revoked, not for encryption; or
    its secret half is not here or its agent does not answer, in which case a restore on this host would
    fail.
    """
    keys = _keys(ring, "--list-keys", processes)
    secret = _keys(ring, "--list-secret-keys", processes)
    wanted = ring.recipient or "the keyring"
    if not ring.recipient:
        held = {key.fingerprint for key in secret}
        keys = [key for key in keys if key.fingerprint in held] or keys
    if not keys:
        raise KeyProblem(f"no key found for {wanted}", remedy="Name one with --gpg-keyring, or create one.")
    usable = [key for key in keys if key.validity not in _USELESS and "E" in key.capabilities]
    if not usable:
        key = keys[0]
        why = _USELESS.get(key.validity) or "not able to encrypt (or its encryption key has expired)"
        raise KeyProblem(f"key {key.fingerprint} ({', '.join(key.users)}) is {why}")
    if len(usable) > 1 and ring.recipient:
        raise KeyProblem(
            f"{ring.recipient} means several keys: {', '.join(key.fingerprint for key in usable)}",
            remedy="Name one by its fingerprint.",
        )
    chosen = replace(ring, recipient=usable[0].fingerprint)
    _rehearse(chosen, processes)
    return chosen


def check_decryption(ring: Keyring, payload: Path, processes: Processes) -> None:
    """Make sure that a secret key for one of the payload's recipients is here; raises WrongKey, or
    KeyProblem.

    Whether its passphrase is at hand shows only when the payload is read.
    """
    listed = _gpg(ring, ["--status-fd", "1", "--list-only", "--decrypt", os.fspath(payload)], processes)
    recipients = [line.split()[2] for line in listed.stdout.splitlines() if line.startswith("[GNUPG:] ENC_TO ")]
    if not recipients:
        raise KeyProblem(f"{payload.name} is not encrypted for any key: {listed.said}")
    for key in recipients:
        if _gpg(ring, ["--list-secret-keys", f"{key}!"], processes).ok:
            return
    raise WrongKey(
        f"{payload.name} is encrypted for key {', '.join(recipients)}, whose secret half is not in this keyring",
        remedy="Name the right one with --gpg-keyring.",
    )


def failure(messages: str, status: int, payload: str) -> KeyProblem | None:
    """What a decryption's messages mean, where a key is to blame; None when the data is (or nothing)."""
    lines = [line.split()[1:] for line in messages.splitlines() if line.startswith("[GNUPG:] ")]
    words = {line[0] for line in lines if line}
    if "DECRYPTION_OKAY" in words or status == 0:
        return None
    recipients = ", ".join(line[1] for line in lines if line and line[0] == "ENC_TO" and len(line) > 1)
    # GnuPG 2.2 has no status line for it where no secret key at all is there; the message is English by
    # ENVIRONMENT.
    if "NO_SECKEY" in words or "No secret key" in messages:
        return WrongKey(
            f"{payload} is encrypted for key {recipients or 'unknown'}, whose secret half is not in this keyring",
            remedy="Name the right one with --gpg-keyring.",
        )
    if words & {"BAD_PASSPHRASE", "MISSING_PASSPHRASE"} or "pinentry" in messages.lower():
        return KeyProblem(f"the passphrase of key {recipients or 'unknown'} is not at hand: no usable agent")
    return None


def _rehearse(ring: Keyring, processes: Processes) -> None:
    """Encrypt a few bytes and decrypt them again: shows a missing secret key or agent before it matters."""
    with tempfile.TemporaryDirectory(prefix="ipabackup-gpg-") as folder:
        sample = os.fspath(Path(folder) / "sample.gpg")
        sealed = processes.run([*ring.encrypting(), "--output", sample], input=_SAMPLE, check=False)
        if not sealed.ok:
            raise KeyProblem(f"gpg cannot encrypt for key {ring.recipient}: {sealed.said}")
        opened = processes.run([*ring.decrypting(), sample], check=False, env=ENVIRONMENT)
        if not opened.ok or opened.stdout != _SAMPLE:
            problem = failure(opened.stderr, opened.status, "a test message")
            raise problem or KeyProblem(
                f"what is encrypted for key {ring.recipient} cannot be decrypted here: {opened.said}"
            )


def _import(ring: Keyring, file: Path, processes: Processes) -> None:
    done = _gpg(ring, ["--import", os.fspath(file)], processes)
    if not done.ok:
        raise KeyProblem(f"{file} could not be imported: {done.said}")


def _keys(ring: Keyring, listing: str, processes: Processes) -> list[_Key]:
    words = ["--with-colons", "--fixed-list-mode", listing]
    if ring.recipient:
        words += ["--", ring.recipient]
    listed = _gpg(ring, words, processes)
    keys: list[_Key] = []
    for fields in (line.split(":") for line in listed.stdout.splitlines()):
        if fields[0] in ("pub", "sec") and len(fields) > 11:
            keys.append(_Key("", fields[1], fields[11], ()))
        elif fields[0] == "fpr" and keys and not keys[-1].fingerprint:
            keys[-1] = replace(keys[-1], fingerprint=fields[9])
        elif fields[0] == "uid" and keys:
            keys[-1] = replace(keys[-1], users=(*keys[-1].users, fields[9]))
    return keys


def _gpg(ring: Keyring, words: list[str], processes: Processes) -> Completed:
    try:
        return processes.run(ring.command(*words), check=False)
    except CommandMissing as error:
        raise KeyProblem("gpg is not installed on this host") from error
