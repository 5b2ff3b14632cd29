"""What this realm and this host are, and what the installer was asked for."""

from __future__ import annotations

import configparser
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_CONF = Path("/etc/ipa/default.conf")
IPA_CA_CERT = Path("/etc/ipa/ca.crt")


class NotConfigured(Exception):
    """There is no identity server on this host."""


@dataclass(frozen=True)
class DirectoryInstance:
    """One directory server process: `name` is without the slapd- in front."""

    name: str
    port: int = 389
    secure_port: int = 636

    @property
    def socket(self) -> str:
        return f"/run/slapd-{self.name}.socket"

    @property
    def ldapi_uri(self) -> str:
        return "ldapi://" + self.socket.replace("/", "%2F")

    @property
    def config(self) -> Path:
        """The configuration folder: dse.ldif, certificate database, schema."""
        return Path(f"/etc/dirsrv/slapd-{self.name}")

    @property
    def unit(self) -> str:
        return f"dirsrv@{self.name}.service"


#: The authority's own instance on servers that were set up with Dogtag 9 and upgraded in place ever since.
PKI_IPA = DirectoryInstance("PKI-IPA", 7389, 7390)


@dataclass(frozen=True)
class RealmFacts:
    """Names of the realm and of this host; everything else in the layout follows from them.

    `ca_host` is the master whose authority signs for this host, where this host has none of its own. `dogtag_version`
    is FreeIPA's word for how the authority was laid out: 10 with its records in the one directory instance, 9 with an
    instance of their own.
    """

    realm: str
    domain: str
    hostname: str
    ip: str | None = None
    ca_host: str = ""
    dogtag_version: int = 10

    @property
    def host(self) -> str:
        """Another word for the host's fully qualified name."""
        return self.hostname

    @property
    def authority_host(self) -> str:
        """The master to ask for certificates."""
        return self.ca_host or self.hostname

    @property
    def basedn(self) -> str:
        """The domain's suffix: example.test gives dc=example,dc=test."""
        return ",".join(f"dc={label}" for label in self.domain.split("."))

    suffix = basedn

    @property
    def instance(self) -> str:
        """The directory server instance's name without the slapd- in front."""
        return self.realm.replace(".", "-")

    @property
    def directory(self) -> DirectoryInstance:
        """The instance with the domain's suffix."""
        return DirectoryInstance(self.instance)

    @property
    def authority_directory(self) -> DirectoryInstance:
        """The instance with the authority's records."""
        return PKI_IPA if self.dogtag_version < 10 else self.directory

    @property
    def directories(self) -> tuple[DirectoryInstance, ...]:
        """Every instance of this host, in the order in which they are started."""
        return tuple(dict.fromkeys((self.directory, self.authority_directory)))

    @property
    def ldapi_uri(self) -> str:
        return self.directory.ldapi_uri

    @property
    def instance_config(self) -> Path:
        """The directory instance's configuration folder: dse.ldif, certificate database, schema."""
        return self.directory.config

    @property
    def dirsrv_unit(self) -> str:
        return self.directory.unit

    @property
    def master_dn(self) -> str:
        """The entry below which the services of this master are listed."""
        return f"cn={self.hostname},cn=masters,cn=ipa,cn=etc,{self.basedn}"

    @property
    def realm_dn(self) -> str:
        """The Kerberos container of the realm."""
        return f"cn={self.realm},cn=kerberos,{self.basedn}"


@dataclass(frozen=True)
class InstallOptions:
    """The words of ipa-server-install, after the questions were answered. Passwords never show in a repr."""

    realm: str = ""
    domain: str = ""
    hostname: str = ""
    dm_password: str = field(default="", repr=False)
    admin_password: str = field(default="", repr=False)
    ip_addresses: tuple[str, ...] = ()
    idstart: int | None = None
    setup_dns: bool = False
    forwarders: tuple[str, ...] = ()
    no_forwarders: bool = False
    auto_forwarders: bool = False
    reverse_zones: tuple[str, ...] = ()
    no_reverse: bool = False
    zonemgr: str = ""
    no_host_dns: bool = False
    ca_less: bool = False
    dirsrv_cert_files: tuple[str, ...] = ()
    dirsrv_pin: str | None = field(default=None, repr=False)
    dirsrv_cert_name: str = ""
    http_cert_files: tuple[str, ...] = ()
    http_pin: str | None = field(default=None, repr=False)
    http_cert_name: str = ""
    ca_cert_files: tuple[str, ...] = ()
    dirsrv_config_file: str = ""
    upgraded_layout: bool = False
    subject_base: str = ""
    no_ntp: bool = False
    unattended: bool = False


def read_facts(path: Path = DEFAULT_CONF) -> RealmFacts:
    """The facts of an installed server, from /etc/ipa/default.conf.

    Raises NotConfigured when there is none or it lacks the realm, the domain or the host.
    """
    parser = configparser.ConfigParser(interpolation=None)
    if not parser.read(path):
        raise NotConfigured("IPA is not configured on this system.")
    found = parser["global"] if parser.has_section("global") else {}
    missing = [name for name in ("realm", "domain", "host") if name not in found]
    if missing:
        raise NotConfigured(f"{path} does not say: {', '.join(missing)}")
    return RealmFacts(
        realm=found["realm"],
        domain=found["domain"],
        hostname=found["host"],
        ca_host=found.get("ca_host", ""),
        dogtag_version=int(found.get("dogtag_version", "10")),
    )
