"""Making a server of this host, and a plain host of a server."""

from __future__ import annotations

import logging
import shutil
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from lab.node import services
from lab.node.component import Component, Install
from lab.node.facts import DEFAULT_CONF, InstallOptions, NotConfigured, RealmFacts, read_facts
from lab.node.files import remove_file, remove_tree
from lab.node.install import checks
from lab.node.install.accounts import ensure_accounts
from lab.node.install.client import default_conf
from lab.node.install.order import components
from lab.node.install.server_certificates import GivenCertificates
from lab.node.sysrestore import Sysrestore

log = logging.getLogger(__name__)

HOSTS = Path("/etc/hosts")
RUNTIME = Path("/run/ipa")
HOSTNAME = Path("/etc/hostname")
# Folders that stay, emptied: the package ships them, an installation fills them.
EMPTIED = (
    "/var/lib/ipa/certs",
    "/var/lib/ipa/private",
    "/var/lib/ipa/passwds",
    "/var/lib/ipa/gssproxy",
    "/var/lib/ipa/sysupgrade",
    "/var/lib/ipa-client/pki",
    "/etc/ipa/custodia",
    "/etc/ipa/nssdb",
)


class UninstallIncomplete(Exception):
    """Parts of the server could not be taken away; the message names each with its reason."""


def install_server(
    options: InstallOptions,
    address: str,
    out: Callable[[str], None] = print,
    *,
    certificates: GivenCertificates | None = None,
) -> None:
    """Make the server that `options` describe; a failure leaves a half-made one that an uninstall removes."""
    facts = RealmFacts(
        options.realm, options.domain, options.hostname, address, dogtag_version=9 if options.upgraded_layout else 10
    )
    install = Install(facts, options, Sysrestore(), out, certificates)
    make_master(install, address, components(options), default_conf(facts, ca_less=options.ca_less))


def make_master(install: Install, address: str, parts: Sequence[Component], configuration: str) -> None:
    """Make a master of these parts, `configuration` being its default.conf; the first one or another."""
    facts = install.facts
    # An uninstall of a half-made server needs to know its names.
    for key, value in (("realm", facts.realm), ("domain", facts.domain), ("hostname", facts.hostname)):
        install.sysrestore.set_state("network", key, value)
    ensure_accounts()
    _set_hostname(install)
    if not checks.resolves_here(facts.hostname, address, HOSTS):
        line = f"{address} {facts.hostname} {facts.hostname.split('.', 1)[0]}\n"
        install.put_file(HOSTS, HOSTS.read_text().rstrip("\n") + "\n" + line)
    install.put_file(DEFAULT_CONF, configuration)
    for part in parts:
        part.configure(install)
    services.enable("ipa.service")
    install.sysrestore.set_state("installation", "complete", True)
    # The services run already; this makes systemd and ipactl see it that way.
    install.progress("Starting IPA")
    services.start("ipa.service")


def uninstall_server(out: Callable[[str], None] = print) -> None:
    """Take away every part of the server, whole or half; backups and logs stay. Raises UninstallIncomplete
    at the end.
    """
    sysrestore = Sysrestore()
    facts = _names(sysrestore)
    install = Install(facts, InstallOptions(), sysrestore, out)
    problems: list[str] = []

    def attempt(what: str, deed: Callable[[], object]) -> None:
        try:
            deed()
        except Exception as error:
            log.exception("%s", what)
            problems.append(f"{what}: {error}")

    out("Shutting down all IPA services")
    with services.reloading_once():
        attempt("ipa.service", _switch_off_ipa)
        for component in reversed(components()):
            out(f"Unconfiguring {component.name}")
            attempt(f"unconfiguring {component.name}", partial(component.unconfigure, install))
        attempt("restoring files", sysrestore.restore_all)
    attempt("restoring the host name", lambda: _restore_hostname(sysrestore))
    attempt("removing what is left", _clear)
    if problems:
        raise UninstallIncomplete("\n".join(problems))
    sysrestore.forget_state()


def _names(sysrestore: Sysrestore) -> RealmFacts:
    try:
        return read_facts()
    except NotConfigured:
        values = {key: sysrestore.state("network", key) for key in ("realm", "domain", "hostname")}
        if not all(values.values()):
            raise
        return RealmFacts(str(values["realm"]), str(values["domain"]), str(values["hostname"]))


def _set_hostname(install: Install) -> None:
    """Call this host by the name it was asked to have: Kerberos services answer to no other."""
    present = socket.gethostname()
    if present == install.facts.hostname:
        return
    install.sysrestore.set_state("network", "former_hostname", present)
    install.put_file(HOSTNAME, f"{install.facts.hostname}\n")
    socket.sethostname(install.facts.hostname)


def _restore_hostname(sysrestore: Sysrestore) -> None:
    former = sysrestore.pop_state("network", "former_hostname")
    if former is not None:
        socket.sethostname(former)


def _switch_off_ipa() -> None:
    services.stop("ipa.service")
    services.disable("ipa.service")
    services.reset_failed("ipa.service")


def _clear() -> None:
    remove_file(DEFAULT_CONF)
    remove_tree(RUNTIME)
    for folder in EMPTIED:
        for path in Path(folder).glob("*"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
