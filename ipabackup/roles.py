"""IPA's services: their names in the directory (below ``cn=masters``), the units that run them, their packages.

Names and units are FreeIPA's (``ipaserver`` service definitions, 4.x) on Fedora and on Debian.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ipabackup.host.services import Services


@dataclass(frozen=True)
class Role:
    """A service: any one of `units` runs it, `packages` bring it (Fedora's name, Debian's name)."""

    name: str
    units: tuple[str, ...]
    packages: tuple[str, ...]


ROLES = {
    role.name: role
    for role in (
        Role("KDC", ("krb5kdc.service", "krb5-kdc.service"), ("krb5-server", "krb5-kdc")),
        Role("KPASSWD", ("kadmin.service", "krb5-admin-server.service"), ("krb5-server", "krb5-admin-server")),
        Role("HTTP", ("httpd.service", "apache2.service"), ("httpd", "apache2")),
        Role("DNS", ("named.service", "named-pkcs11.service", "bind9.service"), ("bind", "bind9")),
        Role("CA", ("pki-tomcatd@pki-tomcat.service", "pki-cad@pki-ca.service"), ("pki-ca", "pki-ca")),
        Role("KRA", ("pki-tomcatd@pki-tomcat.service",), ("pki-kra", "pki-kra")),
        Role("ADTRUST", ("smb.service", "smbd.service"), ("freeipa-server-trust-ad", "freeipa-server-trust-ad")),
        Role("EXTID", ("winbind.service",), ("samba-winbind", "winbind")),
        Role("KEYS", ("ipa-custodia.service",), ("freeipa-server", "freeipa-server")),
        Role("OTPD", ("ipa-otpd.socket",), ("freeipa-server", "freeipa-server")),
        Role("DNSKeySync", ("ipa-dnskeysyncd.service",), ("freeipa-server-dns", "freeipa-server-dns")),
    )
}

#: Services that a realm has or has not, wherever they run: a full restore needs all of them.
CLUSTER_ROLES = frozenset({"CA", "DNS", "KRA", "ADTRUST"})

#: The booleans that FreeIPA's installers switch on, for httpd, AD trust and home folders on NFS.
BOOLEANS = (
    "httpd_can_network_connect",
    "httpd_manage_ipa",
    "httpd_run_ipa",
    "httpd_dbus_sssd",
    "samba_portmapper",
)

_OURS = re.compile(
    r"^(ipa\b.*|ipa-.*|dirsrv.*|pki-.*|krb5.*|kadmin.*|named.*|bind9.*|httpd.*|apache2.*|certmonger|sssd.*|gssproxy"
    r"|oddjobd|chronyd?|smbd?|winbind|nmbd)\.(service|socket|target|timer|path)$"
)


def lacking(names: Iterable[str], services: Services) -> list[Role]:
    """The roles among `names` for which no unit is installed on this host; names nobody knows do not count."""
    return [
        ROLES[name] for name in names if name in ROLES and not any(services.exists(unit) for unit in ROLES[name].units)
    ]


def installed_units(names: Iterable[str], services: Services) -> dict[str, tuple[str, ...]]:
    """For each of the roles `names` the units on this host that can run it; names nobody knows do not count.

    Packages bring units of an older generation beside today's, and a server that was upgraded in place runs those.
    """
    return {name: tuple(unit for unit in ROLES[name].units if services.exists(unit)) for name in names if name in ROLES}


def ours(units: Iterable[str]) -> list[str]:
    """Those of these units whose being enabled is part of a server's state."""
    return [unit for unit in units if _OURS.match(unit)]
