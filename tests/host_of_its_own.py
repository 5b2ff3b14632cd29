"""A whole identity server in a folder: real files, everything else fake.  Operations run on it from end to end."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from ipabackup.host.accounts import Group, User
from ipabackup.host.files import Paths
from ipabackup.inventory import Rule, read_list
from ipabackup.server import Machine, Places, Server
from ipabackup.steps import Event, Plan, run_plan
from tests.fakes.accounts import FakeAccounts
from tests.fakes.directory import FakeDirectory, FakeMasters, FakeRunning
from tests.fakes.processes import FakeProcesses
from tests.fakes.selinux import FakeSELinux
from tests.fakes.services import FakeServices

HOST = "ipa1.example.test"
ME = pwd.getpwuid(os.getuid()).pw_name
GROUP = grp.getgrgid(os.getgid()).gr_name

LIST = """
service = "test"
[[entry]]
paths = ["{root}/etc/ipa", "{root}/etc/dirsrv/slapd-{{instance}}"]
kind = "directory"
exclusive = true
[[entry]]
paths = ["{root}/etc/krb5.keytab", "{root}/etc/never-there"]
[[entry]]
paths = ["{root}/var/lib/dirsrv/slapd-{{instance}}/bak", "{root}/var/lib/dirsrv/slapd-{{instance}}/db"]
kind = "required-directory"
[[entry]]
paths = ["{root}/var/log/ipa.log"]
kind = "log"
"""

DSE = """\
dn: cn=config
objectClass: top
nsslapd-localuser: {user}
nsslapd-bakdir: {root}/var/lib/dirsrv/slapd-EXAMPLE-TEST/bak
nsslapd-ldifdir: {root}/var/lib/dirsrv/slapd-EXAMPLE-TEST/ldif
nsslapd-errorlog: {root}/var/log/dirsrv/errors

dn: cn=config,cn=ldbm database,cn=plugins,cn=config
objectClass: top
nsslapd-backend-implement: mdb
nsslapd-directory: {root}/var/lib/dirsrv/slapd-EXAMPLE-TEST/db

dn: cn=userRoot,cn=ldbm database,cn=plugins,cn=config
objectClass: nsBackendInstance
cn: userRoot
nsslapd-suffix: dc=example,dc=test

"""


AUTHORITY_SUFFIX = "o=ipaca"


@dataclass
class OwnHost:
    """The host: its root folder, the machine that stands on it, and the fakes to steer."""

    root: Path
    machine: Machine
    services: FakeServices
    accounts: FakeAccounts
    selinux: FakeSELinux
    directory: FakeDirectory
    processes: FakeProcesses
    masters: FakeMasters

    @property
    def backups(self) -> Path:
        return self.root / "var/lib/ipa/backup"

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")

    def server(self) -> Server:
        return Server.discover(self.machine)

    def run(self, plan: Plan, **environ: str) -> list[Event]:
        events: list[Event] = []
        run_plan(plan, [events.append], environ)
        return events

    def visible_backups(self) -> list[str]:
        return sorted(path.name for path in self.backups.glob("*")) if self.backups.exists() else []

    def leftovers(self) -> list[Path]:
        hidden = list(self.backups.glob(".*")) if self.backups.exists() else []
        return [*hidden, *self.path("/var/lib/dirsrv").glob("slapd-*/bak/.*")]

    def files(self) -> dict[str, bytes]:
        """Everything below /etc: path → content."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.path("/etc").rglob("*"))
            if path.is_file()
        }


def give_own_instance_to_authority(host: OwnHost) -> None:
    """Make it a server that was upgraded in place: a second instance, PKI-IPA, with o=ipaca on another library."""
    for folder in ("etc/dirsrv", "var/lib/dirsrv"):
        (host.root / folder / "slapd-PKI-IPA").mkdir()
    for folder in ("bak", "db"):
        host.path(f"/var/lib/dirsrv/slapd-PKI-IPA/{folder}").mkdir()
    dse = (
        DSE.format(root=host.root, user=ME).replace("slapd-EXAMPLE-TEST", "slapd-PKI-IPA").replace("userRoot", "ipaca")
    )
    dse = dse.replace("dc=example,dc=test", AUTHORITY_SUFFIX)
    host.path("/etc/dirsrv/slapd-PKI-IPA/dse.ldif").write_text(dse)
    add_records(host)
    host.directory.homes = {"EXAMPLE-TEST": ("userRoot",), "PKI-IPA": ("ipaca",)}


def give_records_to_domains_instance(host: OwnHost) -> None:
    """Make it a server with an authority as they are today: o=ipaca is a backend of the one instance."""
    dse = host.path("/etc/dirsrv/slapd-EXAMPLE-TEST/dse.ldif")
    backend = DSE[DSE.index("dn: cn=userRoot") :].replace("userRoot", "ipaca")
    dse.write_text(dse.read_text() + backend.replace("dc=example,dc=test", AUTHORITY_SUFFIX))
    add_records(host)


def add_records(host: OwnHost) -> None:
    """What an authority keeps in the directory."""
    host.directory.entries["ipaca"] = [AUTHORITY_SUFFIX, f"cn=1,{AUTHORITY_SUFFIX}"]


def make_host(root: Path) -> OwnHost:
    """A running server with one instance of one backend."""
    for folder in (
        "etc/ipa",
        "etc/dirsrv/slapd-EXAMPLE-TEST",
        "var/lib/dirsrv/slapd-EXAMPLE-TEST/bak",
        "var/lib/dirsrv/slapd-EXAMPLE-TEST/db",
        "var/lib/ipa",
        "var/log",
    ):
        (root / folder).mkdir(parents=True)
    conf = f"[global]\nhost = {HOST}\nrealm = EXAMPLE.TEST\ndomain = example.test\nbasedn = dc=example,dc=test\n"
    (root / "etc/ipa/default.conf").write_text(conf)
    (root / "etc/dirsrv/slapd-EXAMPLE-TEST/dse.ldif").write_text(DSE.format(root=root, user=ME))
    (root / "etc/krb5.keytab").write_bytes(b"\x05\x02keys")
    (root / "etc/krb5.keytab").chmod(0o600)
    (root / "var/log/ipa.log").write_text("a line\n")
    (root / "list.toml").write_text(LIST.format(root=root))

    under = f"cn={HOST},cn=masters,cn=ipa,cn=etc,dc=example,dc=test"
    directory = FakeDirectory(
        {"userRoot": ["dc=example,dc=test", "uid=admin,dc=example,dc=test", f"cn=KDC,{under}", f"cn=HTTP,{under}"]}
    )
    services = FakeServices({"krb5-kdc.service", "apache2.service", "sssd.service", "certmonger.service"})
    services.enabled = {"sssd.service", "ipa.service", "cron.service"}
    accounts = FakeAccounts((User(ME, os.getuid(), os.getgid(), GROUP, "/", "/bin/sh"),), (Group(GROUP, os.getgid()),))
    selinux = FakeSELinux()
    masters = FakeMasters(HOST, directory.deeds)
    processes = FakeProcesses(
        lambda argv: "VERSION: 4.12.0, API_VERSION: 2.254" if argv[:2] == ("ipa", "--version") else ""
    )

    def rules() -> tuple[Rule, ...]:
        return read_list(root / "list.toml")

    machine = Machine(
        processes,
        services,
        accounts,
        selinux,
        directory,
        FakeRunning(directory),
        masters,
        rules,
        Paths(),
        Places(
            root / "etc/ipa/default.conf",
            root / "etc/dirsrv",
            root / "var/lib/certmonger",
            root / "var/lib/sss",
            root / "etc/ipa/ca.crt",
            (str(root / "packages"),),
        ),
        lambda: (HOST,),
        give_way=lambda but: None,
    )
    return OwnHost(root, machine, services, accounts, selinux, directory, processes, masters)
