"""This host as a client of its own realm: SSSD, name service, LDAP defaults, /etc/ipa/default.conf."""

from __future__ import annotations

from pathlib import Path

from lab.node import services
from lab.node.component import Install
from lab.node.facts import RealmFacts
from lab.node.files import remove_tree, render
from lab.node.install import sssd

SSSD_DROP_IN = Path("/etc/systemd/system/sssd.service.d/ipa.conf")

CONNECTION = """\
ldap_uri = ${ldapi_uri}
ldap_id_use_start_tls = false
"""
DROP_IN = """\
[Unit]
After=${dirsrv} krb5-kdc.service
StartLimitIntervalSec=0

[Service]
Restart=on-failure
RestartSec=1s
"""


def default_conf(facts: RealmFacts, *, ca_less: bool) -> str:
    """The text of /etc/ipa/default.conf."""
    lines = [
        "[global]",
        f"host = {facts.hostname}",
        f"basedn = {facts.basedn}",
        f"realm = {facts.realm}",
        f"domain = {facts.domain}",
        f"xmlrpc_uri = https://{facts.hostname}/ipa/xml",
        f"ldap_uri = {facts.ldapi_uri}",
        "mode = production",
    ]
    if facts.ca_host:
        lines.append(f"ca_host = {facts.ca_host}")
    if ca_less:
        lines += ["enable_ra = False", "ra_plugin = None"]
    else:
        lines += ["enable_ra = True", "ra_plugin = dogtag", f"dogtag_version = {facts.dogtag_version}"]
    return "\n".join(lines) + "\n"


class Client:
    """Accounts of the realm are accounts of this host."""

    name = "client"
    title = "client side of IPA server (sssd)"

    def configure(self, install: Install) -> None:
        install.run_steps(
            self.title,
            [
                ("configuring sssd", lambda: self._write(install)),
                ("starting sssd", sssd.start),
                ("looking up the administrator's account", sssd.wait_known),
            ],
        )

    def unconfigure(self, install: Install) -> None:
        sssd.stop()
        for path in (sssd.SSSD_CONF, sssd.NSSWITCH, sssd.LDAP_CONF, SSSD_DROP_IN):
            install.sysrestore.restore(path)
        remove_tree(SSSD_DROP_IN.parent)
        sssd.clear_caches()
        services.daemon_reload()

    @staticmethod
    def _write(install: Install) -> None:
        facts = install.facts
        connection = render(CONNECTION, ldapi_uri=facts.ldapi_uri)
        sssd.configure(install, facts.hostname, facts.hostname, connection, offline=False)
        install.put_file(SSSD_DROP_IN, render(DROP_IN, dirsrv=facts.dirsrv_unit))
        services.daemon_reload()
