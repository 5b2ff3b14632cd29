"""The two sides of each case as commands: the documented procedure, and ours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cases import DOCUMENTED, OURS, Case
from lab.execute import CommandResult
from lab.host import Host

#: Where the documented procedure keeps what it makes: on the file system of the backups, beside no other.
FOLDER = "/var/lib/benchmark"

_SCRIPT = "/opt/benchmark-documented.sh"

#: Seconds that one command may take.
LIMIT = 3600

_OURS = {
    "full": ("ipa-backup",),
    "full-hot": ("ipa-backup", "--hot"),
    "data-offline": ("ipa-backup", "--data"),
    "data-online": ("ipa-backup", "--data", "--online"),
    "restore-full": ("ipa-restore", "-U"),
    "restore-data": ("ipa-restore", "-U"),
    "restore-data-online": ("ipa-restore", "-U", "--online"),
}

_DOCUMENTED_ARCHIVES = {"full": "full.tar.gz", "data-offline": "data.tar.gz", "data-online": "data-online.tar.gz"}

#: What the engine mounts over a host's files: tar cannot put these back.
_MOUNTED = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")


@dataclass(frozen=True)
class Paths:
    """What tar takes, as it wants it, relative to ``/``: with all below, alone, and what it leaves out."""

    whole: tuple[str, ...]
    alone: tuple[str, ...]
    without: tuple[str, ...]


def paths_for_tar(listed: Sequence[Mapping[str, Any]], instance: str) -> Paths:
    """Turn ``ipa-backup --list-paths --json``'s paths into what the documented procedure takes.

    It takes the same files, and as the design lists it the folder of the databases as well; the exports made in
    there are moved away before.
    """
    home = f"/var/lib/dirsrv/slapd-{instance}"
    whole: list[str] = []
    alone: list[str] = []
    without: list[str] = []
    for item in listed:
        path, kind = str(item["path"]), item["kind"]
        if kind == "log" or path in _MOUNTED:
            continue
        if kind == "required-directory":
            alone.append(path)
            continue
        whole.append(path)
        without += [] if path == home else item["exclude"]
    without += [f"{home}/bak/*", f"{home}/ldif/*"]
    covered = [path for path in whole if any(path.startswith(f"{other}/") for other in whole)]
    return Paths(
        tuple(path.lstrip("/") for path in whole if path not in covered),
        tuple(path.lstrip("/") for path in alone),
        tuple(path.lstrip("/") for path in without),
    )


@dataclass
class Sides:
    """Both sides on one host.  Remembers the last backup of each side and case, for the restores."""

    host: Host
    backups: dict[tuple[str, str], str] = field(default_factory=dict)

    def prepare(self) -> None:
        """Put the documented procedure in place."""
        host = self.host
        script = Path(__file__).parent / "inside" / "documented.sh"
        host.write_file(_SCRIPT, script.read_text(encoding="utf-8"), mode=0o755)
        host.run(["mkdir", "-p", FOLDER])
        listed = json.loads(host.run(["ipa-backup", "--list-paths", "--json"]).stdout)["paths"]
        paths = paths_for_tar(listed, host.instance)
        for name, lines in (("paths", paths.whole), ("only", paths.alone), ("without", paths.without)):
            host.write_file(f"{FOLDER}/{name}", "".join(f"{line}\n" for line in lines))

    def offers(self, case: Case) -> bool:
        """Whether our commands have the options that the case needs."""
        command, *options = _OURS[case.name]
        text = self.host.run([command, "--help"]).stdout
        return all(option in text for option in options)

    def run(self, side: str, case: Case) -> CommandResult:
        """Do the case; raises CommandFailed.  A restore needs that the backup was made before."""
        if side == DOCUMENTED:
            backends = ["userRoot", "ipaca"] if "ca" in self.host.member.capabilities else ["userRoot"]
            return self.host.run(["sh", _SCRIPT, case.name, self.host.instance, FOLDER, *backends], timeout=LIMIT)
        argv = [*_OURS[case.name], "--json"]
        if case.restores:
            argv.append(self.backups[OURS, case.restores])
        return self.host.run(argv, timeout=LIMIT)

    def forget(self, side: str, case: Case) -> None:
        """Remove the last backup, so that the next one takes room of its own."""
        before = self.backups.pop((side, case.name), None)
        if before:
            self.host.run(["rm", "-r", before])

    def forget_all(self) -> None:
        """Remove the backups of all cases."""
        for made in self.backups.values():
            self.host.run(["rm", "-r", made])
        self.backups.clear()

    def keep(self, side: str, case: Case, result: CommandResult) -> int:
        """Note the backup that was made; returns its size in bytes."""
        host = self.host
        if side == DOCUMENTED:
            made = f"{FOLDER}/{_DOCUMENTED_ARCHIVES[case.name]}"
        else:
            made = str(next(event["path"] for event in events(result) if event["kind"] == "backup"))
        self.backups[side, case.name] = made
        sizes = host.run(["find", made, "-type", "f", "-printf", "%s\\n"]).lines
        return sum(map(int, sizes))

    def clean(self) -> None:
        """Remove what a failed attempt of the documented procedure may have left, and start everything."""
        exports = f"/var/lib/dirsrv/slapd-{self.host.instance}"
        script = f"rm -rf {FOLDER}/data {exports}/bak/benchmark {exports}/ldif/*.ldif; ipactl start"
        self.host.run(["sh", "-c", script], check=False)
        self.host.wait_ready()


def events(result: CommandResult) -> list[dict[str, Any]]:
    """The events that our commands print with ``--json``."""
    return [json.loads(line) for line in result.lines if line.startswith("{")]


def step_seconds(result: CommandResult) -> dict[str, float]:
    """Seconds of each step of our plan."""
    return {event["step"]: event["seconds"] for event in events(result) if event["kind"] == "done" and event["step"]}
