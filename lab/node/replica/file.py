"""The replica file: /var/lib/ipa/replica-info-HOST.gpg, encrypted with the Directory Manager's password."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from lab.node.files import write_file
from lab.node.install.checks import Refused
from lab.node.replica.info import ReplicaInfo
from lab.node.run import CommandFailed, run

FOLDER = Path("/var/lib/ipa")
# Memory, not a disk: what is in a replica file never lies around in the clear.
WORKSHOP = Path("/run")


def file_for(host: str, folder: Path = FOLDER) -> Path:
    return folder / f"replica-info-{host}.gpg"


def write_replica_file(info: ReplicaInfo, password: str, path: Path, *, workshop: Path = WORKSHOP) -> None:
    """Encrypt to `path`, which only its owner reads. Raises CommandFailed when gpg does not do it."""
    with tempfile.TemporaryDirectory(dir=workshop) as name:
        place = Path(name)
        draft = place / "file.gpg"
        _gpg(place, password, ["--symmetric", "--cipher-algo", "AES256", "--output", str(draft)], _packed(info))
        write_file(path, draft.read_bytes(), mode=0o600)


def read_replica_file(path: Path, password: str, *, workshop: Path = WORKSHOP) -> ReplicaInfo:
    """Decrypt a replica file. Raises Refused: no such file, another password, or none of ours."""
    if not path.is_file():
        raise Refused(f"Replica file {path} does not exist")
    with tempfile.TemporaryDirectory(dir=workshop) as name:
        try:
            said = _gpg(Path(name), password, ["--decrypt", str(path)])
        except CommandFailed as error:
            raise Refused(
                f"ERROR: Failed to decrypt or open the replica file {path}.\n"
                "Verify you entered the correct Directory Manager password."
            ) from error
    try:
        return ReplicaInfo.from_json(json.loads(said))
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"{path} is no replica file: {error}") from error


def _packed(info: ReplicaInfo) -> str:
    return json.dumps(info.as_json(), indent=1)


def _gpg(home: Path, password: str, words: list[str], input: str | None = None) -> str:
    """Run gpg with a home of its own; the passphrase goes by a file that only this process reads."""
    secret = home / "passphrase"
    write_file(secret, password, mode=0o600)
    own = ["--homedir", str(home), "--batch", "--quiet", "--no-permission-warning", "--pinentry-mode", "loopback"]
    return run(["gpg", *own, "--passphrase-file", str(secret), *words], input=input, quiet=True).stdout
