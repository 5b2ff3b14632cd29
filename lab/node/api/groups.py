"""Groups: FreeIPA's group_*."""

from __future__ import annotations

import uuid
from typing import Any

import ldap

from lab.node.api.caller import Caller, Options, Result
from lab.node.api.errors import Invalid, Missing
from lab.node.api.objects import Kind, add, delete, fetch, find, show, wanted
from lab.node.api.registry import argument, command, many, optional
from lab.node.api.users import NEXT_NUMBER, USER
from lab.node.ldapi import Values

GROUP = Kind(
    "group",
    "groups",
    "cn",
    "cn=groups,cn=accounts",
    "(objectClass=ipaUserGroup)",
    ("cn", "description", "gidNumber", "member", "memberOf"),
    ("cn", "description"),
)
PROTECTED = ("admins", "ipausers")


@command("group_show")
def group_show(caller: Caller, arguments: list[Any], options: Options) -> Result:
    return show(caller, GROUP, argument(arguments, 0, "group-name"), options)


@command("group_find")
def group_find(caller: Caller, arguments: list[Any], options: Options) -> Result:
    found = find(caller, GROUP, optional(arguments, 0), options)
    for shown in found["result"]:
        for name in ("member_user", "member_group", "memberof_group"):
            shown.pop(name, None)
    return found


@command("group_add")
def group_add(caller: Caller, arguments: list[Any], options: Options) -> Result:
    name = argument(arguments, 0, "group-name")
    classes = ["top", "groupOfNames", "nestedGroup", "ipaUserGroup", "ipaObject"]
    entry: dict[str, Values] = {
        "objectClass": classes,
        "cn": name,
        "ipaUniqueID": str(uuid.uuid1()),
    }
    if options.get("description"):
        entry["description"] = str(options["description"])
    if not options.get("nonposix"):
        classes.append("posixGroup")
        entry["gidNumber"] = str(options.get("gidnumber") or NEXT_NUMBER)
    add(caller, GROUP, name, entry)
    shown = fetch(caller, GROUP, name, wanted(GROUP, options))
    return {"result": shown, "value": name, "summary": f'Added group "{name}"'}


@command("group_del")
def group_del(caller: Caller, arguments: list[Any], _options: Options) -> Result:
    names = many(arguments[0] if arguments else None)
    if not names:
        raise Missing("group-name")
    for name in names:
        if name in PROTECTED:
            raise Invalid("group-name", f"group {name} cannot be deleted/modified: privileged group")
    return delete(caller, GROUP, names)


@command("group_add_member")
def group_add_member(caller: Caller, arguments: list[Any], options: Options) -> Result:
    return _members(caller, argument(arguments, 0, "group-name"), options, ldap.MOD_ADD)


@command("group_remove_member")
def group_remove_member(caller: Caller, arguments: list[Any], options: Options) -> Result:
    return _members(caller, argument(arguments, 0, "group-name"), options, ldap.MOD_DELETE)


def _members(caller: Caller, name: str, options: Options, operation: int) -> Result:
    """Add or remove each member by itself; those that fail are listed with the reason."""
    fetch(caller, GROUP, name, ["1.1"])
    group = GROUP.dn(caller, name)
    done = 0
    failed: dict[str, list[list[str]]] = {"user": [], "group": []}
    for kind in (USER, GROUP):
        for member in many(options.get(kind.noun)):
            dn = kind.dn(caller, member)
            if not caller.directory.exists(dn):
                failed[kind.noun].append([member, "no such entry"])
                continue
            try:
                caller.directory.ldap.modify_s(group, [(operation, "member", [dn.encode()])])
                done += 1
            except ldap.TYPE_OR_VALUE_EXISTS:
                failed[kind.noun].append([member, "This entry is already a member"])
            except ldap.NO_SUCH_ATTRIBUTE:
                failed[kind.noun].append([member, "This entry is not a member"])
    shown = fetch(caller, GROUP, name, wanted(GROUP, options))
    return {"result": shown, "completed": done, "failed": {"member": failed}}
