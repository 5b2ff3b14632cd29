"""The realm's accounts as accounts of a host, server or client: SSSD, the name service, LDAP defaults."""

from __future__ import annotations

import re
from pathlib import Path

from lab.node import services
from lab.node.component import Install
from lab.node.files import remove_file, render
from lab.node.run import run

SSSD_CONF = Path("/etc/sssd/sssd.conf")
NSSWITCH = Path("/etc/nsswitch.conf")
LDAP_CONF = Path("/etc/ldap/ldap.conf")
UNIT = "sssd.service"
_CACHES = (Path("/var/lib/sss/db"), Path("/var/lib/sss/mc"))
_DATABASES = ("passwd", "group", "shadow")

_SSSD_TEXT = """\
[sssd]
services = nss, pam, ssh
domains = ${domain}

[domain/${domain}]
id_provider = ldap
auth_provider = krb5
chpass_provider = krb5
access_provider = permit
${connection}
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
krb5_server = ${kdcs}
krb5_store_password_if_offline = ${offline}
cache_credentials = ${offline}

[nss]
homedir_substring = /home
"""
_LDAP_TEXT = """\
URI ldaps://${server}
BASE ${basedn}
TLS_CACERT /etc/ipa/ca.crt
SASL_MECH GSSAPI
"""


def configure(install: Install, server: str, kdcs: str, connection: str, *, offline: bool) -> None:
    """Write its files.

    `server` is the directory that programs of this host ask, `kdcs` what SSSD takes for ``krb5_server``, and
    `connection` the lines by which it finds its directory and proves who it is; `offline` lets people log in with what
    they logged in with before while no server answers.
    """
    facts = install.facts
    names = {"domain": facts.domain, "basedn": facts.basedn, "realm": facts.realm}
    asked = {"kdcs": kdcs, "connection": connection.rstrip("\n"), "offline": str(offline).lower()}
    install.put_file(SSSD_CONF, render(_SSSD_TEXT, **names, **asked), mode=0o600)
    install.put_file(LDAP_CONF, render(_LDAP_TEXT, basedn=facts.basedn, server=server))
    install.put_file(NSSWITCH, nsswitch_with_sss(NSSWITCH.read_text()))


def nsswitch_with_sss(text: str) -> str:
    """The same nsswitch.conf with sss asked after files for accounts."""
    for database in _DATABASES:
        line = re.search(rf"^{database}:.*$", text, re.MULTILINE)
        if line is None:
            text = f"{text.rstrip()}\n{database}: files sss\n"
        elif "sss" not in line[0].split():
            text = text.replace(line[0], f"{line[0].rstrip()} sss")
    return text


def start() -> None:
    """Start SSSD, now and at every boot."""
    services.enable(UNIT)
    services.restart(UNIT)


def wait_known() -> None:
    """Wait until it knows the administrator."""
    services.wait_for(
        "SSSD to know admin", lambda: run(["getent", "passwd", "-s", "sss", "admin"], check=False).status == 0
    )


def stop() -> None:
    """Stop it, and have no boot start it again."""
    services.stop(UNIT)
    services.disable(UNIT)
    services.reset_failed(UNIT)


def clear_caches() -> None:
    """Forget whom it knew."""
    for folder in _CACHES:
        for cache in folder.glob("*"):
            remove_file(cache)
