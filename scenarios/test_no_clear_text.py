"""Nothing of an encrypted backup lies on a disk in clear text, at any moment: somebody looks all the while."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from lab.host import Host
from scenarios.deeds import back_up
from scenarios.keys import make_key
from scenarios.test_encrypted import KEYS

#: A value that no command line or log names, only the directory's data.
SECRET = "clear-text-4f1c9a77"

#: Runs on the host: looks into every file below the given folders again and again, and prints the paths of those that
#: hold the secret; at the end the number of rounds.  The running directory's own databases are what they are.
_WATCHER = """
import json, os, sys, time
secret, stop = os.environ["WATCHED"].encode(), "/run/watch.stop"
found, rounds = set(), 0
while not os.path.exists(stop):
    for top in sys.argv[1:]:
        for folder, folders, files in os.walk(top):
            if folder.startswith("/var/lib/dirsrv/slapd-") and "db" in folders:
                folders.remove("db")
            for name in files:
                path = os.path.join(folder, name)
                try:
                    if os.path.isfile(path):
                        with open(path, "rb") as file:
                            if secret in file.read():
                                found.add(path)
                except OSError:
                    continue
    rounds += 1
    time.sleep(0.01)
print(json.dumps([sorted(found), rounds]))
"""

#: Everything on disks that a backup might write to.
_FOLDERS = ("/var/lib/ipa", "/var/lib/dirsrv", "/etc/dirsrv", "/var/tmp", "/root", "/var/log", "/var/cache")


@dataclass
class Watch:
    """The files that held the secret at some moment, and how often all were looked at."""

    found: list[str] = field(default_factory=list)
    rounds: int = 0


@contextmanager
def watched(host: Host) -> Iterator[Watch]:
    """Look for the secret as long as the block lasts."""
    host.write_file("/root/watch.py", _WATCHER)
    running = host.start(["python3", "/root/watch.py", *_FOLDERS], env={"WATCHED": SECRET})
    watch = Watch()
    try:
        yield watch
    finally:
        host.run(["touch", "/run/watch.stop"])
        result = running.wait(60)
        host.run(["rm", "/run/watch.stop"])
    assert result.status == 0, result.describe()
    watch.found, watch.rounds = json.loads(result.stdout)


@pytest.mark.row("B9")
def test_no_file_holds_clear_text_while_an_encrypted_backup_is_made(master: Host) -> None:
    import ldap

    make_key(master, KEYS)
    with master.ldap() as connection:
        dn = f"uid=admin,cn=users,cn=accounts,{master.topology.suffix}"
        connection.modify_s(dn, [(ldap.MOD_REPLACE, "description", [SECRET.encode()])])

    with watched(master) as plain:
        back_up(master, "--data")
    assert any("/bak/" in path for path in plain.found), "a backup that is not encrypted is seen: the watcher can see"

    for options in ([], ["--hot"], ["--data", "--online"], ["--data", "--format=1"]):
        with watched(master) as encrypted:
            back_up(master, *options, "--gpg", f"--gpg-keyring={KEYS}")
        assert encrypted.rounds >= 3, f"too few looks during ipa-backup {options}"
        assert encrypted.found == [], f"clear text lay on the disk during ipa-backup {options}"
