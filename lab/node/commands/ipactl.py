"""ipactl: start, stop and show the services of this server as one.

Words, output and exit statuses are FreeIPA's: 0 done; 1 a service did not start; 2 wrong usage; 3 status:
something does not run; 4 not root, or unknown; 6 not configured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.node import services
from lab.node.facts import NotConfigured, RealmFacts, read_facts
from lab.node.files import remove_file, write_file
from lab.node.install.checks import Refused, require_root
from lab.node.ldapi import DirectoryError, directory
from lab.node.masters import BY_NAME, MasterService, enabled_services
from lab.node.run import CommandFailed
from lab.node.version import BANNER

SERVICES_LIST = Path("/run/ipa/services.list")
STARTED_BY = "dirsrv"


def main(argv: Sequence[str] | None = None) -> int:
    words = argparse.ArgumentParser(prog="ipactl", description="IPA server control interface")
    words.add_argument("--version", action="version", version=BANNER)
    words.add_argument("-d", "--debug", action="store_true", help="show more")
    words.add_argument("-f", "--force", action="store_true", help="go on when a service fails to start")
    words.add_argument("--ignore-service-failures", action="store_true", help="the same, without skipping checks")
    words.add_argument("--skip-version-check", action="store_true", help="do not compare versions")
    words.add_argument("action", choices=("start", "stop", "restart", "status"))
    given = words.parse_args(argv)
    go_on = given.force or given.ignore_service_failures
    try:
        try:
            require_root("run ipactl")
        except Refused as refusal:
            raise Refused(str(refusal), 4) from refusal
        facts = _configured(given.action)
        if given.action == "start":
            start(facts, go_on=go_on)
        elif given.action == "stop":
            stop(facts)
        elif given.action == "restart":
            restart(facts, go_on=go_on)
        else:
            status(facts)
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return refusal.status
    print("ipa: INFO: The ipactl command was successful", file=sys.stderr)
    return 0


def start(facts: RealmFacts, *, go_on: bool = False) -> None:
    """Start the directory, then what it lists; when one fails, stop all again unless told to go on."""
    if SERVICES_LIST.exists():
        print("Existing service file detected!\nAssuming stale, cleaning and proceeding", file=sys.stderr)
        remove_file(SERVICES_LIST)
    _start_directory(facts)
    listed = _listed(facts)
    _note(listed)
    for service in listed:
        _act("Starting", "start", service, facts, listed, go_on=go_on)


def stop(facts: RealmFacts) -> None:
    """Stop in reverse what runs, the directory last; a directory that is down already is no obstacle."""
    for service in reversed(_known(facts)):
        print(f"Stopping {service.name} Service", flush=True)
        try:
            services.stop(service.unit)
        except CommandFailed as error:
            print(f"Failed to stop {service.name} Service\n{error}", file=sys.stderr)
    print("Stopping Directory Service", flush=True)
    try:
        services.stop(facts.dirsrv_unit)
    except CommandFailed as error:
        raise Refused(f"Failed to stop Directory Service: {error}", 1) from error
    remove_file(SERVICES_LIST)


def restart(facts: RealmFacts, *, go_on: bool = False) -> None:
    """Restart all, and stop what is not listed any more."""
    before = _known(facts)
    for service in reversed(before):
        # They hold connections to the directory; its restart under them would fail their requests.
        if services.is_active(service.unit):
            services.stop(service.unit)
    if services.is_active(facts.dirsrv_unit):
        print("Restarting Directory Service", flush=True)
        try:
            services.restart(facts.dirsrv_unit)
        except CommandFailed as error:
            raise Refused(f"Failed to restart Directory Service: {error}", 1) from error
    else:
        _start_directory(facts)
    listed = _listed(facts)
    _note(listed)
    for service in before:
        if service not in listed:
            print(f"Stopping {service.name} Service", flush=True)
    for service in listed:
        _act("Restarting" if service in before else "Starting", "restart", service, facts, listed, go_on=go_on)


def status(facts: RealmFacts) -> None:
    """Print each service's state; Refused with status 3 when one does not run."""
    stopped = 0
    running = services.is_active(facts.dirsrv_unit)
    try:
        known = _known(facts)
    except Refused as refusal:
        raise Refused(f"Failed to get list of services to probe status: {refusal}", 4) from refusal
    print(f"Directory Service: {'RUNNING' if running else 'STOPPED'}", flush=True)
    if not running and not known:
        raise Refused("Directory Service must be running in order to obtain status of other services", 3)
    stopped = 0 if running else 1
    for service in known:
        active = services.is_active(service.unit)
        stopped += not active
        print(f"{service.name} Service: {'RUNNING' if active else 'STOPPED'}", flush=True)
    if stopped:
        raise Refused(f"{stopped} service(s) are not running", 3)


def _configured(action: str) -> RealmFacts:
    try:
        return read_facts()
    except NotConfigured as reason:
        # As the Linux Standard Base has it: 4 for a state that cannot be told, 6 for a program that is not
        # configured.
        raise Refused(
            "IPA is not configured (see man pages of ipa-server-install for help)", 4 if action == "status" else 6
        ) from reason


def _start_directory(facts: RealmFacts) -> None:
    print("Starting Directory Service", flush=True)
    try:
        services.start(facts.dirsrv_unit)
    except CommandFailed as error:
        raise Refused(f"Failed to start Directory Service: {error}", 1) from error


def _act(
    title: str, verb: str, service: MasterService, facts: RealmFacts, listed: list[MasterService], *, go_on: bool
) -> None:
    print(f"{title} {service.name} Service", flush=True)
    try:
        (services.start if verb == "start" else services.restart)(service.unit)
    except CommandFailed as error:
        print(f"Failed to {verb} {service.name} Service\n{error}", file=sys.stderr)
        if go_on:
            print(f"Forced start, ignoring {service.name} Service, continuing normal operation", file=sys.stderr)
            return
        print("Shutting down", file=sys.stderr)
        for other in reversed(listed):
            services.stop(other.unit)
        services.stop(facts.dirsrv_unit)
        remove_file(SERVICES_LIST)
        print(
            "Hint: You can use --ignore-service-failures option for forced start in case that a non-critical "
            "service failed",
            file=sys.stderr,
        )
        raise Refused("Aborting ipactl", 1) from error


def _listed(facts: RealmFacts) -> list[MasterService]:
    """What the directory lists for this master."""
    try:
        with directory(facts.ldapi_uri) as connection:
            return enabled_services(connection, facts)
    except DirectoryError as error:
        raise Refused(f"Failed to read the services of this server from the directory: {error}", 1) from error


def _known(facts: RealmFacts) -> list[MasterService]:
    """The services of this server: from the directory while it runs, else as they were last started."""
    if services.is_active(facts.dirsrv_unit):
        return _listed(facts)
    if not SERVICES_LIST.exists():
        return []
    names = json.loads(SERVICES_LIST.read_text())
    return [BY_NAME[name] for name in names if name in BY_NAME]


def _note(listed: Sequence[MasterService]) -> None:
    """Keep the list for the time when the directory is down."""
    SERVICES_LIST.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_file(SERVICES_LIST, json.dumps([STARTED_BY, *(service.name for service in listed)]))
