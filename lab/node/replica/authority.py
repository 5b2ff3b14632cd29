"""The replica's certificate authority: the same signing key, records that replicate, serial numbers of its own."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from lab.node.ca import layout
from lab.node.ca.authority import Authority, key_pem, name_of, new_key, new_request, pem, utc_now
from lab.node.ca.client import AGENT_CERTIFICATE, AGENT_KEY
from lab.node.ca.profiles import profile_named
from lab.node.ca.records import Record, Repository
from lab.node.component import Install, Step
from lab.node.facts import DEFAULT_CONF
from lab.node.files import write_file
from lab.node.install.ca import instance_files, owned, start
from lab.node.install.certmonger import (
    NICKNAME,
    Certmonger,
    request_arguments,
    restart_when_renewed,
)
from lab.node.install.client import default_conf
from lab.node.install.http import CERTIFICATE, UNIT
from lab.node.ldapi import Directory, directory
from lab.node.masters import enable_service
from lab.node.replica.info import KeyPair
from lab.node.replica.joining import Joining
from lab.node.replica.suffixes import AUTHORITY_SUFFIX
from lab.node.run import run

SERIALS_EACH = 0x10000000


def serial_range(replica_number: int) -> tuple[int, int]:
    """The serial numbers of the authority with this replica number: no two share one, and none is the first
    master's (1 to 0xfffffff).
    """
    return replica_number * SERIALS_EACH, (replica_number + 1) * SERIALS_EACH - 1


class Agent:
    """The realm's agent: by its key this host asks an authority in the realm's name."""

    name = "agent"
    title = "RA agent"

    def __init__(self, joining: Joining) -> None:
        self.joining = joining

    def configure(self, install: Install) -> None:
        agent = self.joining.info.secrets.agent
        if agent is None:
            raise RuntimeError("the master has no key of the agent")
        install.run_steps(self.title, [("importing RA certificate", lambda: _write_agent(agent))])

    def unconfigure(self, install: Install) -> None:
        """Its files go with the authority's."""


def _write_agent(agent: KeyPair) -> None:
    write_file(AGENT_CERTIFICATE, pem(agent.certificate), mode=0o440, group="ipaapi")
    write_file(AGENT_KEY, key_pem(agent.key), mode=0o440, group="ipaapi")


class ReplicaCertmonger(Certmonger):
    """certmonger as on the first master, which alone renews the agent's certificate."""

    def configure(self, install: Install) -> None:
        install.run_steps(
            self.title,
            [
                ("starting certmonger", lambda: self._start(install)),
                ("configuring certmonger to renew from the realm's CA", lambda: self._register(install)),
            ],
        )


class Tracking:
    """certmonger renews the certificates that came with the replica file, and restarts who uses them."""

    name = "tracking"
    title = "certificate renewal"

    def configure(self, install: Install) -> None:
        facts = install.facts
        database = ["-d", str(facts.instance_config), "-n", NICKNAME]
        pins = ["-p", str(facts.instance_config / "pwdfile.txt")]
        steps: list[Step] = []
        restart = f"/usr/bin/systemctl try-restart {facts.dirsrv_unit}"
        if install.certificates:
            asked = request_arguments(facts, "ldap")
            steps = [
                ("tracking the directory's certificate", lambda: _track([*database, *pins, *asked, "-C", restart])),
                ("tracking the web server's certificate", lambda: self._track_web(install)),
            ]
        else:
            steps = [
                (
                    "restarting the directory when its certificate is renewed",
                    lambda: _track([*database, "-C", restart]),
                ),
                (
                    "restarting httpd when its certificate is renewed",
                    lambda: restart_when_renewed(CERTIFICATE, f"/usr/bin/systemctl try-restart {UNIT}"),
                ),
            ]
        install.run_steps(self.title, steps)

    def unconfigure(self, install: Install) -> None:
        """The requests go with certmonger's."""

    @staticmethod
    def _track_web(install: Install) -> None:
        facts = install.facts
        key, pin = Path("/var/lib/ipa/private/httpd.key"), Path(f"/var/lib/ipa/passwds/{facts.host}-443-RSA")
        where = ["-f", str(CERTIFICATE), "-k", str(key), "-p", str(pin)]
        _track([*where, *request_arguments(facts, "HTTP"), "-C", f"/usr/bin/systemctl try-restart {UNIT}"])


def _track(words: list[str]) -> None:
    run(["getcert", "start-tracking", *words])


class AuthorityClone:
    """pki-tomcatd with the realm's signing key."""

    name = "ca-clone"
    title = "certificate server (pki-tomcatd)"

    def __init__(self, joining: Joining) -> None:
        self.joining = joining

    def configure(self, install: Install) -> None:
        signing = self.joining.info.secrets.signing
        if signing is None:
            raise RuntimeError("the master did not hand out the authority's key")
        install.run_steps(
            self.title,
            [
                ("creating certificate server instance", lambda: self._create(install, signing)),
                ("starting certificate server instance", lambda: start(install)),
                ("enabling CA instance", lambda: self._enable(install)),
                ("asking this host's authority from now on", lambda: self._prefer_own(install)),
            ],
        )

    def unconfigure(self, install: Install) -> None:
        """The first master's part takes the same away."""

    def _create(self, install: Install, signing: KeyPair) -> None:
        facts = install.facts
        authority = Authority(signing.certificate, signing.key, facts.realm, facts.domain)
        with directory(facts.ldapi_uri) as server:
            serials = serial_range(_own_number(server))
        repository = Repository(lambda: directory(facts.ldapi_uri), *serials)
        now = utc_now()

        def issue(common_name: str, profile: str, key: rsa.RSAPrivateKey) -> Record:
            request, chosen = new_request(key, name_of(common_name, facts.realm)), profile_named(profile)
            return repository.add(
                lambda serial: authority.issue(request, serial, chosen, utc_now()), profile, "admin", now
            )

        key_password = secrets.token_urlsafe(24)
        instance_files(install, self.joining.info.secrets.database_password, key_password, serials)
        server_key, subsystem_key = new_key(), new_key()
        parts = {
            "ca_signing": signing,
            "sslserver": KeyPair(issue(facts.host, "caServerCert", server_key).certificate, server_key),
            "subsystem": KeyPair(issue("CA Subsystem", "caSubsystemCert", subsystem_key).certificate, subsystem_key),
        }
        for part, pair in parts.items():
            owned(layout.TOMCAT.alias / f"{part}.crt", pem(pair.certificate), 0o644)
            owned(layout.TOMCAT.alias / f"{part}.key", key_pem(pair.key, key_password), 0o600)

    @staticmethod
    def _enable(install: Install) -> None:
        with directory(install.facts.ldapi_uri) as server:
            enable_service(server, install.facts, "CA")

    @staticmethod
    def _prefer_own(install: Install) -> None:
        write_file(DEFAULT_CONF, default_conf(replace(install.facts, ca_host=""), ca_less=False))


def _own_number(server: Directory) -> int:
    entry = server.get(AUTHORITY_SUFFIX.replica_dn, ["nsDS5ReplicaId"]) or {}
    return int(next(iter(entry.values()))[0])
