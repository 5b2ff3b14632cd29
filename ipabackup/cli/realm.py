"""``ipa-restore --check-realm``: are the masters one realm?"""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from ipabackup.cli.display import Display
from ipabackup.cli.options import password
from ipabackup.errors import NotOneRealm, PeersUnreachable
from ipabackup.realm.check import Verdict, check_realm
from ipabackup.realm.state import Viewpoint
from ipabackup.realm.table import described, table
from ipabackup.server import Machine, Server


def check(arguments: Namespace, display: Display) -> int:
    """Print what all masters say, and what is wrong; returns 0 when they are one realm.

    Raises NotOneRealm, or, when nothing else is wrong than that masters could not be reached, PeersUnreachable.
    """
    machine = Machine.system()
    server = Server.discover(machine)
    view = Viewpoint(server.host, server.basedn, server.instances, machine, password(arguments))
    verdict = check_realm(view, wait=arguments.wait)
    display.data(
        "realm",
        one_realm=verdict.one_realm,
        masters=described(verdict.state),
        troubles=[asdict(trouble) for trouble in verdict.troubles],
        seconds=round(verdict.seconds, 3),
    )
    for line in table(verdict.state):
        display.say(line)
    for trouble in verdict.troubles:
        display.say(f"{trouble.message}\n    {trouble.remedy}")
    conclude(verdict, server.host)
    count = len(verdict.state.masters)
    display.say("One master, and nothing wrong" if count == 1 else f"One realm: {count} masters agree")
    return 0


def conclude(verdict: Verdict, here: str) -> None:
    """Raises NotOneRealm or PeersUnreachable when the verdict is that bad."""
    if verdict.split:
        count = len(verdict.troubles)
        raise NotOneRealm(
            f"The masters are not one realm: {count} trouble{'s' if count > 1 else ''}, listed above.",
            state=f"Nothing was changed; seen from {here} after {verdict.seconds:.0f} s.",
        )
    if verdict.troubles:
        names = ", ".join(sorted(verdict.state.unreachable))
        raise PeersUnreachable(
            f"These masters could not be reached: {names}.", state="Those that were reached are one realm."
        )
