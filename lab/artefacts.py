"""What one wants to look at after a failure, fetched from a host into a folder of this machine."""

from __future__ import annotations

from pathlib import Path

from lab.errors import LabError
from lab.host import Host

#: A file's name in the folder, and the command whose output it holds.
COMMANDS = {
    "journal.txt": "journalctl --no-pager -o short-precise",
    "units.txt": "systemctl --no-pager --all --full; systemctl --failed",
    "processes.txt": "ps -ef --forest",
    "disk.txt": "df -h; df -i",
    "network.txt": "ip address; ss -lntup; cat /etc/hosts /etc/resolv.conf",
    "backups.txt": "ls -laR /var/lib/ipa/backup",
    "ipactl.txt": "ipactl status",
    "replication.txt": (
        "for socket in /run/slapd-*.socket; do "
        "timeout 20 ldapsearch -Q -Y EXTERNAL -LLL -o ldif-wrap=no -b 'cn=mapping tree,cn=config' "
        '-H "ldapi://$(echo $socket | sed s,/,%2F,g)" "(objectClass=nsds5*)" "*" nsds50ruv nsds5agmtmaxcsn; done'
    ),
}

#: Globs of files that are fetched as they are.
FILES = (
    "/var/log/ipa*.log",
    "/var/log/dirsrv/slapd-*/errors",
    "/var/log/dirsrv/slapd-*/access",
    "/var/log/krb5kdc.log",
    "/var/log/kadmin*.log",
    "/var/log/apache2/*.log",
    "/var/log/httpd/*_log",
    "/var/log/pki/pki-tomcat/ca/*",
    "/var/log/pki-ca/*",
    "/var/log/sssd/*.log",
    "/etc/ipa/default.conf",
)


def collect(host: Host, into: Path) -> list[str]:
    """Fetch all of it; returns what could not be had, a line each."""
    folder = into / host.name
    folder.mkdir(parents=True, exist_ok=True)
    host.container.reload()
    if host.container.status != "running":
        (folder / "container.txt").write_bytes(host.container.logs())
        return [f"{host.fqdn} is {host.container.status}: only its output is there"]
    missing = []
    for name, command in COMMANDS.items():
        try:
            result = host.run(["sh", "-c", command], check=False, timeout=60)
        except LabError as error:
            missing.append(f"{host.fqdn}: {command}: {error}")
            continue
        (folder / name).write_text(result.stdout + result.stderr, encoding="utf-8")
    listing = f'for file in {" ".join(FILES)}; do if [ -f "$file" ]; then echo "$file"; fi; done'
    for path in host.run(["sh", "-c", listing]).lines:
        target = folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.write_bytes(host.read_bytes(path))
        except LabError as error:
            missing.append(str(error))
    return missing
