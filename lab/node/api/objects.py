"""Kinds of entries, and the five things that are done to all of them alike: find, show, add, change, delete."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import ldap
import ldap.dn

from lab.node.api.caller import Attributes, Caller, Options, Result
from lab.node.api.errors import Duplicate, NotFound, NothingToDo
from lab.node.ldapi import Values, escape_dn, escape_filter

BINARY = {"usercertificate", "cacertificate", "krbprincipalkey", "ipasshpubkey", "ipapublickey"}
BOOLEAN = {"nsaccountlock", "idnszoneactive", "idnsallowdynupdate", "ipamigrationenabled"}
# Neither secrets nor what would swamp a screen.
HIDDEN = {"userpassword", "krbprincipalkey", "krbextradata", "krbpwdhistory", "aci", "krbmkey"}
DN_VALUED = {"memberof", "member", "managedby", "enrolledby", "mepmanagedentry", "mepmanagedby"}
MEMBERSHIPS = {"groups": "group", "users": "user", "computers": "host", "services": "service"}


@dataclass(frozen=True)
class Kind:
    """A kind of entry: `attributes` are shown without --all, `searched` are looked at by find."""

    noun: str
    plural: str
    key: str
    container: str
    filter: str
    attributes: tuple[str, ...]
    searched: tuple[str, ...]

    def dn(self, caller: Caller, value: str) -> str:
        return f"{self.key}={escape_dn(value)},{self.container},{caller.facts.basedn}"

    def base(self, caller: Caller) -> str:
        return f"{self.container},{caller.facts.basedn}"


def not_found(kind: Kind, value: str) -> NotFound:
    return NotFound(f"{value}: {kind.noun} not found")


def as_json(dn: str, entry: Mapping[str, list[bytes]]) -> Attributes:
    """An entry as it goes over the wire: lower-case names, lists of strings, memberships by kind and name."""
    shown: Attributes = {"dn": dn}
    for attribute, values in entry.items():
        name = attribute.lower().removesuffix(";binary")
        if name in HIDDEN:
            continue
        if name in BINARY:
            shown[name] = [{"__base64__": base64.b64encode(value).decode()} for value in values]
        elif name in BOOLEAN:
            shown[name] = values[0].upper() == b"TRUE"
        elif name in ("memberof", "member", "managedby"):
            for value in values:
                kind, member = related(value.decode())
                shown.setdefault(f"{name}_{kind}", []).append(member)
        else:
            shown[name] = [value.decode(errors="replace") for value in values]
    return shown


def related(dn: str) -> tuple[str, str]:
    """The kind and the name of an entry that another one points to."""
    parts = ldap.dn.str2dn(dn)
    container = parts[1][0][1].lower() if len(parts) > 1 else ""
    return MEMBERSHIPS.get(container, container or "entry"), parts[0][0][1]


def wanted(kind: Kind, options: Options, more: Iterable[str] = ()) -> list[str]:
    """Which attributes to read."""
    return ["*", "memberOf"] if options.get("all") else [*kind.attributes, *more]


def fetch(caller: Caller, kind: Kind, value: str, attributes: Iterable[str] | None = None) -> Attributes:
    """One entry as it goes over the wire. Raises NotFound."""
    dn = kind.dn(caller, value)
    entry = caller.directory.get(dn, attributes if attributes is not None else kind.attributes)
    if entry is None or not caller.directory.search(dn, kind.filter, ["1.1"], scope=ldap.SCOPE_BASE):
        raise not_found(kind, value)
    return as_json(dn, entry)


def show(caller: Caller, kind: Kind, value: str, options: Options) -> Result:
    return {"result": fetch(caller, kind, value, wanted(kind, options)), "value": value, "summary": None}


def add(caller: Caller, kind: Kind, value: str, attributes: Mapping[str, Values]) -> str:
    """Add an entry; its name. Raises Duplicate."""
    dn = kind.dn(caller, value)
    try:
        caller.directory.add(dn, attributes)
    except ldap.ALREADY_EXISTS:
        raise duplicate(kind, value) from None
    return dn


def duplicate(kind: Kind, value: str) -> Duplicate:
    return Duplicate(f'{kind.noun} with name "{value}" already exists')


def change(caller: Caller, kind: Kind, value: str, attributes: Mapping[str, Values]) -> None:
    """Replace attributes; an empty list removes one. Raises NotFound, NothingToDo."""
    fetch(caller, kind, value, ["1.1"])
    if not attributes:
        raise NothingToDo
    caller.directory.replace(kind.dn(caller, value), attributes)


def delete(caller: Caller, kind: Kind, names: list[str], *, with_children: bool = False) -> Result:
    """Delete entries by name. Raises NotFound for the first that is not there."""
    for name in names:
        fetch(caller, kind, name, ["1.1"])
        if with_children:
            caller.directory.delete_tree(kind.dn(caller, name))
        else:
            caller.directory.delete(kind.dn(caller, name))
    said = ",".join(names)
    return {"result": {"failed": []}, "value": names, "summary": f'Deleted {kind.noun} "{said}"'}


def find(
    caller: Caller,
    kind: Kind,
    criteria: str,
    options: Options,
    exact: Mapping[str, str] | None = None,
) -> Result:
    """Entries whose searched attributes contain the criteria, by name."""
    terms = [kind.filter]
    if criteria:
        found = escape_filter(criteria)
        terms.append("(|" + "".join(f"({name}=*{found}*)" for name in kind.searched) + ")")
    terms += [f"({name}={escape_filter(value)})" for name, value in (exact or {}).items()]
    entries = caller.directory.search(
        kind.base(caller), f"(&{''.join(terms)})", wanted(kind, options), scope=ldap.SCOPE_ONELEVEL
    )
    shown = sorted((as_json(dn, entry) for dn, entry in entries), key=lambda one: one[kind.key.lower()][0])
    return found_result(shown, kind.noun, kind.plural)


def found_result(shown: list[Attributes], noun: str, plural: str) -> Result:
    count = len(shown)
    return {
        "result": shown,
        "count": count,
        "truncated": False,
        "summary": f"{count} {noun if count == 1 else plural} matched",
    }


def exists_with(caller: Caller, dn: str, attribute: str) -> bool:
    """Whether an entry has an attribute, which may itself not be readable."""
    return bool(caller.directory.search(dn, f"({attribute}=*)", ["1.1"], scope=ldap.SCOPE_BASE))
