"""What this host is, read once and immutable: names, versions, directory instances."""

from __future__ import annotations

import configparser
import os
import re
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from ipabackup.archive.header import InstanceSummary
from ipabackup.directory.agreements import Door, agreements_in, doors
from ipabackup.directory.instances import CONFIG_ROOT, Instance, discover_instances, read_config
from ipabackup.directory.masters import CA_CERTIFICATE, LdapMasters, Masters
from ipabackup.directory.running import Directory, LocalDirectory
from ipabackup.directory.tools import DirectoryTools, OfflineTools
from ipabackup.errors import NotInstalled, NotRoot
from ipabackup.host import certmonger, sssd
from ipabackup.host.accounts import Accounts, SystemAccounts
from ipabackup.host.files import Paths, Space, space
from ipabackup.host.priority import give_way
from ipabackup.host.processes import CommandMissing, Processes, SystemProcesses
from ipabackup.host.selinux import SELinux, SystemSELinux
from ipabackup.host.services import Services, SystemServices
from ipabackup.inventory import Names, Probe, Rule, load

DEFAULT_CONF = Path("/etc/ipa/default.conf")
BACKUP_DIR = Path("/var/lib/ipa/backup")


def system_hostnames() -> tuple[str, ...]:
    """The names that this host answers to: the kernel's, and the canonical one of it where that is short.

    A whole name is not asked for: where no resolver answers that takes 20 s.
    """
    name = socket.gethostname()
    return (name,) if "." in name else tuple(dict.fromkeys((name, socket.getfqdn(name))))


_WRITTEN_VERSION = re.compile(r"""^VERSION\s*=\s*["']([^"'\s]+)["']""", re.MULTILINE)
_SHOWN_VERSION = re.compile(r"VERSION:\s*([^\s,]+)")


@dataclass(frozen=True)
class Places:
    """Where things lie that are read or changed by name, and not found by looking."""

    default_conf: Path = DEFAULT_CONF
    directory_config: Path = CONFIG_ROOT
    certmonger: Path = certmonger.STATE
    sssd: Path = sssd.STATE
    authority: Path = CA_CERTIFICATE
    python: tuple[str, ...] = tuple(folder for folder in sys.path if folder)


@dataclass(frozen=True)
class Machine:
    """The adapters through which everything outside the process is reached."""

    processes: Processes
    services: Services
    accounts: Accounts
    selinux: SELinux
    tools: DirectoryTools
    directory: Directory
    masters: Masters
    rules: Callable[[], Sequence[Rule]]
    probe: Probe
    places: Places = Places()
    hostnames: Callable[[], tuple[str, ...]] = system_hostnames
    room: Callable[[Path], Space] = space
    give_way: Callable[[str], None] = give_way

    @classmethod
    def system(cls) -> Machine:
        """The adapters of this very host."""
        processes = SystemProcesses()
        return cls(
            processes,
            SystemServices(processes),
            SystemAccounts(processes),
            SystemSELinux(processes),
            OfflineTools(processes),
            LocalDirectory(),
            LdapMasters(),
            load,
            Paths(),
        )


def require_root() -> None:
    """Raises NotRoot unless the caller is root."""
    if os.geteuid() != 0:
        raise NotRoot("This command must be run as root.", remedy="Try again with sudo.")


@dataclass(frozen=True)
class Server:
    """An identity server that is configured on this host.

    `directory_version` is that of the installed 389 DS; `doors` lead to the further instances of other masters that the
    agreements of this one name.
    """

    host: str
    realm: str
    domain: str
    basedn: str
    ipa_version: str
    directory_version: str
    instances: tuple[Instance, ...]
    doors: frozenset[Door] = frozenset()

    @classmethod
    def discover(cls, machine: Machine) -> Server:
        """Read what this host is.  Raises NotInstalled when no IPA server is configured here."""
        config = read_default_conf(machine.places.default_conf)
        instances = discover_instances(machine.places.directory_config)
        if config is None or not instances:
            places = machine.places
            missing = (
                str(places.default_conf) if config is None else f"a directory instance in {places.directory_config}"
            )
            raise NotInstalled(
                f"No IPA server is configured on this host: {missing} is missing.",
                remedy="Install one with ipa-server-install, or restore one with ipa-restore.",
            )
        return cls(
            host=config["host"],
            realm=config["realm"],
            domain=config["domain"],
            basedn=config["basedn"],
            directory_version=machine.tools.server_version(),
            instances=instances,
            doors=frozenset(door for one in instances for door in doors(agreements_in(read_config(one.config_dir)))),
            ipa_version=installed_version(machine),
        )

    def names(self) -> Names:
        """What the placeholders of the inventory stand for here."""
        return Names(self.realm, self.domain, self.host, tuple(instance.name for instance in self.instances))

    def summaries(self) -> tuple[InstanceSummary, ...]:
        """Instances and backends as the header lists them."""
        return tuple(
            InstanceSummary(instance.name, tuple(backend.name for backend in instance.backends))
            for instance in self.instances
        )


def read_default_conf(path: Path) -> Mapping[str, str] | None:
    """Host, realm, domain and basedn from IPA's `default.conf`; None when it is missing or says no realm."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
        section = parser["global"]
    except (OSError, configparser.Error, KeyError, UnicodeDecodeError):
        return None
    realm = section.get("realm", "")
    domain = section.get("domain", realm.lower())
    host = section.get("host") or section.get("server") or socket.getfqdn()
    basedn = section.get("basedn") or ",".join(f"dc={part}" for part in domain.split("."))
    # A client has the same file, without the server's own LDAP socket: the instances tell them apart.
    return {"host": host, "realm": realm, "domain": domain, "basedn": basedn} if realm else None


def installed_version(machine: Machine) -> str:
    """The version of the installed IPA packages (`4.12.2`), or ``unknown``.

    Where they are not Python's, FreeIPA's command is asked, which takes up to a second to say what is written there.
    """
    for folder in machine.places.python:
        with suppress(OSError, UnicodeDecodeError):
            found = _WRITTEN_VERSION.search(Path(folder, "ipapython", "version.py").read_text(encoding="utf-8"))
            if found:
                return found.group(1)
    try:
        shown = machine.processes.run(["ipa", "--version"], check=False, timeout=60)
    except CommandMissing:
        return "unknown"
    found = _SHOWN_VERSION.search(shown.stdout)
    return found.group(1) if found else "unknown"


def running_instances(server: Server, machine: Machine) -> tuple[Instance, ...]:
    """Those instances of `server` that run."""
    return tuple(instance for instance in server.instances if machine.services.is_active(instance.unit))


def realm_masters(server: Server, running: Iterable[Instance], machine: Machine) -> dict[str, frozenset[str]]:
    """The realm's masters and the services enabled on each, as the directory knows them; empty when the instance that
    holds the domain is not among the `running` ones.
    """
    for instance in running:
        if any(backend.suffix.lower() == server.basedn.lower() for backend in instance.backends):
            return machine.directory.masters(instance.ldapi_uri, server.basedn)
    return {}
