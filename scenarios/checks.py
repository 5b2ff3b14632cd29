"""The outline around every test case: note what a server answers, do the case, compare.

Each check notes something before and compares it afterwards.  An answer is compared whole; only where an
order is free (values of an attribute, certificates in a list) it is brought into one.  A command that fails
afterwards is a difference like any other, with what it said.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lab.execute import CommandResult
from lab.host import Host

#: Changes with every ticket, so the test cases leave it out of the comparison.
UNSTABLE_ATTRIBUTES = frozenset({"krblastsuccessfulauth"})

#: Attributes that an ordinary search leaves out and that a restore has to keep nevertheless.
KEPT_OPERATIONAL = ("nsUniqueId", "creatorsName", "createTimestamp")

#: Lines of `ipa user-show` whose values come in no order.
_FREE_LISTS = ("Member of groups", "Principal alias", "Roles")


class CheckFailed(AssertionError):
    """A server answers otherwise than before."""


@dataclass(frozen=True)
class Answer:
    """What a check saw: lines, in one order."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """One question to a server.  It raises when there is no answer worth comparing.

    `needs` is the capability without which a server has none: its lab file declares what it has.
    """

    name: str
    ask: Callable[[Host], Answer]
    needs: str = ""


@dataclass
class Outline:
    """The answers of one server, noted before a test case."""

    host: Host
    before: dict[str, Answer] = field(default_factory=dict)

    #: Whether a first difference is enough to know: a server that is down has each question wait for its time.
    one_is_enough: ClassVar[bool] = False

    @classmethod
    def note(cls, host: Host) -> Outline:
        """Ask everything; a server that fails to answer now is no place for a test case."""
        return cls(host, {check.name: check.ask(host) for check in checks_for(host)})

    def differences(self) -> dict[str, str]:
        """Ask everything again; returns what differs, by the check's name, as a readable comparison."""
        found: dict[str, str] = {}
        for check in checks_for(self.host):
            if found and self.one_is_enough:
                break
            try:
                after = check.ask(self.host)
            except Exception as error:
                found[check.name] = f"no answer: {error}"
                continue
            if after != self.before[check.name]:
                found[check.name] = compare(self.before[check.name], after)
        return found

    def assert_unchanged(self) -> None:
        """Raise :class:`CheckFailed` with all differences, if there are any."""
        found = self.differences()
        if found:
            parts = [f"## {name}\n{text}" for name, text in found.items()]
            raise CheckFailed(f"{self.host.fqdn} answers otherwise than before:\n" + "\n".join(parts))


def compare(before: Answer, after: Answer) -> str:
    """Show the lines that went (-) and came (+)."""
    lines = difflib.unified_diff(before.lines, after.lines, "before", "after", lineterm="", n=1)
    return "\n".join(lines)


def entry_lines(entry: Mapping[str, list[bytes]]) -> tuple[str, ...]:
    """Write an entry's attributes line by line, in one order, without those that are known to change."""
    lines = []
    for attribute, values in entry.items():
        if attribute.lower() in UNSTABLE_ATTRIBUTES:
            continue
        lines += [f"{attribute}: {_printable(value)}" for value in sorted(values)]
    return tuple(sorted(lines, key=str.lower))


def _printable(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex()
    return text if text.isprintable() else value.hex()


def admin_entry(host: Host) -> Answer:
    """Read the administrator's entry, all attributes, as Directory Manager."""
    with host.ldap() as connection:
        return Answer(entry_lines(_read(connection, f"uid=admin,cn=users,cn=accounts,{host.topology.suffix}")))


def _read(connection: Any, dn: str) -> dict[str, list[bytes]]:
    import ldap

    ((_, entry),) = connection.search_s(dn, ldap.SCOPE_BASE, "(objectClass=*)", ["*", *KEPT_OPERATIONAL])
    return dict(entry)


def output(result: CommandResult) -> Answer:
    """Take a command's output as it is."""
    return Answer(tuple(result.lines))


def kinit(host: Host) -> Answer:
    """Get the administrator's ticket; what follows uses it."""
    return output(host.kinit())


def user_show(host: Host) -> Answer:
    """``ipa user-show admin``."""
    lines = host.run(["ipa", "user-show", "admin"]).lines
    return Answer(tuple(_sort_list(line) for line in lines))


def _sort_list(line: str) -> str:
    label, colon, values = line.partition(": ")
    if label.strip() not in _FREE_LISTS:
        return line
    return f"{label}{colon}{', '.join(sorted(values.split(', ')))}"


def id_admin(host: Host) -> Answer:
    """``id admin``: the order of the groups is free."""
    words = host.run(["id", "admin"]).stdout.split()
    return Answer(tuple(_sort_groups(word) for word in words))


def _sort_groups(word: str) -> str:
    label, _, values = word.partition("=")
    return f"{label}={','.join(sorted(values.split(',')))}"


def cert_find(host: Host) -> Answer:
    """``ipa cert-find``: the order of the certificates is free."""
    frame: list[str] = []
    certificates: list[list[str]] = [[]]
    for line in host.run(["ipa", "cert-find"]).lines:
        if line.startswith("  "):
            certificates[-1].append(line)
        else:
            certificates.append([])
            frame.append(line)
    return Answer((*filter(None, frame), *(line for block in sorted(certificates) for line in block)))


def host_lookup(host: Host) -> Answer:
    """``host $HOSTNAME localhost``: the order of addresses is free."""
    lines = host.run(["host", host.fqdn, "localhost"]).lines
    return Answer(tuple(sorted(line for line in lines if line.strip())))


def search_with_ticket(host: Host) -> Answer:
    """Search the directory with the administrator's ticket instead of a password."""
    command = ["ldapsearch", "-LLL", "-Q", "-Y", "GSSAPI", "-o", "ldif-wrap=no", "-H", f"ldap://{host.fqdn}"]
    base = f"cn=users,cn=accounts,{host.topology.suffix}"
    result = host.run([*command, "-b", base, "(uid=admin)", "uid", "uidNumber", "gidNumber"])
    return Answer(tuple(sorted(result.lines)))


def service_states(host: Host) -> Answer:
    """``ipactl status``: all that was running is running."""
    return Answer(tuple(sorted(host.run(["ipactl", "status"]).lines)))


CHECKS = (
    Check("entry of admin", admin_entry),
    Check("kinit admin", kinit),
    Check("ipa user-show admin", user_show),
    Check("id admin", id_admin),
    Check("ipa cert-find", cert_find, needs="ca"),
    Check("host lookup", host_lookup, needs="dns"),
    Check("search with a ticket", search_with_ticket),
    Check("ipactl status", service_states),
)


def checks_for(host: Host) -> list[Check]:
    """The questions that a server has answers to."""
    return [check for check in CHECKS if not check.needs or check.needs in host.member.capabilities]
