"""The 389 Directory Server instances of a host, read from their configuration files.

Nothing here needs a running server: `dse.ldif` says what there is (389 DS administration guide, "dse.ldif").
"""

from __future__ import annotations

import io
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import ldap.dn
import ldif

from ipabackup.errors import IpaBackupError

CONFIG_ROOT = Path("/etc/dirsrv")

#: The name of the configuration file.
DSE = "dse.ldif"
#: Seconds that a server may take to put a new configuration in the place of the old one.
_RENAMING = 1.0

LDBM = "cn=ldbm database,cn=plugins,cn=config"


@dataclass(frozen=True)
class Backend:
    """One database inside an instance: its name (`userRoot`) and the suffix it holds (`dc=example,dc=test`)."""

    name: str
    suffix: str
    directory: Path


@dataclass(frozen=True)
class Instance:
    """One 389 Directory Server: `name` is without the ``slapd-`` prefix (`EXAMPLE-TEST`).

    `library` is ``bdb`` or ``mdb``; `user` the account the process runs as; `backends` are in the order of the
    configuration; `version` the server's version as it wrote it into its configuration, or empty.
    """

    name: str
    config_dir: Path
    database_dir: Path
    ldif_dir: Path
    backup_dir: Path
    log_dir: Path
    run_dir: Path
    socket: Path
    user: str
    port: int
    library: str
    version: str
    backends: tuple[Backend, ...]

    @property
    def unit(self) -> str:
        """The systemd unit that runs this instance."""
        return f"dirsrv@{self.name}.service"

    @property
    def ldapi_uri(self) -> str:
        """The URI of the instance's local socket."""
        return "ldapi://" + str(self.socket).replace("/", "%2F")

    def backend(self, name: str) -> Backend:
        """The backend called `name` (any case); raises KeyError."""
        for backend in self.backends:
            if backend.name.lower() == name.lower():
                return backend
        raise KeyError(name)


Entry = Mapping[str, Sequence[str]]


def read_config(config_dir: Path) -> bytes:
    """The `dse.ldif` of the instance in `config_dir`; raises FileNotFoundError where there is none.

    A server that writes its configuration names the old file `dse.ldif.bak`, and then the new one `dse.ldif` (seen with
    3.1.2): in between there is none, for less than a millisecond.
    """
    limit = time.monotonic() + _RENAMING
    while True:
        try:
            return (config_dir / DSE).read_bytes()
        except FileNotFoundError:
            if not (config_dir / f"{DSE}.bak").exists() or time.monotonic() > limit:
                raise
        time.sleep(0.001)


def write_config(config_dir: Path, content: bytes) -> None:
    """Replace the `dse.ldif` of a stopped instance in one step; owner and mode stay."""
    path = config_dir / DSE
    fresh = path.with_name(f".{path.name}.ipabackup")
    status = path.stat()
    fresh.write_bytes(content)
    shutil.copymode(path, fresh)
    os.chown(fresh, status.st_uid, status.st_gid)
    fresh.replace(path)


def parse_config(content: bytes, origin: str) -> dict[str, dict[str, list[str]]]:
    """The entries of a `dse.ldif`: normalised DN → attribute (lower case) → values.

    Raises IpaBackupError, which names the `origin`, when `content` is not LDIF.
    """
    parser = ldif.LDIFRecordList(io.BytesIO(content))
    try:
        parser.parse()
    except ValueError as error:
        raise IpaBackupError(f"{origin} is not an LDIF file: {error}") from error
    return {
        normalised(dn): {
            name.lower(): [value.decode("utf-8", "surrogateescape") for value in values]
            for name, values in entry.items()
        }
        for dn, entry in parser.all_records
    }


def normalised(dn: str) -> str:
    """A DN in lower case without optional white space, so that two spellings compare equal."""
    try:
        return str(ldap.dn.dn2str(ldap.dn.str2dn(dn))).lower()
    except ldap.DECODING_ERROR:
        return dn.lower()


def _first(entry: Entry, name: str, otherwise: str = "") -> str:
    values = entry.get(name.lower())
    return values[0] if values else otherwise


def _backends(entries: Mapping[str, Entry], database_dir: Path) -> Iterable[Backend]:
    for dn, entry in entries.items():
        if not dn.endswith("," + LDBM) or "nsbackendinstance" not in [
            value.lower() for value in entry.get("objectclass", ())
        ]:
            continue
        suffix = _first(entry, "nsslapd-suffix")
        name = _first(entry, "cn")
        if suffix and name:
            yield Backend(name, suffix, Path(_first(entry, "nsslapd-directory") or database_dir / name))


def instance_from_config(config_dir: Path, entries: Mapping[str, Entry]) -> Instance:
    """What the configuration `entries` (see `parse_config`) of `config_dir` says of the instance."""
    name = re.sub(r"^slapd-", "", config_dir.name)
    config = entries.get("cn=config", {})
    ldbm = entries.get(f"cn=config,{LDBM}", {})
    bdb = entries.get(f"cn=bdb,cn=config,{LDBM}", {})
    database_dir = Path(_first(ldbm, "nsslapd-directory") or f"/var/lib/dirsrv/slapd-{name}/db")
    state = Path(f"/var/lib/dirsrv/slapd-{name}")
    return Instance(
        name=name,
        config_dir=config_dir,
        database_dir=database_dir,
        ldif_dir=Path(_first(config, "nsslapd-ldifdir") or state / "ldif"),
        backup_dir=Path(_first(config, "nsslapd-bakdir") or state / "bak"),
        log_dir=Path(_first(config, "nsslapd-errorlog") or f"/var/log/dirsrv/slapd-{name}/errors").parent,
        run_dir=Path(_first(config, "nsslapd-rundir") or "/run/dirsrv"),
        socket=Path(_first(config, "nsslapd-ldapifilepath") or f"/run/slapd-{name}.socket"),
        user=_first(config, "nsslapd-localuser") or "dirsrv",
        port=int(_first(config, "nsslapd-port") or 389),
        # Before 1.4 there was no choice; the attribute is missing and the library is bdb.
        library=_first(ldbm, "nsslapd-backend-implement") or "bdb",
        version=_first(config, "nsslapd-versionstring") or _first(bdb, "nsslapd-versionstring"),
        backends=tuple(_backends(entries, database_dir)),
    )


def discover_instances(config_root: Path = CONFIG_ROOT) -> tuple[Instance, ...]:
    """Every instance configured on this host, by name; removed ones (`slapd-X.removed`) do not count.

    Raises IpaBackupError when a configuration cannot be read.
    """
    found = []
    for config_dir in sorted(config_root.glob("slapd-*")):
        if config_dir.name.endswith(".removed"):
            continue
        with suppress(FileNotFoundError, NotADirectoryError):
            content = read_config(config_dir)
            found.append(instance_from_config(config_dir, parse_config(content, str(config_dir / DSE))))
    return tuple(found)
