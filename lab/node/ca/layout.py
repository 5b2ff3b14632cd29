"""Where the authority keeps what it has, and the two files that describe it.

The paths are those of Dogtag's instance `pki-tomcat` as FreeIPA makes it, and of its predecessor `pki-ca` (Dogtag 9) on
servers that were upgraded in place. CS.cfg and password.conf hold `name=value` lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "pkiuser"


@dataclass(frozen=True)
class Place:
    """The folders of one instance of the authority; `alias` holds its keys, `logs` also those of `ca_logs`."""

    name: str
    unit: str
    instance: Path
    config: Path
    alias: Path
    state: Path
    logs: Path
    ca_logs: Path

    @property
    def passwords(self) -> Path:
        return self.instance / "password.conf"

    @property
    def audit_log(self) -> Path:
        return self.ca_logs / "signedAudit" / "ca_audit"

    @property
    def drop_in(self) -> Path:
        """What the installer adds to the unit."""
        return Path(f"/etc/systemd/system/{self.unit}.d/ipa.conf")

    @property
    def folders(self) -> tuple[Path, ...]:
        """Every folder that the authority needs, outer ones first."""
        found = [self.instance, self.config.parent, self.alias, self.state, self.logs, self.ca_logs]
        if self.ca_logs != self.logs:
            found += [self.state / "ca", self.ca_logs / "archive"]
        return tuple(dict.fromkeys([*found, self.ca_logs / "signedAudit"]))

    @property
    def links(self) -> Mapping[Path, Path]:
        """Links in the folder of its state, and where they lead."""
        there = {"conf": self.instance, "alias": self.alias, "logs": self.logs}
        return {self.state / name: target for name, target in there.items() if self.state / name != target}


TOMCAT = Place(
    name="pki-tomcat",
    unit="pki-tomcatd@pki-tomcat.service",
    instance=Path("/etc/pki/pki-tomcat"),
    config=Path("/etc/pki/pki-tomcat/ca/CS.cfg"),
    alias=Path("/etc/pki/pki-tomcat/alias"),
    state=Path("/var/lib/pki/pki-tomcat"),
    logs=Path("/var/log/pki/pki-tomcat"),
    ca_logs=Path("/var/log/pki/pki-tomcat/ca"),
)
DOGTAG_9 = Place(
    name="pki-ca",
    unit="pki-cad@pki-ca.service",
    instance=Path("/etc/pki-ca"),
    config=Path("/etc/pki-ca/CS.cfg"),
    alias=Path("/var/lib/pki-ca/alias"),
    state=Path("/var/lib/pki-ca"),
    logs=Path("/var/log/pki-ca"),
    ca_logs=Path("/var/log/pki-ca"),
)
PLACES = {place.name: place for place in (TOMCAT, DOGTAG_9)}


def place_of(dogtag_version: int) -> Place:
    """Where the authority is on a server of this layout (FreeIPA's `dogtag_version`)."""
    return TOMCAT if dogtag_version >= 10 else DOGTAG_9


HTTP_PORT = 8080
HTTPS_PORT = 8443

SUFFIX = "o=ipaca"
REPOSITORY = f"ou=certificateRepository,ou=ca,{SUFFIX}"
PEOPLE = f"ou=people,{SUFFIX}"
GROUPS = f"ou=groups,{SUFFIX}"
AGENTS = f"cn=Certificate Manager Agents,{GROUPS}"
DATABASE_USER = f"uid=pkidbuser,{PEOPLE}"


class BadConfiguration(Exception):
    """A file of the authority is missing or lacks something."""


def read_settings(path: Path) -> dict[str, str]:
    """The `name=value` lines of a file. Raises BadConfiguration when it cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise BadConfiguration(f"cannot read {path}: {error.strerror}") from error
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}


def settings_text(settings: Mapping[str, str]) -> str:
    """The lines that `read_settings` reads."""
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def needed(settings: Mapping[str, str], name: str, path: Path) -> str:
    """One setting; raises BadConfiguration naming the file that lacks it."""
    try:
        return settings[name]
    except KeyError:
        raise BadConfiguration(f"{path} has no {name}") from None


@dataclass(frozen=True)
class Configuration:
    """What the daemon is told by CS.cfg and password.conf."""

    host: str
    realm: str
    domain: str
    ldap_uri: str
    bind_dn: str
    bind_password: str
    key_password: str
    first_serial: int
    last_serial: int


def read_configuration(place: Place = TOMCAT) -> Configuration:
    """Both files together. Raises BadConfiguration."""
    config, passwords = place.config, place.passwords
    settings, secrets = read_settings(config), read_settings(passwords)
    return Configuration(
        host=needed(settings, "machineName", config),
        realm=needed(settings, "securitydomain.name", config),
        domain=needed(settings, "ipa.domain", config),
        ldap_uri=needed(settings, "internaldb.ldapconn.uri", config),
        bind_dn=needed(settings, "internaldb.ldapauth.bindDN", config),
        bind_password=needed(secrets, "internaldb", passwords),
        key_password=needed(secrets, "internal", passwords),
        first_serial=int(needed(settings, "dbs.beginSerialNumber", config), 16),
        last_serial=int(needed(settings, "dbs.endSerialNumber", config), 16),
    )
