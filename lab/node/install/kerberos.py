"""The key distribution center and the administration server, their database in the directory."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path

from lab.node import masterkey, services
from lab.node.component import Install
from lab.node.facts import RealmFacts
from lab.node.files import remove_file, render, write_file
from lab.node.kadmin import kadmin_local, new_keytab_entry, quoted, set_password
from lab.node.ldapi import directory
from lab.node.masterkey import STASH
from lab.node.masters import enable_service
from lab.node.run import run

KDC_CONF = Path("/etc/krb5kdc/kdc.conf")
KADM5_ACL = Path("/etc/krb5kdc/kadm5.acl")
KRB5_CONF = Path("/etc/krb5.conf")
SERVER_CONF = Path("/etc/krb5.conf.d/freeipa-server")
HOST_KEYTAB = Path("/etc/krb5.keytab")
DIRECTORY_KEYTAB = Path("/etc/dirsrv/ds.keytab")
HTTP_KEYTAB = Path("/var/lib/ipa/gssproxy/http.keytab")
UNITS = ("krb5-kdc.service", "krb5-admin-server.service")

#: What the packages of a host add to its Kerberos.
INCLUDED = "includedir /etc/krb5.conf.d/\n\n"
_LOGGING = """\
[logging]
 default = FILE:/var/log/krb5libs.log
 kdc = SYSLOG:INFO:DAEMON
 admin_server = SYSLOG:INFO:DAEMON

"""
_KRB5_TEXT = """\
[libdefaults]
 default_realm = ${realm}
 dns_lookup_realm = false
 dns_lookup_kdc = ${lookup}
 rdns = false
 dns_canonicalize_hostname = false
 ticket_lifetime = 24h
 forwardable = true
 udp_preference_limit = 0

[realms]
 ${realm} = {
${fixed}  default_domain = ${domain}
 }

[domain_realm]
 .${domain} = ${realm}
 ${domain} = ${realm}
 ${host} = ${realm}
"""
_KDC = """\
  kdc = ${kdc}:88
  master_kdc = ${kdc}:88
  admin_server = ${kdc}:749
  kpasswd_server = ${kdc}:464
"""
# The database module is named here and not in kdc.conf so that kadmin.local finds it too.
SERVER_CONF_TEXT = """\
[realms]
 ${realm} = {
  database_module = ${realm}
 }

[dbmodules]
 ${realm} = {
  db_library = kldap
  ldap_servers = ${ldapi_uri}
  ldap_kerberos_container_dn = cn=kerberos,${basedn}
  ldap_kdc_sasl_mech = EXTERNAL
  ldap_kadmind_sasl_mech = EXTERNAL
  disable_last_success = true
 }
"""
KDC_CONF_TEXT = """\
[kdcdefaults]
 kdc_ports = 88
 kdc_tcp_ports = 88

[realms]
 ${realm} = {
  acl_file = /etc/krb5kdc/kadm5.acl
  key_stash_file = /etc/krb5kdc/stash
  kdc_ports = 88
  kdc_tcp_ports = 88
  kadmind_port = 749
  kpasswd_port = 464
  max_life = 1d 0h 0m 0s
  max_renewable_life = 7d 0h 0m 0s
  master_key_type = aes256-cts
  supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal
  default_principal_flags = +preauth
 }
"""
# The web service acts for administrators, whom it checks itself.
KADM5_ACL_TEXT = """\
admin@${realm} *
*/admin@${realm} *
HTTP/${hostname}@${realm} acdilm
"""
DROP_IN = """\
[Unit]
After=${dirsrv}
StartLimitIntervalSec=0

[Service]
# The directory may have come back from a backup, with the keys of another master key.
ExecStartPre=+/usr/bin/env PYTHONPATH=/usr/lib/ipalab PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m lab.node.masterkey
Restart=on-failure
RestartSec=1s
"""


def krb5_conf(realm: str, domain: str, host: str, kdcs: Iterable[str], *, lookup: bool = True) -> str:
    """The part of krb5.conf that is about a realm.

    `host` is the host that belongs to it besides its domain, `kdcs` are fixed masters; whether others are looked up in
    DNS says `lookup`.
    """
    fixed = "".join(render(_KDC, kdc=kdc) for kdc in kdcs)
    return render(_KRB5_TEXT, realm=realm, domain=domain, host=host, fixed=fixed, lookup=str(lookup).lower())


class Kerberos:
    """krb5kdc and kadmind for the realm, the principals of this host, and their keytabs."""

    name = "kerberos"
    title = "Kerberos KDC (krb5kdc)"

    def configure(self, install: Install) -> None:
        facts = install.facts
        install.run_steps(
            self.title,
            [
                ("configuring KDC", lambda: self._write(install)),
                ("initialize kerberos container", lambda: self._create(install)),
                ("setting the realm's password policy", lambda: self._policy(facts)),
                ("setting the administrator's password", lambda: self._admin(install)),
                (
                    "creating a keytab for the host",
                    lambda: self._keytab(install, "host", HOST_KEYTAB, "root"),
                ),
                ("creating a keytab for the directory", lambda: self._directory_keytab(install)),
                ("creating a keytab for httpd", lambda: self._keytab(install, "HTTP", HTTP_KEYTAB, "root")),
                ("starting the KDC", lambda: self._start(install, "KDC", UNITS[0])),
                ("starting kadmin", lambda: self._start(install, "KPASSWD", UNITS[1])),
            ],
        )

    def unconfigure(self, install: Install) -> None:
        for unit in reversed(UNITS):
            services.stop(unit)
            services.reset_failed(unit)
            drop_in = _drop_in(unit)
            install.sysrestore.restore(drop_in)
            if drop_in.parent.is_dir() and not any(drop_in.parent.iterdir()):
                drop_in.parent.rmdir()
        for service in ("krb5kdc", "kadmin"):
            install.sysrestore.pop_state(service, "running")
            install.sysrestore.pop_state(service, "enabled")
        for path in (STASH, HTTP_KEYTAB, DIRECTORY_KEYTAB):
            remove_file(path)
        for path in (KDC_CONF, KADM5_ACL, SERVER_CONF, HOST_KEYTAB, KRB5_CONF):
            install.sysrestore.restore(path)
        services.daemon_reload()

    @staticmethod
    def _write(install: Install) -> None:
        facts = install.facts
        for name, unit in zip(("krb5kdc", "kadmin"), UNITS, strict=True):
            install.sysrestore.set_state(name, "running", services.is_active(unit))
            install.sysrestore.set_state(name, "enabled", services.is_enabled(unit))
            install.put_file(_drop_in(unit), render(DROP_IN, dirsrv=facts.dirsrv_unit))
        services.daemon_reload()
        values = {
            "realm": facts.realm,
            "domain": facts.domain,
            "hostname": facts.hostname,
            "basedn": facts.basedn,
            "ldapi_uri": facts.ldapi_uri,
        }
        text = krb5_conf(facts.realm, facts.domain, facts.hostname, [facts.hostname])
        install.put_file(KRB5_CONF, f"{INCLUDED}{_LOGGING}{text}")
        install.put_file(SERVER_CONF, render(SERVER_CONF_TEXT, **values))
        install.put_file(KDC_CONF, render(KDC_CONF_TEXT, **values))
        install.put_file(KADM5_ACL, render(KADM5_ACL_TEXT, **values), mode=0o600)

    @staticmethod
    def _create(install: Install) -> None:
        facts = install.facts
        master_key = secrets.token_urlsafe(24)
        run(
            [
                "kdb5_ldap_util",
                "create",
                "-r",
                facts.realm,
                "-subtrees",
                facts.basedn,
                "-sscope",
                "SUB",
                "-s",
            ],
            input=f"{master_key}\n{master_key}\n",
            secrets=[master_key],
        )
        STASH.chmod(0o600)
        with directory(facts.ldapi_uri) as connection:
            masterkey.store(connection, facts)

    @staticmethod
    def _policy(facts: RealmFacts) -> None:
        """FreeIPA's default policy: 90 days, an hour between changes, 8 characters, locked 10 minutes after
        6 failures.
        """
        kadmin_local(
            [
                'add_policy -maxlife "90 days" -minlife "1 hour" -minlength 8 -maxfailure 6 '
                '-failurecountinterval "60 seconds" -lockoutduration "10 minutes" global_policy'
            ]
        )
        with directory(facts.ldapi_uri) as connection:
            policy = f"cn=global_policy,{facts.realm_dn}"
            if not connection.exists(policy):
                raise RuntimeError(f"kadmin made no entry {policy}")

    @staticmethod
    def _admin(install: Install) -> None:
        admin = f"admin@{install.facts.realm}"
        set_password(admin, install.admin_password)
        # The password was chosen before there was a policy; set again under it, it gets its date of expiry.
        kadmin_local([f"modify_principal -policy global_policy +requires_preauth {quoted(admin)}"])

    @staticmethod
    def _keytab(install: Install, service: str, keytab: Path, owner: str) -> None:
        facts = install.facts
        if keytab == HOST_KEYTAB:
            install.sysrestore.save(keytab)
        draft = keytab.with_name(f".{keytab.name}.new")
        remove_file(draft)
        new_keytab_entry(f"{service}/{facts.hostname}@{facts.realm}", str(draft))
        write_file(keytab, draft.read_bytes(), mode=0o600, owner=owner, group=owner)
        remove_file(draft)

    def _directory_keytab(self, install: Install) -> None:
        self._keytab(install, "ldap", DIRECTORY_KEYTAB, "dirsrv")

    @staticmethod
    def _start(install: Install, entry: str, unit: str) -> None:
        services.start(unit)
        with directory(install.facts.ldapi_uri) as connection:
            enable_service(connection, install.facts, entry)


def _drop_in(unit: str) -> Path:
    return Path(f"/etc/systemd/system/{unit}.d/ipa.conf")
