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
FIRST_SERIAL, LAST_SERIAL = 0x1, 0xFFFFFFF

DIRECTORY_ACCESS = (
    '(targetattr="*")(version 3.0; acl "The authority keeps its records"; allow (all) '
    f'userdn="ldap:///{layout.DATABASE_USER}";)'
)


class CertificateAuthority:
    """Makes a new self-signed authority and starts it as pki-tomcatd@pki-tomcat (or pki-cad@pki-ca)."""

    name = "ca"
    title = "certificate server (pki-tomcatd)"

    def configure(self, install: Install) -> None:
        facts = install.facts
        place, records_uri = layout.place_of(facts.dogtag_version), facts.authority_directory.ldapi_uri
        now = utc_now()
        authority = Authority.create(facts.realm, facts.domain, now)
        database_password, key_password = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        repository = Repository(lambda: directory(records_uri), FIRST_SERIAL, LAST_SERIAL)

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
                owned(place.alias / f"{part}.crt", pem(certificate), 0o644)
                owned(place.alias / f"{part}.key", key_pem(key, key_password), 0o600)

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
        for place in layout.PLACES.values():
            services.stop(place.unit)
            services.reset_failed(place.unit)
            for folder in (place.instance, place.state, place.logs):
                remove_tree(folder)
            install.sysrestore.restore(place.drop_in)
            remove_tree(place.drop_in.parent)
        for path in (AGENT_CERTIFICATE, AGENT_KEY, AGENT_BUNDLE, AUTHORITY_BUNDLE):
            remove_file(path)
        trust.withdraw()
        services.daemon_reload()


def _tree(install: Install, password: str) -> None:
    with directory(install.facts.authority_directory.ldapi_uri) as server:
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
    place, records = layout.place_of(facts.dogtag_version), facts.authority_directory
    for path in place.folders:
        _folder(path, 0o770)
    owner = place.instance.stat()
    for link, target in place.links.items():
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        os.lchown(link, owner.st_uid, owner.st_gid)
    settings = {
        "cs.type": "CA",
        "instanceId": place.name,
        "machineName": facts.host,
        "securitydomain.name": facts.realm,
        "ipa.domain": facts.domain,
        "internaldb.basedn": layout.SUFFIX,
        # A directory of its own is reached by its port, as any other client would.
        "internaldb.ldapconn.uri": (
            records.ldapi_uri if records == facts.directory else f"ldap://localhost:{records.port}"
        ),
        "internaldb.ldapauth.bindDN": layout.DATABASE_USER,
        "dbs.beginSerialNumber": f"{serials[0]:x}",
        "dbs.endSerialNumber": f"{serials[1]:x}",
        "ca.signing.cert": str(place.alias / "ca_signing.crt"),
    }
    owned(place.config, layout.settings_text(settings), 0o660)
    passwords = {"internal": key_password, "internaldb": database_password}
    owned(place.passwords, layout.settings_text(passwords), 0o660)


def _agent_files(install: Install, certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> None:
    write_file(AGENT_CERTIFICATE, pem(certificate), mode=0o440, group="ipaapi")
    write_file(AGENT_KEY, key_pem(key), mode=0o440, group="ipaapi")
    entry = f"uid={AGENT},{layout.PEOPLE}"
    with directory(install.facts.authority_directory.ldapi_uri) as server:
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
    place = layout.place_of(install.facts.dogtag_version)
    units = " ".join(instance.unit for instance in install.facts.directories)
    install.put_file(place.drop_in, f"[Unit]\nAfter={units}\n")
    services.daemon_reload()
    services.start(place.unit)


def _enable(install: Install) -> None:
    with directory(install.facts.ldapi_uri) as server:
        enable_service(server, install.facts, "CA")
        server.ensure_values(f"cn=CA,{install.facts.master_dn}", "ipaConfigString", "caRenewalMaster")
