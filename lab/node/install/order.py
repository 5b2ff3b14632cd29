"""The order in which a server's parts are made; they are taken away in reverse."""

from __future__ import annotations

from importlib import import_module

from lab.node.component import Component
from lab.node.facts import InstallOptions

DIRECTORY = "lab.node.install.directory:DirectoryServer"
AUTHORITY_DIRECTORY = "lab.node.install.authority_directory:AuthorityDirectory"
KERBEROS = "lab.node.install.kerberos:Kerberos"
AUTHORITY = "lab.node.install.ca:CertificateAuthority"
CERTMONGER = "lab.node.install.certmonger:Certmonger"
EXTERNAL = "lab.node.install.external:ExternalCertificates"
DIRECTORY_TLS = "lab.node.install.certmonger:DirectoryTLS"
AUTHORITY_DIRECTORY_TLS = "lab.node.install.authority_directory:AuthorityDirectoryTLS"
HTTP = "lab.node.install.http:HttpServer"
KEYS = "lab.node.install.keys:KeyKeeper"
DNS = "lab.node.install.dns:Dns"
CLIENT = "lab.node.install.client:Client"
REPLICATION = "lab.node.install.replication:Replication"

ORDER = (
    DIRECTORY,
    KERBEROS,
    AUTHORITY_DIRECTORY,
    AUTHORITY,
    CERTMONGER,
    DIRECTORY_TLS,
    AUTHORITY_DIRECTORY_TLS,
    EXTERNAL,
    HTTP,
    KEYS,
    DNS,
    CLIENT,
    REPLICATION,
)
NEEDS_AUTHORITY = (AUTHORITY, CERTMONGER, DIRECTORY_TLS)
UPGRADED = (AUTHORITY_DIRECTORY, AUTHORITY_DIRECTORY_TLS)


def components(options: InstallOptions | None = None) -> list[Component]:
    """The parts that these options ask for, in order; every part when there are no options, as an uninstall wants."""
    chosen = []
    for name in ORDER:
        if options is not None:
            if name in UPGRADED and not options.upgraded_layout:
                continue
            if name == DNS and not options.setup_dns:
                continue
            if name in (NEEDS_AUTHORITY if options.ca_less else (EXTERNAL,)):
                continue
        module, part = name.split(":")
        made: Component = getattr(import_module(module), part)()
        chosen.append(made)
    return chosen
