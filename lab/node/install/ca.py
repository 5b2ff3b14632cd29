"""The certificate authority's part of an installation: keys, files, records, the agent, trust in it."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from lab.node import services
from lab.node.ca import layout
from lab.node.ca.agents import description_of
from lab.node.ca.authority import Authority, der, key_pem, name_of, new_key, new_request, pem, utc_now
from lab.node.ca.client import AGENT_CERTIFICATE, AGENT_KEY
from lab.node.ca.profiles import profile_named
from lab.node.ca.records import Record, Repository
from lab.node.component import Install
from lab.node.files import remove_file, remove_tree, write_file
from lab.node.install import trust
from lab.node.ldapi import directory
from lab.node.masters import enable_service

AGENT = "ipara"
AGENT_BUNDLE = Path("/root/ca-agent.p12")
AUTHORITY_BUNDLE = Path("/root/cacert.p12")
DROP_IN = Path(f"/etc/systemd/system/{layout.UNIT}.d/ipa.conf")
FIRST_SERIAL, LAST_SERIAL = 0x1, 0xFFFFFFF
LOG_FOLDERS = (
    layout.LOGS,
    layout.LOGS / "ca",
    layout.LOGS / "ca" / "archive",
    layout.LOGS / "ca" / "signedAudit",
)
STATE_LINKS = {"conf": layout.INSTANCE, "alias": layout.ALIAS, "logs": layout.LOGS}

DIRECTORY_ACCESS = (
    '(targetattr="*")(version 3.0; acl "The authority keeps its records"; allow (all) '
    f'userdn="ldap:///{layout.DATABASE_USER}";)'
)


class CertificateAuthority:
    """Makes a new self-signed authority and starts it as pki-tomcatd@pki-tomcat."""

    name = "ca"
    title = "certificate server (pki-tomcatd)"

    def configure(self, install: Install) -> None:
        facts = install.facts
        now = utc_now()
        authority = Authority.create(facts.realm, facts.domain, now)
        database_password, key_password = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        repository = Repository(lambda: directory(facts.ldapi_uri), FIRST_SERIAL, LAST_SERIAL)

        def issue(common_name: str, profile: str, key: rsa.RSAPrivateKey) -> Record:
            request = new_request(key, name_of(common_name, facts.realm))
            chosen = profile_named(profile)
            return repository.add(
                lambda serial: authority.issue(request, serial, chosen, utc_now()), profile, "admin", now
            )

        def records() -> None:
            repository.add(lambda _serial: authority.certificate, "caCACert", "admin", now)

        def server_files() -> None:
            server, subsystem = new_key(), new_key()
            instance_files(install, database_password, key_password)
            parts = {
                "ca_signing": (authority.certificate, authority.key),
                "sslserver": (issue(facts.host, "caServerCert", server).certificate, server),
                "subsystem": (issue("CA Subsystem", "caSubsystemCert", subsystem).certificate, subsystem),
            }
            for part, (certificate, key) in parts.items():
                owned(layout.ALIAS / f"{part}.crt", pem(certificate), 0o644)
                owned(layout.ALIAS / f"{part}.key", key_pem(key, key_password), 0o600)

        def agent() -> None:
            key = new_key()
            _agent_files(install, issue("IPA RA", "caSubsystemCert", key).certificate, key)

        install.run_steps(
            self.title,
            [
                ("preparing the certificate repository", lambda: _tree(install, database_password)),
                ("recording the signing certificate", records),
                ("creating certificate server instance", server_files),
                ("creating RA agent certificate", agent),
                ("publishing the CA certificate", lambda: trust.publish(install, [authority.certificate])),
                ("saving the CA for the administrator", lambda: _bundle(install, authority)),
                ("starting certificate server instance", lambda: start(install)),
                ("enabling CA instance", lambda: _enable(install)),
            ],
        )

    def unconfigure(self, install: Install) -> None:
        services.stop(layout.UNIT)
        services.reset_failed(layout.UNIT)
        for folder in (layout.INSTANCE, layout.STATE, layout.LOGS):
            remove_tree(folder)
        for path in (AGENT_CERTIFICATE, AGENT_KEY, AGENT_BUNDLE, AUTHORITY_BUNDLE):
            remove_file(path)
        trust.withdraw()
        install.sysrestore.restore(DROP_IN)
        remove_tree(DROP_IN.parent)
        services.daemon_reload()


def _tree(install: Install, password: str) -> None:
    with directory(install.facts.ldapi_uri) as server:
        server.add_if_missing(layout.SUFFIX, {"objectClass": ["top", "organization"], "o": "ipaca"})
        for ou in ("ca", "certificateRepository,ou=ca", "people", "groups"):
            unit = ou.split(",", maxsplit=1)[0]
            kind = "repository" if unit == "certificateRepository" else "organizationalUnit"
            server.add_if_missing(f"ou={ou},{layout.SUFFIX}", {"objectClass": ["top", kind], "ou": unit})
        person = ["top", "person", "organizationalPerson", "inetOrgPerson"]
        server.delete(layout.DATABASE_USER)
        server.add(
            layout.DATABASE_USER,
            {
                "objectClass": person,
                "uid": "pkidbuser",
                "cn": "pkidbuser",
                "sn": "pkidbuser",
                "userPassword": password,
            },
        )
        server.add_if_missing(
            layout.AGENTS,
            {
                "objectClass": ["top", "groupOfUniqueNames"],
                "cn": "Certificate Manager Agents",
                "uniqueMember": f"uid={AGENT},{layout.PEOPLE}",
            },
        )
        server.ensure_values(layout.SUFFIX, "aci", DIRECTORY_ACCESS)


def owned(path: Path, content: str | bytes, mode: int) -> None:
    """Write a file of the authority's account."""
    write_file(path, content, mode=mode, owner=layout.ACCOUNT, group=layout.ACCOUNT)


def _folder(path: Path, mode: int) -> None:
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    path.chmod(mode)
    shutil.chown(path, layout.ACCOUNT, layout.ACCOUNT)


def instance_files(
    install: Install, database_password: str, key_password: str, serials: tuple[int, int] = (FIRST_SERIAL, LAST_SERIAL)
) -> None:
    """The folders and settings of the instance; it gives out the serial numbers from the first to the last of
    `serials`.
    """
    facts = install.facts
    for path in (layout.INSTANCE, layout.INSTANCE / "ca", layout.ALIAS, layout.STATE, layout.STATE / "ca"):
        _folder(path, 0o770)
    for path in LOG_FOLDERS:
        _folder(path, 0o770)
    for name, target in STATE_LINKS.items():
        link = layout.STATE / name
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        os.lchown(link, layout.INSTANCE.stat().st_uid, layout.INSTANCE.stat().st_gid)
    settings = {
        "cs.type": "CA",
        "instanceId": "pki-tomcat",
        "machineName": facts.host,
        "securitydomain.name": facts.realm,
        "ipa.domain": facts.domain,
        "internaldb.basedn": layout.SUFFIX,
        "internaldb.ldapconn.uri": facts.ldapi_uri,
        "internaldb.ldapauth.bindDN": layout.DATABASE_USER,
        "dbs.beginSerialNumber": f"{serials[0]:x}",
        "dbs.endSerialNumber": f"{serials[1]:x}",
        "ca.signing.cert": str(layout.ALIAS / "ca_signing.crt"),
    }
    owned(layout.CONFIG, layout.settings_text(settings), 0o660)
    passwords = {"internal": key_password, "internaldb": database_password}
    owned(layout.PASSWORDS, layout.settings_text(passwords), 0o660)


def _agent_files(install: Install, certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> None:
    write_file(AGENT_CERTIFICATE, pem(certificate), mode=0o440, group="ipaapi")
    write_file(AGENT_KEY, key_pem(key), mode=0o440, group="ipaapi")
    entry = f"uid={AGENT},{layout.PEOPLE}"
    with directory(install.facts.ldapi_uri) as server:
        server.delete(entry)
        server.add(
            entry,
            {
                "objectClass": ["top", "person", "organizationalPerson", "inetOrgPerson"],
                "uid": AGENT,
                "cn": AGENT,
                "sn": AGENT,
                "description": description_of(certificate),
                "userCertificate;binary": der(certificate),
            },
        )
    write_file(AGENT_BUNDLE, _pkcs12("ipa-ca-agent", certificate, key, install.dm_password), mode=0o600)


def _bundle(install: Install, authority: Authority) -> None:
    content = _pkcs12("caSigningCert cert-pki-ca", authority.certificate, authority.key, install.dm_password)
    write_file(AUTHORITY_BUNDLE, content, mode=0o600)


def _pkcs12(name: str, certificate: x509.Certificate, key: rsa.RSAPrivateKey, password: str) -> bytes:
    return pkcs12.serialize_key_and_certificates(
        name.encode(), key, certificate, None, BestAvailableEncryption(password.encode())
    )


def start(install: Install) -> None:
    """Start the authority, from now on always after the directory."""
    install.put_file(DROP_IN, f"[Unit]\nAfter={install.facts.dirsrv_unit}\n")
    services.daemon_reload()
    services.start(layout.UNIT)


def _enable(install: Install) -> None:
    with directory(install.facts.ldapi_uri) as server:
        enable_service(server, install.facts, "CA")
        server.ensure_values(f"cn=CA,{install.facts.master_dn}", "ipaConfigString", "caRenewalMaster")
