"""The directory that an authority of Dogtag 9 had for itself: the instance slapd-PKI-IPA with o=ipaca, on port 7389.

Upgrades in place never merged it into the domain's instance, so servers that began with Dogtag 9 still have it, with
the scripts that instances had in those days.
"""

from __future__ import annotations

from pathlib import Path

from lab.node import services
from lab.node.component import Install
from lab.node.facts import PKI_IPA, DirectoryInstance
from lab.node.files import remove_tree, write_file
from lab.node.install.certmonger import (
    NICKNAME,
    give_certificate,
    restart_when_certificate_renewed,
    switch_tls_on,
)
from lab.node.install.directory import AUTHORITY_BACKEND, add_schema, create_instance, remove_instance

#: A script of an instance, by its name, and what it does today.
SCRIPTS = {
    "start-slapd": "systemctl start dirsrv@{name}.service",
    "stop-slapd": "systemctl stop dirsrv@{name}.service",
    "restart-slapd": "systemctl restart dirsrv@{name}.service",
    "db2bak": 'dsctl {name} db2bak "$@"',
    "bak2db": 'dsctl {name} bak2db "$@"',
    "db2ldif": 'dsctl {name} db2ldif "$@"',
    "ldif2db": 'dsctl {name} ldif2db "$@"',
}


class AuthorityDirectory:
    """Makes slapd-PKI-IPA, and the scripts of both instances."""

    name = "authority-directory"
    title = "directory server for the CA (pkids)"

    def configure(self, install: Install) -> None:
        install.run_steps(
            self.title,
            [
                (
                    "creating directory server instance",
                    lambda: create_instance(install, PKI_IPA, AUTHORITY_BACKEND, "bdb"),
                ),
                ("adding default schema", lambda: add_schema(PKI_IPA)),
                ("starting directory server", lambda: services.start(PKI_IPA.unit)),
                ("writing the scripts of the instances", lambda: self._write_scripts(install)),
            ],
        )

    def unconfigure(self, install: Install) -> None:
        remove_instance(PKI_IPA)
        for folder in script_folders(install.facts.directory).values():
            remove_tree(folder)

    @staticmethod
    def _write_scripts(install: Install) -> None:
        for name, folder in script_folders(install.facts.directory).items():
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            for script, line in SCRIPTS.items():
                write_file(folder / script, f"#!/bin/sh\nexec {line.format(name=name)}\n", mode=0o755)


class AuthorityDirectoryTLS:
    """Gives slapd-PKI-IPA a certificate of the realm, as the domain's instance has one."""

    name = "authority-directory-tls"
    title = "directory server for the CA (pkids)"

    def configure(self, install: Install) -> None:
        install.run_steps(
            self.title,
            [
                ("requesting a certificate for the directory", lambda: give_certificate(install.facts, PKI_IPA)),
                ("configuring TLS for DS instance", lambda: switch_tls_on(PKI_IPA, NICKNAME)),
                ("restarting directory server", lambda: services.restart(PKI_IPA.unit)),
                ("renewing with a restart from now on", lambda: restart_when_certificate_renewed(PKI_IPA)),
            ],
        )

    def unconfigure(self, install: Install) -> None:
        """The certificate database goes with the instance, the request with certmonger's."""


def script_folders(domain: DirectoryInstance) -> dict[str, Path]:
    """Where the scripts of each instance are, by its name: in a place of FreeIPA's, and in one of 389 DS'."""
    return {
        domain.name: Path(f"/var/lib/dirsrv/scripts-{domain.name}"),
        PKI_IPA.name: Path(f"/usr/lib/dirsrv/slapd-{PKI_IPA.name}"),
    }
