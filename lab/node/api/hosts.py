"""Hosts and services: FreeIPA's host_* and service_*."""

from __future__ import annotations

import re
import uuid
from typing import Any

from lab.node.api.caller import Attributes, Caller, Options, Result
from lab.node.api.errors import AccessDenied, AlreadyInactive, Invalid, Missing, NotFound
from lab.node.api.objects import Kind, add, delete, exists_with, fetch, find, wanted
from lab.node.api.passwords import remove_keys
from lab.node.api.registry import argument, command, many, optional
from lab.node.api.zones import add_host_records, has_zone_for, host_has_address
from lab.node.ldapi import Values

HOST_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))+")

HOST = Kind(
    "host",
    "hosts",
    "fqdn",
    "cn=computers,cn=accounts",
    "(objectClass=ipaHost)",
    (
        "fqdn",
        "description",
        "l",
        "nsHardwarePlatform",
        "nsOsVersion",
        "userCertificate",
        "krbCanonicalName",
        "krbPrincipalName",
        "memberOf",
        "managedBy",
    ),
    ("fqdn", "description"),
)
SERVICE = Kind(
    "service",
    "services",
    "krbprincipalname",
    "cn=services,cn=accounts",
    "(objectClass=ipaService)",
    ("krbCanonicalName", "krbPrincipalName", "userCertificate", "memberOf", "managedBy"),
    ("krbPrincipalName",),
)
REQUIRES_PRE_AUTH = "128"


def _complete(caller: Caller, shown: Attributes, *, password: bool) -> Attributes:
    if password:
        shown["has_password"] = exists_with(caller, shown["dn"], "userPassword")
    shown["has_keytab"] = exists_with(caller, shown["dn"], "krbPrincipalKey")
    return shown


def service_name(caller: Caller, given: str) -> str:
    """A service's principal with its realm. Raises Invalid."""
    name = given if "@" in given else f"{given}@{caller.facts.realm}"
    if not re.fullmatch(r"[^/@\s]+/[^/@\s]+@[^/@\s]+", name):
        raise Invalid("canonical_principal", "Service principal is required")
    return name


@command("host_show")
def host_show(caller: Caller, arguments: list[Any], options: Options) -> Result:
    name = argument(arguments, 0, "hostname").lower()
    if "." not in name:
        name = f"{name}.{caller.facts.domain}"
    shown = fetch(caller, HOST, name, wanted(HOST, options))
    return {"result": _complete(caller, shown, password=True), "value": name, "summary": None}


@command("host_find")
def host_find(caller: Caller, arguments: list[Any], options: Options) -> Result:
    found = find(caller, HOST, optional(arguments, 0), options)
    for shown in found["result"]:
        for name in ("managedby_host", "memberof_hostgroups"):
            shown.pop(name, None)
    return found


@command("host_add")
def host_add(caller: Caller, arguments: list[Any], options: Options) -> Result:
    name = argument(arguments, 0, "hostname").lower()
    if not HOST_NAME.fullmatch(name):
        raise Invalid("hostname", "invalid domain-name: must be fully qualified")
    address = str(options.get("ip_address") or "")
    if not address and not options.get("force") and not host_has_address(caller, name):
        raise NotFound(f"Host '{name}' does not have corresponding DNS A/AAAA record")
    if address and not has_zone_for(caller, name):
        raise NotFound("DNS zone for the host was not found")
    principal = f"host/{name}@{caller.facts.realm}"
    entry: dict[str, Values] = {
        "objectClass": [
            "top",
            "nshost",
            "ipahost",
            "ipaobject",
            "ipasshhost",
            "pkiuser",
            "krbprincipalaux",
            "krbticketpolicyaux",
        ],
        "fqdn": name,
        "cn": name,
        "serverHostName": name.partition(".")[0],
        "krbPrincipalName": principal,
        "krbCanonicalName": principal,
        "krbTicketFlags": REQUIRES_PRE_AUTH,
        "managedBy": HOST.dn(caller, name),
        "ipaUniqueID": str(uuid.uuid1()),
    }
    for option, attribute in (("description", "description"), ("l", "l")):
        if options.get(option):
            entry[attribute] = str(options[option])
    add(caller, HOST, name, entry)
    if address:
        add_host_records(caller, name, address)
    shown = _complete(caller, fetch(caller, HOST, name, wanted(HOST, options)), password=True)
    return {"result": shown, "value": name, "summary": f'Added host "{name}"'}


@command("host_del")
def host_del(caller: Caller, arguments: list[Any], _options: Options) -> Result:
    names = [name.lower() for name in many(arguments[0] if arguments else None)]
    if not names:
        raise Missing("hostname")
    masters = f"cn=masters,cn=ipa,cn=etc,{caller.facts.basedn}"
    for name in names:
        if caller.directory.exists(f"cn={name},{masters}"):
            raise Invalid("hostname", "An IPA master host cannot be deleted or disabled")
        for service in find(caller, SERVICE, f"/{name}@", {})["result"]:
            caller.directory.delete(service["dn"])
    return delete(caller, HOST, names)


@command("host_disable")
def host_disable(caller: Caller, arguments: list[Any], _options: Options) -> Result:
    """Take a host's keys away: an administrator's right, and the host's own."""
    name = argument(arguments, 0, "hostname").lower()
    principal = f"host/{name}@{caller.facts.realm}"
    is_admin = caller.is_admin()
    if caller.principal != principal and not is_admin:
        raise AccessDenied("only administrators and the host itself may disable a host")
    shown = fetch(caller, HOST, name, wanted(HOST, {}))
    if caller.directory.exists(f"cn={name},cn=masters,cn=ipa,cn=etc,{caller.facts.basedn}"):
        raise Invalid("hostname", "An IPA master host cannot be deleted or disabled")
    # Whether there are keys is shown to administrators alone.
    if is_admin and not exists_with(caller, shown["dn"], "krbPrincipalKey"):
        raise AlreadyInactive
    remove_keys(caller.facts, principal)
    return {"result": True, "value": name, "summary": f'Disabled host "{name}"'}


@command("service_show")
def service_show(caller: Caller, arguments: list[Any], options: Options) -> Result:
    name = service_name(caller, argument(arguments, 0, "canonical_principal"))
    shown = fetch(caller, SERVICE, name, wanted(SERVICE, options))
    return {"result": _complete(caller, shown, password=False), "value": name, "summary": None}


@command("service_find")
def service_find(caller: Caller, arguments: list[Any], options: Options) -> Result:
    found = find(caller, SERVICE, optional(arguments, 0), options)
    for shown in found["result"]:
        shown.pop("managedby_host", None)
        _complete(caller, shown, password=False)
    return found


@command("service_add")
def service_add(caller: Caller, arguments: list[Any], options: Options) -> Result:
    name = service_name(caller, argument(arguments, 0, "canonical_principal"))
    create_service(caller, name, force=bool(options.get("force")))
    shown = fetch(caller, SERVICE, name, wanted(SERVICE, options))
    return {"result": shown, "value": name, "summary": f'Added service "{name}"'}


@command("service_del")
def service_del(caller: Caller, arguments: list[Any], _options: Options) -> Result:
    given = many(arguments[0] if arguments else None)
    if not given:
        raise Missing("canonical_principal")
    return delete(caller, SERVICE, [service_name(caller, name) for name in given])


def create_service(caller: Caller, principal: str, *, force: bool = False) -> str:
    """A service's entry; its name. Raises NotFound when its host has none and `force` is not set."""
    host = HOST.dn(caller, principal.partition("/")[2].partition("@")[0])
    entry: dict[str, Values] = {
        "objectClass": ["top", "ipaservice", "ipaobject", "pkiuser", "krbprincipalaux", "krbticketpolicyaux"],
        "krbPrincipalName": principal,
        "krbCanonicalName": principal,
        "krbTicketFlags": REQUIRES_PRE_AUTH,
        "ipaUniqueID": str(uuid.uuid1()),
    }
    if caller.directory.exists(host):
        entry["managedBy"] = host
    elif not force:
        name = principal.partition("/")[2].partition("@")[0]
        raise NotFound(f"The host '{name}' does not exist to add a service to.")
    return add(caller, SERVICE, principal, entry)
