"""The front of ipa-replica-manage and ipa-csreplica-manage: the same verbs for two suffixes."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import ldap

from lab.node.facts import NotConfigured, read_facts
from lab.node.install.checks import Refused
from lab.node.install.log import log_to
from lab.node.ldapi import DirectoryError
from lab.node.replica import links, removal
from lab.node.replica.links import Realm
from lab.node.replica.suffixes import AUTHORITY_SUFFIX, domain_suffix
from lab.node.version import BANNER

VERBS = {
    "list": "[HOST]",
    "connect": "HOST [HOST]",
    "disconnect": "HOST [HOST]",
    "del": "HOST",
    "re-initialize": "--from=HOST",
    "force-sync": "--from=HOST",
}
log = logging.getLogger(__name__)


def parser(prog: str) -> argparse.ArgumentParser:
    listed = "\n".join(f"  {verb} {words}" for verb, words in VERBS.items())
    words = argparse.ArgumentParser(
        prog=prog, formatter_class=argparse.RawDescriptionHelpFormatter, description=f"Commands:\n{listed}"
    )
    words.add_argument("verb", metavar="COMMAND", choices=list(VERBS), help="what to do")
    words.add_argument("hosts", metavar="HOST", nargs="*", help="fully qualified names of masters")
    words.add_argument("--version", action="version", version=BANNER)
    words.add_argument("-H", "--host", default="", metavar="HOST", help="starting host (this one)")
    words.add_argument("-p", "--password", default="", metavar="PASSWORD", help="Directory Manager password")
    words.add_argument("-v", "--verbose", action="store_true", help="provide additional information")
    words.add_argument("-d", "--debug", action="store_true", help="provide additional debug information")
    words.add_argument("-f", "--force", action="store_true", help="ignore some types of errors")
    words.add_argument("--from", dest="source", default="", metavar="HOST", help="host to get data from")
    words.add_argument("--no-lookup", action="store_true", help="do not perform DNS lookup checks (none are made)")
    return words


def run_command(prog: str, argv: Sequence[str] | None, *, authority: bool, ask: Callable[[str], str] = input) -> int:
    """Run the command; its exit status: 0 done, 1 failed or refused, 2 wrong usage."""
    words = parser(prog)
    given = words.parse_args(argv)
    _check_usage(words, given)
    try:
        facts = read_facts()
        if given.debug:
            log_to(Path("/var/log/ipareplica-manage.log"), verbose=True)
        suffix = AUTHORITY_SUFFIX if authority else domain_suffix(facts)
        realm = Realm(facts, suffix, given.password, _say)
        _do(realm, given, given.host or facts.host, authority=authority, ask=ask)
    except (Refused, NotConfigured) as refusal:
        print(refusal, file=sys.stderr)
        return getattr(refusal, "status", 1)
    except (ldap.INSUFFICIENT_ACCESS, DirectoryError) as error:
        log.exception("%s", given.verb)
        print(f"{prog}: the directory refuses: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; what was done so far stays done.", file=sys.stderr)
        return 130
    return 0


def _check_usage(words: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    numbers = {"list": (0, 1), "connect": (1, 2), "disconnect": (1, 2), "del": (1, 1)}
    least, most = numbers.get(given.verb, (0, 0))
    if not least <= len(given.hosts) <= most:
        words.error(f"usage: {words.prog} {given.verb} {VERBS[given.verb]}")
    if given.verb in ("re-initialize", "force-sync") and not given.source:
        words.error(f"{given.verb} requires the option --from <host name>")


def _do(realm: Realm, given: argparse.Namespace, here: str, *, authority: bool, ask: Callable[[str], str]) -> None:
    verb, hosts = given.verb, given.hosts
    if verb == "list":
        if hosts:
            links.list_agreements(realm, hosts[0], verbose=given.verbose)
        else:
            links.list_masters(realm, here)
    elif verb in ("connect", "disconnect"):
        one, other = (here, hosts[0]) if len(hosts) == 1 else hosts
        if verb == "connect":
            links.connect(realm, one, other)
        else:
            links.disconnect(realm, one, other, force=given.force)
    elif verb == "re-initialize":
        links.reinitialize(realm, here, given.source)
    elif verb == "force-sync":
        links.force_sync(realm, here, given.source)
    else:
        if not given.force:
            _confirm(ask)
        suffixes = (AUTHORITY_SUFFIX,) if authority else removal.all_suffixes(realm)
        removal.delete_master(realm, here, hosts[0], force=given.force, suffixes=suffixes)
        _say(f'Deleted IPA server "{hosts[0]}"' if not authority else f'Deleted CA replica "{hosts[0]}"')


def _confirm(ask: Callable[[str], str]) -> None:
    print(
        "Deleting a master is irreversible.\n"
        "To reconnect to the remote master you will need to prepare a new replica file\n"
        "and re-install."
    )
    try:
        answer = ask("Continue to delete? [no]: ").strip().lower()
    except EOFError:
        answer = ""
    if answer not in ("y", "yes"):
        raise Refused("Deletion aborted; --force does not ask.")


def _say(text: str) -> None:
    print(text, flush=True)
