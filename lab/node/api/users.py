"""Users: FreeIPA's user_* and passwd."""

from __future__ import annotations

import re
import uuid
from typing import Any

import ldap

from lab.node.api import passwords
from lab.node.api.caller import Attributes, Caller, Options, Result, text
from lab.node.api.errors import Duplicate, Invalid, Missing
from lab.node.api.objects import (
    Kind,
    add,
    change,
    delete,
    exists_with,
    fetch,
    find,
    not_found,
    wanted,
)
from lab.node.api.registry import argument, command, many, optional
from lab.node.ca.authority import utc_now
from lab.node.ca.records import generalized
from lab.node.ldapi import Values

# What the numbering plug-in replaces by the next free number.
NEXT_NUMBER = "-1"
LOGIN = re.compile(r"[a-zA-Z0-9_.][a-zA-Z0-9_.-]*[$]?")

USER = Kind(
    "user",
    "users",
    "uid",
    "cn=users,cn=accounts",
    "(objectClass=posixAccount)",
    (
        "uid",
        "givenName",
        "sn",
        "homeDirectory",
        "loginShell",
        "krbCanonicalName",
        "krbPrincipalName",
        "mail",
        "uidNumber",
        "gidNumber",
        "telephoneNumber",
        "ou",
        "title",
        "userCertificate",
        "ipaSshPubKey",
        "memberOf",
        "nsAccountLock",
    ),
    ("uid", "givenName", "sn", "telephoneNumber", "ou", "title"),
)
CLASSES = [
    "top",
    "person",
    "organizationalPerson",
    "inetOrgPerson",
    "inetUser",
    "posixAccount",
    "krbPrincipalAux",
    "krbTicketPolicyAux",
    "ipaObject",
    "ipaSshUser",
    "mepOriginEntry",
]
# Option of the command, attribute of the entry.
SETTABLE = {
    "givenname": "givenName",
    "sn": "sn",
    "cn": "cn",
    "displayname": "displayName",
    "initials": "initials",
    "homedirectory": "homeDirectory",
    "gecos": "gecos",
    "loginshell": "loginShell",
    "mail": "mail",
    "uidnumber": "uidNumber",
    "gidnumber": "gidNumber",
    "title": "title",
    "telephonenumber": "telephoneNumber",
    "krbpasswordexpiration": "krbPasswordExpiration",
    "krbprincipalexpiration": "krbPrincipalExpirationTime",
}


def _complete(caller: Caller, shown: Attributes, *, brief: bool = False) -> Attributes:
    """Add what is not an attribute: whether there is a password, whether there are keys, whether it is locked."""
    dn = shown["dn"]
    if not brief:
        shown["has_password"] = exists_with(caller, dn, "userPassword")
        shown["has_keytab"] = exists_with(caller, dn, "krbPrincipalKey")
    shown.setdefault("nsaccountlock", False)
    return shown


@command("user_show")
def user_show(caller: Caller, arguments: list[Any], options: Options) -> Result:
    login = argument(arguments, 0, "login")
    shown = fetch(caller, USER, login, wanted(USER, options, ["nsAccountLock"]))
    return {"result": _complete(caller, shown), "value": login, "summary": None}


@command("user_find")
def user_find(caller: Caller, arguments: list[Any], options: Options) -> Result:
    exact = {SETTABLE.get(n, n): str(v) for n, v in options.items() if n in SETTABLE or n == "uid"}
    found = find(caller, USER, optional(arguments, 0), options, exact)
    for shown in found["result"]:
        _complete(caller, shown, brief=True)
        if not options.get("all"):
            shown.pop("memberof_group", None)
    return found


@command("user_add")
def user_add(caller: Caller, arguments: list[Any], options: Options) -> Result:
    login = argument(arguments, 0, "login").lower()
    if not LOGIN.fullmatch(login) or len(login) > 255:
        raise Invalid("login", "may only include letters, numbers, _, -, . and $")
    for name, label in (("givenname", "first"), ("sn", "last")):
        if not options.get(name):
            raise Missing(label)
    first, last = str(options["givenname"]), str(options["sn"])
    password = _asked_password(options)
    settings = _settings(caller)
    principal = f"{login}@{caller.facts.realm}"
    full = f"{first} {last}"
    entry: dict[str, Values] = {
        "objectClass": CLASSES,
        "uid": login,
        "givenName": first,
        "sn": last,
        "cn": full,
        "displayName": full,
        "initials": f"{first[:1]}{last[:1]}",
        "gecos": full,
        "homeDirectory": f"{settings['homes']}/{login}",
        "loginShell": settings["shell"],
        "krbPrincipalName": principal,
        "krbCanonicalName": principal,
        "mail": f"{login}@{settings['mail']}",
        "uidNumber": NEXT_NUMBER,
        "gidNumber": NEXT_NUMBER,
        "ipaUniqueID": str(uuid.uuid1()),
    }
    entry |= _given(options)
    if "uidnumber" in options and "gidnumber" not in options:
        entry["gidNumber"] = str(options["uidnumber"])
    try:
        dn = add(caller, USER, login, entry)
    except ldap.CONSTRAINT_VIOLATION as error:
        raise Duplicate(f'user with name "{login}" already exists: {error.args[0].get("info", "")}') from None
    group = f"cn={settings['group']},cn=groups,cn=accounts,{caller.facts.basedn}"
    caller.directory.ensure_values(group, "member", dn)
    if password:
        _set_password(caller, login, password)
    if "krbpasswordexpiration" in options:
        caller.directory.replace(dn, {"krbPasswordExpiration": str(options["krbpasswordexpiration"])})
    more = ["cn", "displayName", "initials", "gecos", "krbPasswordExpiration"]
    shown = _complete(caller, fetch(caller, USER, login, wanted(USER, options, more)))
    shown.pop("nsaccountlock")
    if options.get("random"):
        shown["randompassword"] = password
    return {"result": shown, "value": login, "summary": f'Added user "{login}"'}


@command("user_mod")
def user_mod(caller: Caller, arguments: list[Any], options: Options) -> Result:
    login = argument(arguments, 0, "login")
    password = _asked_password(options)
    given = _given(options)
    if given or not password:
        change(caller, USER, login, given)
    if password:
        fetch(caller, USER, login, ["1.1"])
        _set_password(caller, login, password)
        if "krbpasswordexpiration" in options:
            change(caller, USER, login, {"krbPasswordExpiration": str(options["krbpasswordexpiration"])})
    shown = _complete(caller, fetch(caller, USER, login, wanted(USER, options, ["krbPasswordExpiration"])))
    if options.get("random"):
        shown["randompassword"] = password
    return {"result": shown, "value": login, "summary": f'Modified user "{login}"'}


@command("user_del")
def user_del(caller: Caller, arguments: list[Any], _options: Options) -> Result:
    names = many(arguments[0] if arguments else None)
    if not names:
        raise Missing("login")
    if "admin" in names:
        raise Invalid("login", "user admin cannot be deleted/modified: privileged user")
    return delete(caller, USER, names)


@command("user_disable")
def user_disable(caller: Caller, arguments: list[Any], _options: Options) -> Result:
    login = argument(arguments, 0, "login")
    change(caller, USER, login, {"nsAccountLock": "TRUE"})
    return {"result": True, "value": login, "summary": f'Disabled user account "{login}"'}


@command("user_enable")
def user_enable(caller: Caller, arguments: list[Any], _options: Options) -> Result:
    login = argument(arguments, 0, "login")
    change(caller, USER, login, {"nsAccountLock": []})
    return {"result": True, "value": login, "summary": f'Enabled user account "{login}"'}


@command("passwd")
def passwd(caller: Caller, arguments: list[Any], _options: Options) -> Result:
    principal = optional(arguments, 0) or caller.principal
    login = principal.partition("@")[0]
    password = argument(arguments, 1, "password")
    passwords.check(password)
    fetch(caller, USER, login, ["1.1"])
    _set_password(caller, login, password)
    full = f"{login}@{caller.facts.realm}"
    return {"result": True, "value": full, "summary": f'Changed password for "{full}"'}


def _asked_password(options: Options) -> str:
    if options.get("random"):
        return passwords.random_password()
    password = str(options.get("userpassword") or "")
    if password:
        passwords.check(password)
    return password


def _set_password(caller: Caller, login: str, password: str) -> None:
    """Both the directory's password and the keys. One that somebody else has set expires at once, as in FreeIPA."""
    dn = USER.dn(caller, login)
    caller.directory.replace(dn, {"userPassword": password})
    entry = caller.directory.get(dn, ["krbCanonicalName", "krbPrincipalName"])
    if entry is None:
        raise not_found(USER, login)
    principal = text(entry, "krbCanonicalName") or text(entry, "krbPrincipalName")
    passwords.set_keys(caller.facts, principal, password)
    if dn.lower() != caller.dn.lower():
        caller.directory.replace(dn, {"krbPasswordExpiration": generalized(utc_now())})


def _given(options: Options) -> dict[str, Values]:
    """The attributes that the options name; an empty value removes one."""
    given: dict[str, Values] = {}
    for option, attribute in SETTABLE.items():
        if option in options:
            given[attribute] = [value for value in many(options[option]) if value]
    return given


def _settings(caller: Caller) -> dict[str, str]:
    entry = caller.directory.get(f"cn=ipaConfig,cn=etc,{caller.facts.basedn}") or {}
    return {
        "homes": text(entry, "ipaHomesRootDir") or "/home",
        "shell": text(entry, "ipaDefaultLoginShell") or "/bin/sh",
        "group": text(entry, "ipaDefaultPrimaryGroup") or "ipausers",
        "mail": text(entry, "ipaDefaultEmailDomain") or caller.facts.domain,
    }
