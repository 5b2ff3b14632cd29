"""certmonger: the realm's authority as a CA of its own, and the server certificates that it keeps renewed."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from lab.node import services
from lab.node.ca.client import AGENT_CERTIFICATE, AGENT_KEY, CA_CERTIFICATE
from lab.node.ca.profiles import DEFAULT_PROFILE
from lab.node.component import Install
from lab.node.facts import DirectoryInstance, RealmFacts
from lab.node.files import write_file
from lab.node.ldapi import directory
from lab.node.run import run

UNIT = "certmonger.service"
CA_NAME = "IPA"
HELPER = "/usr/bin/env PYTHONPATH=/usr/lib/ipalab /usr/bin/python3 -m lab.node.ca.submit"
AGENT_RENEWED = "/usr/bin/env PYTHONPATH=/usr/lib/ipalab /usr/bin/python3 -m lab.node.ca.agent_renewed"
CAS = Path("/var/lib/certmonger/cas")
REQUESTS = Path("/var/lib/certmonger/requests")
NICKNAME = "Server-Cert"
ISSUE_LIMIT = 60.0


class Certmonger:
    """Starts certmonger and teaches it the way to the authority; tracks the agent's own certificate."""

    name = "certmonger"
    title = "certmonger"

    def configure(self, install: Install) -> None:
        install.run_steps(
            self.title,
            [
                ("starting certmonger", lambda: self._start(install)),
                ("configuring certmonger to renew from the realm's CA", lambda: self._register(install)),
                ("tracking the RA agent's certificate", self._track_agent),
            ],
        )

    def unconfigure(self, install: Install) -> None:
        """Forget every request made here, and the helper, by certmonger's own files: it may not run any more."""
        helper = install.sysrestore.pop_state("certmonger", "helper")
        was_enabled = install.sysrestore.pop_state("certmonger", "enabled")
        was_running = install.sysrestore.pop_state("certmonger", "running")
        if helper is not None:
            services.start(UNIT)
            for request in _requests_of(CA_NAME):
                run(["getcert", "stop-tracking", "-i", request])
            _set_helper(helper)
        if was_running == "False":
            services.stop(UNIT)
        if was_enabled == "False":
            services.disable(UNIT)

    @staticmethod
    def _start(install: Install) -> None:
        install.sysrestore.set_state("certmonger", "running", services.is_active(UNIT))
        install.sysrestore.set_state("certmonger", "enabled", services.is_enabled(UNIT))
        services.enable(UNIT)
        services.start(UNIT)

    @staticmethod
    def _register(install: Install) -> None:
        present = _helper()
        if present is None:
            run(["getcert", "add-ca", "-c", CA_NAME, "-e", HELPER])
            install.sysrestore.set_state("certmonger", "helper", "")
        elif present != HELPER:
            install.sysrestore.set_state("certmonger", "helper", present)
            _set_helper(HELPER)

    @staticmethod
    def _track_agent() -> None:
        words = ["-f", str(AGENT_CERTIFICATE), "-k", str(AGENT_KEY), "-c", CA_NAME, "-T", "caSubsystemCert"]
        run(["getcert", "start-tracking", *words, "-C", AGENT_RENEWED, "-w"])


class DirectoryTLS:
    """Gives the directory a certificate and switches its TLS on."""

    name = "directory-tls"
    title = "directory server (dirsrv)"

    def configure(self, install: Install) -> None:
        enable_directory_tls(install)

    def unconfigure(self, install: Install) -> None:
        """The certificate database goes with the instance, the request with certmonger's."""


def enable_directory_tls(install: Install) -> None:
    """Request the directory's certificate, import the CA's, switch TLS on, and restart it."""
    facts = install.facts
    install.run_steps(
        "directory server (dirsrv)",
        [
            ("requesting a certificate for the directory", lambda: give_certificate(facts, facts.directory)),
            ("configuring TLS for DS instance", lambda: switch_tls_on(facts.directory, NICKNAME)),
            ("restarting directory server", lambda: services.restart(facts.dirsrv_unit)),
            ("renewing with a restart from now on", lambda: restart_when_certificate_renewed(facts.directory)),
        ],
    )


def give_certificate(facts: RealmFacts, instance: DirectoryInstance) -> None:
    """Put the realm's authority and a certificate of its own into the database of an instance."""
    database = str(instance.config)
    pins = str(instance.config / "pwdfile.txt")
    trust = ["-n", f"{facts.realm} IPA CA", "-t", "CT,C,C", "-a", "-i", str(CA_CERTIFICATE)]
    run(["certutil", "-A", "-d", database, "-f", pins, *trust])
    request_certificate(facts, "ldap", ["-d", database, "-n", NICKNAME, "-p", pins])


def switch_tls_on(instance: DirectoryInstance, nickname: str) -> None:
    """Have the instance use the certificate of this name in its database, from its next start."""
    encryption = "cn=encryption,cn=config"
    with directory(instance.ldapi_uri) as server:
        server.replace(
            encryption,
            {"nsTLSAllowClientRenegotiation": "on", "nsSSLClientAuth": "allowed", "sslVersionMin": "TLS1.2"},
        )
        server.add_if_missing(f"cn=RSA,{encryption}", {"objectClass": ["top", "nsEncryptionModule"], "cn": "RSA"})
        server.replace(
            f"cn=RSA,{encryption}",
            {"nsSSLPersonalitySSL": nickname, "nsSSLToken": "internal (software)", "nsSSLActivation": "on"},
        )
        server.replace("cn=config", {"nsslapd-securePort": instance.secure_port, "nsslapd-security": "on"})


def restart_when_certificate_renewed(instance: DirectoryInstance) -> None:
    """Have the instance restarted whenever certmonger has saved a new certificate for it."""
    where = ["-d", str(instance.config), "-n", NICKNAME]
    run(["getcert", "start-tracking", *where, "-C", f"/usr/bin/systemctl try-restart {instance.unit}"])


def request_certificate(facts: RealmFacts, service: str, where: Sequence[str]) -> None:
    """Have certmonger make a key and get a certificate for a service of this host, and keep it.

    `where` are getcert's options for the place. Returns when it is there; raises CommandFailed when it does not come,
    or RuntimeError when certmonger gave up.
    """
    principal = f"{service}/{facts.host}@{facts.realm}"
    asked = ["-N", f"CN={facts.host},O={facts.realm}", *request_arguments(facts, service)]
    said = run(["getcert", "request", *where, *asked, "-w", "-v"], check=False, limit=ISSUE_LIMIT)
    states = re.findall(r"^State (\w+)", said.stdout, re.MULTILINE)
    if said.status != 0 or states[-1:] != ["MONITORING"]:
        raise RuntimeError(f"no certificate for {principal}: {said.stdout.strip()} {said.stderr.strip()}")


def request_arguments(facts: RealmFacts, service: str) -> list[str]:
    """getcert's options that say who signs a service's certificate, and for which names, also at its renewal."""
    return ["-c", CA_NAME, "-T", DEFAULT_PROFILE, "-D", facts.host, "-K", f"{service}/{facts.host}@{facts.realm}"]


def new_pin(path: Path) -> str:
    """A random passphrase for a key, kept in a file that only root reads."""
    pin = secrets.token_urlsafe(24)
    write_file(path, pin + "\n", mode=0o600)
    return pin


def restart_when_renewed(certificate: Path, command: str) -> None:
    """Have a command run whenever certmonger has saved a new certificate there."""
    run(["getcert", "start-tracking", "-f", str(certificate), "-C", command])


def _requests_of(ca: str) -> list[str]:
    listed = run(["getcert", "list", "-c", ca], check=False).stdout
    return re.findall(r"^Request ID '([^']+)'", listed, re.MULTILINE)


def _helper() -> str | None:
    """The helper that certmonger has for the CA now; None without such a CA."""
    listed = run(["getcert", "list-cas", "-c", CA_NAME], check=False).stdout
    found = re.search(r"helper-location: (.*)$", listed, re.MULTILINE)
    return found[1].strip() if found else None


def _set_helper(helper: str) -> None:
    """Point the CA at a helper; without one the CA is removed."""
    if not helper:
        run(["getcert", "remove-ca", "-c", CA_NAME], check=False)
    else:
        run(["getcert", "modify-ca", "-c", CA_NAME, "-e", helper])
