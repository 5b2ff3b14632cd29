"""ipactl: start, stop and show the services of this server as one.

Exit statuses: 0 done; 1 a service did not start; 2 wrong usage; 3 status: something does not run; 4 not root, or the
status cannot be told; 6 not configured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.node import services
from lab.node.control import FAILED, Control
from lab.node.facts import DEFAULT_CONF, NotConfigured, RealmFacts, read_facts
from lab.node.install.checks import Refused, require_root
from lab.node.ldapi import DirectoryError, directory
from lab.node.masters import MasterService, enabled_services
from lab.node.version import BANNER

NOT_ROOT, STATUS_UNKNOWN, NOT_CONFIGURED = 4, 4, 6


def main(argv: Sequence[str] | None = None, configuration: Path = DEFAULT_CONF) -> int:
    """Run the command; `configuration` says which server this is."""
    words = argparse.ArgumentParser(prog="ipactl", description="IPA server control interface")
    words.add_argument("--version", action="version", version=BANNER)
    words.add_argument("-d", "--debug", action="store_true", help="show more")
    words.add_argument("-f", "--force", action="store_true", help="go on when a service fails to start")
    words.add_argument("--ignore-service-failures", action="store_true", help="the same, without skipping checks")
    words.add_argument("--skip-version-check", action="store_true", help="do not compare versions")
    words.add_argument("action", choices=("start", "stop", "restart", "status"))
    given = words.parse_args(argv)
    try:
        require_root("run ipactl", status=NOT_ROOT)
        facts = _configured(given.action, configuration)
        control = Control(
            services,
            [instance.unit for instance in facts.directories],
            lambda: _listed(facts),
            go_on=given.force or given.ignore_service_failures,
        )
        {"start": control.start, "stop": control.stop, "restart": control.restart, "status": control.status}[
            given.action
        ]()
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return refusal.status
    print("ipa: INFO: The ipactl command was successful", file=sys.stderr)
    return 0


def _configured(action: str, configuration: Path) -> RealmFacts:
    try:
        return read_facts(configuration)
    except NotConfigured as reason:
        # As the Linux Standard Base has it: 4 for a state that cannot be told, 6 for a program that is not configured.
        raise Refused(
            "IPA is not configured (see man pages of ipa-server-install for help)",
            STATUS_UNKNOWN if action == "status" else NOT_CONFIGURED,
        ) from reason


def _listed(facts: RealmFacts) -> list[MasterService]:
    """What the directory lists for this master."""
    try:
        with directory(facts.ldapi_uri) as connection:
            return enabled_services(connection, facts)
    except DirectoryError as error:
        raise Refused(f"Failed to read the services of this server from the directory: {error}", FAILED) from error
