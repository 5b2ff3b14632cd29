"""This host as a client of its own realm: SSSD, name service, LDAP defaults, /etc/ipa/default.conf."""

from __future__ import annotations

import re
from pathlib import Path

from lab.node import services
from lab.node.component import Install
from lab.node.facts import RealmFacts
from lab.node.files import remove_file, remove_tree, render
from lab.node.run import run

SSSD_CONF = Path("/etc/sssd/sssd.conf")
NSSWITCH = Path("/etc/nsswitch.conf")
LDAP_CONF = Path("/etc/ldap/ldap.conf")
SSSD_DROP_IN = Path("/etc/systemd/system/sssd.service.d/ipa.conf")
SSSD_CACHES = (Path("/var/lib/sss/db"), Path("/var/lib/sss/mc"))
DATABASES = ("passwd", "group", "shadow")

SSSD_TEXT = """\
[sssd]
services = nss, pam, ssh
domains = ${domain}

[domain/${domain}]
id_provider = ldap
auth_provider = krb5
chpass_provider = krb5
access_provider = permit
ldap_uri = ${ldapi_uri}
ldap_id_use_start_tls = false
ldap_search_base = cn=accounts,${basedn}
ldap_user_search_base = cn=users,cn=accounts,${basedn}
ldap_group_search_base = cn=groups,cn=accounts,${basedn}
ldap_schema = rfc2307bis
ldap_group_member = member
ldap_user_principal = krbPrincipalName
ldap_user_uuid = ipaUniqueID
ldap_group_uuid = ipaUniqueID
ldap_user_ssh_public_key = ipaSshPubKey
krb5_realm = ${realm}
krb5_server = ${hostname}
krb5_store_password_if_offline = false
cache_credentials = false

[nss]
homedir_substring = /home
"""
DROP_IN = """\
[Unit]
After=${dirsrv} krb5-kdc.service
StartLimitIntervalSec=0

[Service]
Restart=on-failure
RestartSec=1s
"""
LDAP_CONF_TEXT = """\
URI ldaps://${hostname}
BASE ${basedn}
TLS_CACERT /etc/ipa/ca.crt
SASL_MECH GSSAPI
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


def nsswitch_with_sss(text: str) -> str:
    """The same nsswitch.conf with sss asked after files for accounts."""
    for database in DATABASES:
        line = re.search(rf"^{database}:.*$", text, re.MULTILINE)
        if line is None:
            text = f"{text.rstrip()}\n{database}: files sss\n"
        elif "sss" not in line[0].split():
            text = text.replace(line[0], f"{line[0].rstrip()} sss")
    return text


class Client:
    """Accounts of the realm are accounts of this host."""

    name = "client"
    title = "client side of IPA server (sssd)"

    def configure(self, install: Install) -> None:
        install.run_steps(
            self.title,
            [
                ("configuring sssd", lambda: self._write(install)),
                ("starting sssd", self._start),
                ("looking up the administrator's account", self._look_up),
            ],
        )

    def unconfigure(self, install: Install) -> None:
        services.stop("sssd.service")
        services.disable("sssd.service")
        services.reset_failed("sssd.service")
        for path in (SSSD_CONF, NSSWITCH, LDAP_CONF, SSSD_DROP_IN):
            install.sysrestore.restore(path)
        remove_tree(SSSD_DROP_IN.parent)
        for folder in SSSD_CACHES:
            for cache in folder.glob("*"):
                remove_file(cache)
        services.daemon_reload()

    @staticmethod
    def _write(install: Install) -> None:
        facts = install.facts
        values = {
            "realm": facts.realm,
            "domain": facts.domain,
            "hostname": facts.hostname,
            "basedn": facts.basedn,
            "ldapi_uri": facts.ldapi_uri,
            "dirsrv": facts.dirsrv_unit,
        }
        install.put_file(SSSD_CONF, render(SSSD_TEXT, **values), mode=0o600)
        install.put_file(SSSD_DROP_IN, render(DROP_IN, **values))
        install.put_file(LDAP_CONF, render(LDAP_CONF_TEXT, **values))
        install.put_file(NSSWITCH, nsswitch_with_sss(NSSWITCH.read_text()))
        services.daemon_reload()

    @staticmethod
    def _start() -> None:
        services.enable("sssd.service")
        services.restart("sssd.service")

    @staticmethod
    def _look_up() -> None:
        services.wait_for(
            "SSSD to know admin",
            lambda: run(["getent", "passwd", "-s", "sss", "admin"], check=False).status == 0,
        )
