"""httpd: TLS, Kerberos, and the API behind them."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.node import services
from lab.node.ca.authority import key_pem, pem
from lab.node.component import Install, Step
from lab.node.facts import RealmFacts
from lab.node.files import remove_file, remove_tree, render, write_file
from lab.node.install.certmonger import new_pin, request_certificate, restart_when_renewed
from lab.node.install.external import remember_certificate
from lab.node.ldapi import directory
from lab.node.masters import enable_service
from lab.node.run import run

UNIT = "apache2.service"
ETC = Path("/etc/apache2")
CONF = ETC / "conf-available" / "ipa.conf"
REWRITE_CONF = ETC / "conf-available" / "ipa-rewrite.conf"
SSL_CONF = ETC / "mods-available" / "ssl.conf"
SITE = ETC / "sites-available" / "default-ssl.conf"
SESSION_FOLDER = ETC / "ipa"
DROP_IN = Path("/etc/systemd/system/apache2.service.d/ipa.conf")
CERTIFICATE = Path("/var/lib/ipa/certs/httpd.crt")
KEY = Path("/var/lib/ipa/private/httpd.key")
KEYTAB = Path("/var/lib/ipa/gssproxy/http.keytab")
API_ACCOUNT = "ipaapi"

MODULES = [
    "ssl",
    "socache_shmcb",
    "rewrite",
    "headers",
    "auth_gssapi",
    "session",
    "session_cookie",
    "wsgi",
    "proxy",
    "proxy_http",
    "authn_core",
    "authz_user",
]
SITES = ("default-ssl",)
CONFS = ("ipa", "ipa-rewrite")
KINDS = {"mods": MODULES, "sites": SITES, "conf": CONFS}
ENABLE = {"mods": "a2enmod", "sites": "a2ensite", "conf": "a2enconf"}
DISABLE = {"mods": "a2dismod", "sites": "a2dissite", "conf": "a2disconf"}

CONF_TEXT = """\
# The identity server's web interface. Written by its installer.
# The API's extension modules load in the main interpreter only, hence %{GLOBAL}.
WSGISocketPrefix /run/apache2/wsgi
WSGIDaemonProcess ipa processes=2 threads=1 maximum-requests=500 user=${account} group=${account} \\
 display-name=%{GROUP} python-path=/usr/lib/ipalab lang=C.UTF-8 locale=C.UTF-8 home=/var/lib/ipa
WSGIImportScript /usr/lib/ipalab/lab/node/api/ipa.wsgi process-group=ipa application-group=%{GLOBAL}
WSGIScriptAlias /ipa/json /usr/lib/ipalab/lab/node/api/ipa.wsgi
WSGIScriptAlias /ipa/session/json /usr/lib/ipalab/lab/node/api/ipa.wsgi
Alias /ipa/config/ca.crt "/etc/ipa/ca.crt"
Alias /ipa/config "/usr/share/ipa/html"
${revocations}

<Location "/ipa">
  AuthType GSSAPI
  AuthName "Kerberos Login"
  GssapiSSLonly On
  GssapiUseSessions On
  Session On
  SessionMaxAge 1800
  SessionCookieName ipa_session path=/ipa;httponly;secure;
  SessionHeader IPASESSION
  GssapiSessionKey file:/etc/apache2/ipa/ipasession.key
  GssapiCredStore keytab:${keytab}
  GssapiCredStore client_keytab:${keytab}
  GssapiCredStore ccache:FILE:/run/ipa/ccaches/httpd
  GssapiImpersonate Off
  GssapiUseS4U2Proxy On
  GssapiDelegCcacheDir /run/ipa/ccaches
  GssapiDelegCcachePerms mode:0660 gid:${account}
  GssapiDelegCcacheUnique On
  GssapiAllowedMech krb5
  Require valid-user
  WSGIProcessGroup ipa
  WSGIApplicationGroup %{GLOBAL}
</Location>
<Location "/ipa/config">
  AuthType None
  Require all granted
</Location>
<Location "/ipa/crl">
  AuthType None
  Require all granted
</Location>
<Directory "/usr/lib/ipalab/lab/node/api">
  Require all granted
</Directory>
<Directory "/usr/share/ipa/html">
  Require all granted
</Directory>
<Directory "/etc/ipa">
  <Files "ca.crt">
    Require all granted
  </Files>
</Directory>
"""
REWRITE_TEXT = """\
# Everything but the CA's certificate and its revocation list goes over TLS.
ServerName ${hostname}
# A virtual host of its own: rules outside of one are not applied within.
<VirtualHost *:80>
  ServerName ${hostname}
  DocumentRoot /var/www/html
  ErrorLog $${APACHE_LOG_DIR}/error.log
  CustomLog $${APACHE_LOG_DIR}/access.log combined
  RewriteEngine on
  RewriteCond %{REQUEST_URI} !^/ipa/(config/ca\\.crt|crl/)
  RewriteRule ^/ipa(/.*)?$$ https://${hostname}/ipa$$1 [L,R=301,NC]
</VirtualHost>
"""
SITE_TEXT = """\
<VirtualHost _default_:443>
  ServerName ${hostname}:443
  DocumentRoot /var/www/html
  ErrorLog $${APACHE_LOG_DIR}/error.log
  CustomLog $${APACHE_LOG_DIR}/access.log combined
  LogLevel warn
  SSLEngine on
  SSLCertificateFile ${certificate}
  SSLCertificateKeyFile ${key}
</VirtualHost>
"""
DROP_IN_TEXT = """\
[Unit]
After=${dirsrv} krb5-kdc.service

[Service]
# Tickets from before this start may be of keys that are no more.
ExecStartPre=/usr/bin/rm -rf /run/ipa/ccaches
ExecStartPre=/usr/bin/install -d -m 0770 -o www-data -g ${account} /run/ipa/ccaches
"""
REVOCATIONS = 'ProxyPass "/ipa/crl/MasterCRL.bin" "http://127.0.0.1:8080/ca/ee/ca/getCRL"'
PASSPHRASE = "exec:/usr/lib/ipalab/lab/node/api/passphrase"
SELF_SERVICE = (
    '(targetattr = "userPassword")(version 3.0; acl "Users change their own password"; '
    'allow (write) userdn = "ldap:///self";)'
)


class HttpServer:
    """Apache httpd on 80 and 443 with the API at /ipa/json."""

    name = "http"
    title = "the web interface (httpd)"

    def configure(self, install: Install) -> None:
        steps: list[Step] = [
            ("recording what httpd had enabled", lambda: _note_enabled(install)),
            ("allowing httpd to act for its users", lambda: _delegate(install.facts)),
            ("giving httpd its keytab", _share_keytab),
            ("setting up httpd keys and certificate", lambda: _certificate(install)),
            ("configuring httpd", lambda: _write(install)),
            ("enabling modules and sites", _enable),
            ("starting httpd", lambda: services.restart(UNIT)),
        ]
        if not install.options.ca_less and not install.certificates:
            steps.append(("restarting httpd when its certificate is renewed", lambda: _follow_renewals(install)))
        steps.append(("enabling the HTTP service of this master", lambda: _list(install)))
        install.run_steps(self.title, steps)

    def unconfigure(self, install: Install) -> None:
        services.stop(UNIT)
        services.reset_failed(UNIT)
        for kind in KINDS:
            noted = install.sysrestore.pop_state("httpd", f"{kind}_enabled")
            if noted is not None:
                added = [name for name in _enabled(kind) if name not in noted.split()]
                if added:
                    run([DISABLE[kind], "-q", "-f", "-p", *added], check=False)
        for path in (CONF, REWRITE_CONF, SITE, SSL_CONF, DROP_IN):
            install.sysrestore.restore(path)
        remove_tree(DROP_IN.parent)
        remove_tree(SESSION_FOLDER)
        for path in (CERTIFICATE, KEY, _pin_file(install.facts)):
            remove_file(path)
        KEYTAB.parent.chmod(0o700)
        shutil.chown(KEYTAB.parent, "root", "root")
        install.sysrestore.pop_state("httpd", "running")
        install.sysrestore.pop_state("httpd", "enabled")
        services.daemon_reload()


def _pin_file(facts: RealmFacts) -> Path:
    return Path(f"/var/lib/ipa/passwds/{facts.host}-443-RSA")


def _enabled(kind: str) -> list[str]:
    """Names of what is enabled, without endings."""
    return sorted({path.stem for path in (ETC / f"{kind}-enabled").iterdir()})


def _note_enabled(install: Install) -> None:
    keep = install.sysrestore
    keep.set_state("httpd", "running", services.is_active(UNIT))
    keep.set_state("httpd", "enabled", services.is_enabled(UNIT))
    for kind in KINDS:
        keep.set_state("httpd", f"{kind}_enabled", " ".join(_enabled(kind)))


def _delegate(facts: RealmFacts) -> None:
    """httpd may get tickets for the directory in the name of whoever shows it a ticket."""
    entry = f"krbprincipalname=HTTP/{facts.host}@{facts.realm},cn=services,cn=accounts,{facts.basedn}"
    with directory(facts.ldapi_uri) as server:
        server.ensure_values(entry, "krbAllowedToDelegateTo", f"ldap/{facts.host}@{facts.realm}")
        server.ensure_values(f"cn=users,cn=accounts,{facts.basedn}", "aci", SELF_SERVICE)


def _share_keytab() -> None:
    """httpd's account is a member of the API's group; both need the service's key, nobody else does."""
    shutil.chown(KEYTAB.parent, "root", API_ACCOUNT)
    KEYTAB.parent.chmod(0o710)
    shutil.chown(KEYTAB, "root", API_ACCOUNT)
    KEYTAB.chmod(0o640)


def _certificate(install: Install) -> None:
    pin = _pin_file(install.facts)
    secret = new_pin(pin)
    if install.certificates:
        given = install.certificates.web
        write_file(CERTIFICATE, b"".join(pem(one) for one in (given.certificate, *given.issuers[:-1])))
        write_file(KEY, key_pem(given.key, secret), mode=0o600)
        remember_certificate(install.facts, "HTTP", given.certificate)
        return
    where = ["-f", str(CERTIFICATE), "-k", str(KEY), "-p", str(pin)]
    request_certificate(install.facts, "HTTP", where)


def _write(install: Install) -> None:
    values = {
        "hostname": install.facts.host,
        "account": API_ACCOUNT,
        "keytab": KEYTAB,
        "certificate": CERTIFICATE,
        "key": KEY,
        "dirsrv": install.facts.dirsrv_unit,
        "revocations": "" if install.options.ca_less else REVOCATIONS,
    }
    install.put_file(CONF, render(CONF_TEXT, **values))
    install.put_file(REWRITE_CONF, render(REWRITE_TEXT, **values))
    install.put_file(SITE, render(SITE_TEXT, **values))
    install.put_file(DROP_IN, render(DROP_IN_TEXT, **values))
    lines = SSL_CONF.read_text(encoding="utf-8").splitlines()
    dialog = f"\tSSLPassPhraseDialog  {PASSPHRASE}"
    install.put_file(
        SSL_CONF,
        "".join((dialog if line.strip().startswith("SSLPassPhraseDialog") else line) + "\n" for line in lines),
    )
    SESSION_FOLDER.mkdir(mode=0o700, exist_ok=True)
    shutil.chown(SESSION_FOLDER, "www-data", "www-data")


def _enable() -> None:
    for kind, names in KINDS.items():
        run([ENABLE[kind], "-q", *names])
    services.daemon_reload()


def _follow_renewals(install: Install) -> None:
    restart_when_renewed(CERTIFICATE, f"/usr/bin/systemctl try-restart {UNIT}")


def _list(install: Install) -> None:
    with directory(install.facts.ldapi_uri) as server:
        enable_service(server, install.facts, "HTTP")
