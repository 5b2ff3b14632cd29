"""Room on disk: foretold for each file system, and refused with the figures where it is not there."""

from __future__ import annotations

import json

import pytest

from benchmarks.users import add_users
from lab.host import Host
from scenarios.deeds import BACKUPS, back_up, services, visible_backups
from scenarios.disk import device_of, watched
from scenarios.keys import make_key

NO_SPACE = 7

KEYS = "/root/backup-keys"

KINDS = (
    ("--logs",),
    ("--hot",),
    ("--format", "1"),
    ("--data",),
    ("--data", "--online"),
    ("--data", "--gpg", "--gpg-keyring", KEYS),
)


def _foretold(host: Host, *options: str) -> dict[str, int]:
    """Bytes that ``ipa-backup`` says it needs, by mount point."""
    plan = json.loads(host.run(["ipa-backup", "--dry-run", "--json", *options]).stdout)
    return {one["mount"]: int(one["needed"]) for one in plan["space"]}


@pytest.mark.row("B10", "B1")
def test_a_backup_takes_the_room_that_was_foretold_and_is_refused_where_it_is_not_there(master: Host) -> None:
    """Within 20 % on each file system, for each kind of backup; too little is said before anything stops."""
    add_users(master, range(3000))
    make_key(master, KEYS)
    master.run(["mount", "-t", "tmpfs", "-o", "mode=700,size=200m", "backups", BACKUPS])
    differing = []
    for options in KINDS:
        foretold = _foretold(master, *options)
        # The copy of what will be encrypted waits in memory.
        assert sorted(foretold) == (["/run", BACKUPS] if "--gpg" in options else ["/", BACKUPS])
        with watched(master) as peaks:
            backup = back_up(master, *options)
        for mount, needed in foretold.items():
            taken = peaks[device_of(master, mount)]
            line = f"{' '.join(options)} on {mount}: foretold {needed / 1e6:.2f} MB, taken {taken / 1e6:.2f} MB"
            print(line)
            if abs(needed - taken) > 0.2 * taken:
                differing.append(line)
        master.run(["rm", "-r", backup])
    assert not differing, "\n".join(differing)

    before = services(master)
    needed = _foretold(master)[BACKUPS]
    master.run(["mount", "-o", f"remount,size={needed // 2048}k", BACKUPS])
    refused = master.run(["ipa-backup"], check=False)
    assert refused.status == NO_SPACE, refused.describe()
    assert f"{BACKUPS} needs {needed / 1e6:.1f} MB" in refused.stderr
    assert services(master) == before
    full = master.run(["ipa-backup", "--skip-space-check"], check=False)
    assert full.status == NO_SPACE, full.describe()
    assert services(master) == before
    assert visible_backups(master) == []
