"""Where the authority keeps what it has, and the two files that describe it.

The paths are Dogtag's instance `pki-tomcat` as FreeIPA makes it. CS.cfg and password.conf hold
`name=value` lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "pkiuser"
UNIT = "pki-tomcatd@pki-tomcat.service"
INSTANCE = Path("/etc/pki/pki-tomcat")
CONFIG = INSTANCE / "ca" / "CS.cfg"
PASSWORDS = INSTANCE / "password.conf"
ALIAS = INSTANCE / "alias"
STATE = Path("/var/lib/pki/pki-tomcat")
LOGS = Path("/var/log/pki/pki-tomcat")
CA_LOG = LOGS / "ca" / "debug"
AUDIT_LOG = LOGS / "ca" / "signedAudit" / "ca_audit"

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


def read_configuration(config: Path = CONFIG, passwords: Path = PASSWORDS) -> Configuration:
    """Both files together. Raises BadConfiguration."""
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
