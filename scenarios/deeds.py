"""What an administrator does in a scenario: install, uninstall, back up, restore."""

from __future__ import annotations

import re

from lab.execute import CommandResult
from lab.host import Host
from lab.install import installation

BACKUPS = "/var/lib/ipa/backup"

#: Where FreeIPA keeps httpd's keytab, today's path first.
HTTP_KEYTABS = ("/var/lib/ipa/gssproxy/http.keytab", "/etc/httpd/conf/ipa.keytab")
#: Where BIND has its own, on Debian and elsewhere; a server without DNS has none.
DNS_KEYTABS = ("/etc/bind/named.keytab", "/etc/named.keytab")

#: FreeIPA's own mark of an installed server.
CONFIGURATION = "/etc/ipa/default.conf"


def install(host: Host) -> CommandResult:
    """Install the server as its topology says, with its usual options."""
    step = next(step for step in installation(host.topology) if step.host == host.name)
    return host.run(step.argv, timeout=900)


def uninstall(host: Host) -> CommandResult:
    """Remove the server from the host, and see that it is gone."""
    result = host.run(["ipa-server-install", "--uninstall", "-U"], timeout=600)
    assert not host.testinfra.file(CONFIGURATION).exists, "an uninstalled server keeps its configuration"
    return result


def back_up(host: Host, *options: str) -> str:
    """Make a backup and return its folder, which the command names at its end."""
    result = host.run(["ipa-backup", "-v", *options], timeout=900)
    named = re.findall(rf"{BACKUPS}/ipa-\S+", result.stdout)
    assert named, f"no backup is named in:\n{result.describe()}"
    return str(named[-1])


def restore(host: Host, backup: str, *options: str) -> CommandResult:
    """Restore a backup without being asked anything."""
    return host.run(["ipa-restore", "-U", backup, *options], timeout=900)


def new_keys(host: Host) -> None:
    """Give a server keys that fit the data of another installation that was restored on it, and restart it.

    As Directory Manager, because nobody gets a ticket before.
    """

    def get(principal: str, keytab: str) -> None:
        password = host.topology.passwords.directory_manager
        argv = ["ipa-getkeytab", "-k", keytab, "-p", principal, "-s", host.fqdn]
        host.run([*argv, "-D", "cn=directory manager", "-w", password])

    get(f"ldap/{host.fqdn}", "/etc/dirsrv/ds.keytab")
    host.run(["systemctl", "restart", f"dirsrv@{host.instance}.service"])
    for service, keytabs in (("HTTP", HTTP_KEYTABS), ("DNS", DNS_KEYTABS)):
        for keytab in (path for path in keytabs if host.testinfra.file(path).exists):
            get(f"{service}/{host.fqdn}", keytab)
    get(f"host/{host.fqdn}", "/etc/krb5.keytab")
    host.run(["ipactl", "restart"])
    host.run(["systemctl", "restart", "sssd"])
    host.run(["kdestroy", "-A"])


def visible_backups(host: Host) -> list[str]:
    """List all that lies in the folder of backups, hidden things included."""
    listing = host.run(["sh", "-c", f"ls -A {BACKUPS} 2>&-"], check=False)
    return sorted(listing.stdout.split())


def services(host: Host) -> list[str]:
    """Tell what ``ipactl status`` says of each service."""
    return sorted(line for line in host.run(["ipactl", "status"], check=False).lines if ": " in line)
