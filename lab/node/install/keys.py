"""The keeper of keys (ipa-custodia): hands the realm's secrets to hosts that administrators make replicas."""

from __future__ import annotations

from pathlib import Path

from lab.node import services
from lab.node.component import Install
from lab.node.files import remove_tree
from lab.node.ldapi import directory
from lab.node.masters import enable_service

UNIT = "ipa-custodia.service"
DROP_IN = Path(f"/etc/systemd/system/{UNIT}.d/ipa.conf")


class KeyKeeper:
    """Starts the keeper; it has nothing of its own, it reads what the other parts keep."""

    name = "custodia"
    title = "ipa-custodia"

    def configure(self, install: Install) -> None:
        install.run_steps(
            self.title,
            [
                ("starting ipa-custodia", lambda: self._start(install)),
                ("configuring ipa-custodia to start on boot", lambda: self._list(install)),
            ],
        )

    def unconfigure(self, install: Install) -> None:
        services.stop(UNIT)
        services.reset_failed(UNIT)
        install.sysrestore.restore(DROP_IN)
        remove_tree(DROP_IN.parent)
        services.daemon_reload()

    @staticmethod
    def _start(install: Install) -> None:
        install.put_file(DROP_IN, f"[Unit]\nAfter={install.facts.dirsrv_unit}\n")
        services.daemon_reload()
        services.start(UNIT)

    @staticmethod
    def _list(install: Install) -> None:
        with directory(install.facts.ldapi_uri) as server:
            enable_service(server, install.facts, "KEYS")
