"""The system accounts that the services run as; packages make them, and somebody may have removed them since."""

from __future__ import annotations

import grp
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.node.run import run


@dataclass(frozen=True)
class ServiceAccount:
    """A system account and the folders that a package gives to it."""

    name: str
    home: str
    folders: tuple[str, ...] = ()


ACCOUNTS = (
    ServiceAccount("dirsrv", "/var/lib/dirsrv", ("/etc/dirsrv", "/var/lib/dirsrv", "/var/log/dirsrv")),
    ServiceAccount("pkiuser", "/var/lib/pki"),
    ServiceAccount("ipaapi", "/var/lib/ipa/api"),
    ServiceAccount("kdcproxy", "/var/lib/kdcproxy"),
)
MEMBERS = (("www-data", "ipaapi"),)


def ensure_accounts() -> list[str]:
    """Create the accounts that are missing and give them their folders; return their names."""
    created = []
    for account in ACCOUNTS:
        if not _has_group(account.name):
            run(["addgroup", "--quiet", "--system", account.name])
        if not _has_user(account.name):
            words = ["adduser", "--quiet", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]
            run([*words, "--home", account.home, "--ingroup", account.name, account.name])
            created.append(account.name)
        for folder in account.folders:
            _give(Path(folder), account.name)
    for user, group in MEMBERS:
        if user not in grp.getgrnam(group).gr_mem:
            run(["adduser", "--quiet", user, group])
    return created


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _has_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _give(folder: Path, account: str) -> None:
    """Files of an account that was made anew still carry the number of the old one."""
    wanted = (pwd.getpwnam(account).pw_uid, grp.getgrnam(account).gr_gid)
    for path in [folder, *folder.rglob("*")]:
        found = path.lstat()
        if (found.st_uid, found.st_gid) != wanted and not path.is_symlink():
            shutil.chown(path, *wanted)


if __name__ == "__main__":
    # While the image is built.
    ensure_accounts()
