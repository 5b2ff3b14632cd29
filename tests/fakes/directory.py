"""Fakes of directory.tools and directory.connection: databases as dictionaries of entries, written as LDIF."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from ipabackup.directory.agreements import Agreement, PeerFailure
from ipabackup.directory.config_copy import ExportSource
from ipabackup.directory.instances import Instance
from ipabackup.directory.ldif_scan import records
from ipabackup.directory.tools import Exported, count_file
from ipabackup.errors import DirectoryFailure, WrongPassword


class FakeDirectory:
    """An installed directory server: `entries` leads from a backend's name to the DNs that it holds.

    The binary copy of an instance is one file with a line an entry.  `broken` names deeds that fail.
    """

    def __init__(self, entries: dict[str, list[str]], *, version: str = "3.1.2", password: str = "Secret123") -> None:
        self.entries = entries
        self.version = version
        self.password = password
        self.broken: set[str] = set()
        self.masters: dict[str, set[str]] = {"ipa1.example.test": {"KDC", "HTTP"}}
        self.deeds: list[str] = []

    def server_version(self) -> str:
        return self.version

    def archive(self, instance: Instance, target: Path) -> None:
        self.archive_as(f"archive {instance.name}", target)

    def archive_as(self, deed: str, target: Path) -> None:
        self._do(deed)
        target.mkdir()
        lines = [f"{name}\t{dn}\n" for name, dns in self.entries.items() for dn in dns]
        (target / "data.mdb").write_text("".join(lines))

    def unarchive(self, instance: Instance, source: Path) -> None:
        self.unarchive_as(f"unarchive {instance.name}", source)

    def unarchive_as(self, deed: str, source: Path) -> None:
        self._do(deed)
        self.entries = {name: [] for name in self.entries}
        for line in (source / "data.mdb").read_text().splitlines():
            name, dn = line.split("\t")
            self.entries.setdefault(name, []).append(dn)

    def export(self, source: ExportSource, backend: str, target: Path) -> Exported:
        self._do(f"export {backend}")
        dse = (source.config_dir / "dse.ldif").read_text()
        binary = next(line.split(": ")[1] for line in dse.splitlines() if line.startswith("nsslapd-directory"))
        held = [line.split("\t") for line in (Path(binary) / "data.mdb").read_text().splitlines()]
        text = "version: 1\n\n"
        for name, dn in held:
            if name == backend:
                first = dn.partition(",")[0].partition("=")[2]
                text += f"dn: {dn}\nobjectClass: top\ncn: {first}\nipaConfigString: enabledService\n\n"
        target.write_text(text)
        return Exported(target, count_file(target))

    def load(self, instance: Instance, backend: str, source: Path) -> None:
        self.load_as(f"load {backend}", backend, source)

    def load_as(self, deed: str, backend: str, source: Path) -> None:
        self._do(deed)
        with source.open("rb") as lines:
            self.entries[backend] = [dn for dn, _ in records(lines)]

    def renew(self, instance: Instance) -> tuple[str, ...]:
        self._do(f"renew {instance.name}")
        return ("dc=example,dc=test",)

    def _do(self, deed: str) -> None:
        self.deeds.append(deed)
        if deed.split(maxsplit=1)[0] in self.broken:
            raise DirectoryFailure(f"{deed} failed")


class FakeAgreements:
    """Masters by name, each with its agreements; one in `down` cannot be reached.  `deeds` is the directory's list."""

    def __init__(self, deeds: list[str]) -> None:
        self.deeds = deeds
        self.masters: dict[str, list[Agreement]] = {}
        self.own: list[Agreement] = []
        self.down: set[str] = set()

    def disable_here(self, uri: str) -> list[Agreement]:
        self.deeds.append("disable here")
        return self.own

    def disable_at(self, host: str, password: str | None) -> list[Agreement]:
        if host in self.down:
            raise PeerFailure(f"{host} cannot be reached: no route.")
        self.deeds.append(f"disable {host}")
        return self.masters.get(host, [])


class FakeRunning:
    """The same directory, running: what online tasks and searches see."""

    def __init__(self, directory: FakeDirectory) -> None:
        self._directory = directory

    def check_password(self, uri: str, password: str) -> None:
        if password != self._directory.password:
            raise WrongPassword("The Directory Manager password is wrong.")

    def count_entries(self, uri: str, suffix: str, created_before: datetime | None = None) -> int:
        return sum(dn.endswith(suffix) for dns in self._directory.entries.values() for dn in dns)

    def masters(self, uri: str, basedn: str) -> dict[str, frozenset[str]]:
        return {host: frozenset(services) for host, services in self._directory.masters.items()}

    def backup(self, uri: str, target: Path) -> None:
        self._directory.archive_as("online backup", target)

    def restore(self, uri: str, source: Path) -> None:
        self._directory.unarchive_as("online restore", source)

    def load(self, uri: str, backend: str, source: Path) -> None:
        self._directory.load_as(f"online import {backend}", backend, source)
