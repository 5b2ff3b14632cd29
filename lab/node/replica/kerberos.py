"""The replica's KDC and kadmind, on the principals and the master key that replication has brought."""

from __future__ import annotations

from lab.node import masterkey
from lab.node.component import Install
from lab.node.files import write_file
from lab.node.install.kerberos import HOST_KEYTAB, HTTP_KEYTAB, UNITS, Kerberos
from lab.node.ldapi import directory
from lab.node.replica.joining import Joining


class ReplicaKerberos(Kerberos):
    """The same services as on the first master; keys are taken over, none is made."""

    def __init__(self, joining: Joining) -> None:
        self.joining = joining

    def configure(self, install: Install) -> None:
        install.run_steps(
            self.title,
            [
                ("configuring KDC", lambda: self._write(install)),
                ("taking the master key from the directory", lambda: self._master_key(install)),
                ("adding the host's and the web server's keytab", lambda: self._keytabs(install)),
                ("starting the KDC", lambda: self._start(install, "KDC", UNITS[0])),
                ("starting kadmin", lambda: self._start(install, "KPASSWD", UNITS[1])),
            ],
        )

    @staticmethod
    def _master_key(install: Install) -> None:
        with directory(install.facts.ldapi_uri) as server:
            if not masterkey.refresh(server, install.facts):
                raise RuntimeError("the master's directory holds no Kerberos master key")

    def _keytabs(self, install: Install) -> None:
        install.sysrestore.save(HOST_KEYTAB)
        for service, path in (("host", HOST_KEYTAB), ("HTTP", HTTP_KEYTAB)):
            write_file(path, self.joining.info.keytabs[service], mode=0o600, owner="root", group="root")
