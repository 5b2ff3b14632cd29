#!/usr/bin/python3 -sP
"""Write this very root into a disk image, each file with the label that the policy has for it.

Runs while the image is built.  A build may not set labels (they are the kernel's own attributes), and mke2fs takes none
from an archive: so the files go into the image as a tar archive, and debugfs writes the labels afterwards.
Nothing has to be privileged.
"""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import selinux  # type: ignore[import-not-found, unused-ignore]

#: Made anew at each boot, or of the container alone; the folders themselves are there.
EMPTY = {"/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/guest/share", "/usr/lib/uml", "/var/cache/apt"}
#: Of the container alone.
LEFT_OUT = {"/.dockerenv", "/guest/root.img"}
#: The engine lays its own over these while it builds; the guest gets its own at each boot.
WRITTEN_AT_BOOT = ("/etc/hosts", "/etc/resolv.conf", "/etc/hostname")
DEVICES = {"/dev/console": (5, 1), "/dev/null": (1, 3)}

#: What a disk without a journal of its own has to hold: the root, an installed server, backups.
SIZE = "1600M"


def paths(folder: str = "/") -> Iterator[str]:
    """All paths of the root that go into the image, folders before what is in them."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.path in LEFT_OUT or entry.path in WRITTEN_AT_BOOT:
            continue
        yield entry.path
        if entry.is_dir(follow_symlinks=False) and entry.path not in EMPTY:
            yield from paths(entry.path)


def special(path: str) -> tarfile.TarInfo:
    """A file that the running root cannot lend: a device, or an empty one that is written at each boot."""
    member = tarfile.TarInfo(path.lstrip("/"))
    if path in DEVICES:
        member.type, member.mode = tarfile.CHRTYPE, 0o600
        member.devmajor, member.devminor = DEVICES[path]
    else:
        member.mode = 0o644
    return member


def write_files(target: str) -> dict[str, int]:
    """Make the file system; returns the mode, with the kind of file, of each path in it."""
    modes = {"/": stat.S_IFDIR | 0o755}
    make = ["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", "-", target, SIZE]
    with (
        subprocess.Popen(make, stdin=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdin, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in paths():
            member = tar.gettarinfo(path, arcname=path.lstrip("/"))
            modes[path] = os.lstat(path).st_mode
            with Path(path).open("rb") if member.isreg() else io.BytesIO() as content:
                tar.addfile(member, content)
        for path in (*WRITTEN_AT_BOOT, *DEVICES):
            tar.addfile(special(path))
            modes[path] = stat.S_IFCHR if path in DEVICES else stat.S_IFREG
    if process.returncode != 0:
        raise SystemExit(f"mke2fs ended with status {process.returncode}")
    return modes


def write_labels(target: str, modes: dict[str, int]) -> None:
    """Give each file its label."""
    selinux.matchpathcon_init(None)
    commands = []
    for path, mode in modes.items():
        try:
            label = selinux.matchpathcon(path, mode)[1]
        except OSError:
            # The policy has <<none>> for it: whoever makes such files labels them.
            continue
        if '"' in path or "\\" in path:
            raise SystemExit(f"debugfs cannot be told the name {path!r}")
        commands.append(f'ea_set "{path}" security.selinux {label}\\000\n')
    wrote = subprocess.run(
        ["debugfs", "-w", "-f", "-", target],
        input="".join(commands),
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=True,
    )
    complaints = [line for line in wrote.stderr.splitlines() if not line.startswith("debugfs 1.")]
    if complaints:
        raise SystemExit("debugfs could not label all files:\n" + "\n".join(complaints[:20]))
    print(f"{len(commands)} of {len(modes)} files have a label")


if __name__ == "__main__":
    write_labels(sys.argv[1], write_files(sys.argv[1]))
