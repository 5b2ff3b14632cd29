"""The realm's settings, and the server itself: FreeIPA's config_show, ping, whoami."""

from __future__ import annotations

from typing import Any

import ldap

from lab.node.api.caller import Caller, Options, Result
from lab.node.api.objects import as_json
from lab.node.api.registry import command
from lab.node.version import API_VERSION, VERSION


@command("config_show")
def config_show(caller: Caller, _arguments: list[Any], options: Options) -> Result:
    dn = f"cn=ipaConfig,cn=etc,{caller.facts.basedn}"
    shown = as_json(dn, caller.directory.get(dn) or {})
    masters = f"cn=masters,cn=ipa,cn=etc,{caller.facts.basedn}"
    services: dict[str, list[str]] = {}
    renewal: list[str] = []
    for name, entry in caller.directory.search(masters, "(ipaConfigString=enabledService)", ["ipaConfigString"]):
        parts = ldap.dn.str2dn(name)
        service, host = parts[0][0][1], parts[1][0][1]
        services.setdefault(service, []).append(host)
        if b"caRenewalMaster" in entry.get("ipaConfigString", []):
            renewal.append(host)
    found = caller.directory.search(masters, "(objectClass=ipaConfigObject)", ["cn"], scope=ldap.SCOPE_ONELEVEL)
    shown["ipa_master_server"] = sorted(entry["cn"][0].decode() for _, entry in found)
    for label, service in (("ca_server_server", "CA"), ("dns_server_server", "DNS")):
        if service in services:
            shown[label] = sorted(services[service])
    if renewal:
        shown["ca_renewal_master_server"] = renewal[:1]
    shown["ipaservicekeytypesize"] = ["rsa:2048"]
    if not options.get("all"):
        for name in ("objectclass", "cn"):
            shown.pop(name, None)
    return {"result": shown, "value": None, "summary": None}


@command("ping")
def ping(_caller: Caller, _arguments: list[Any], _options: Options) -> Result:
    return {"summary": f"IPA server version {VERSION}. API version {API_VERSION}"}


@command("whoami")
def whoami(caller: Caller, _arguments: list[Any], _options: Options) -> Result:
    return {"object": "user", "command": "user_show/1", "arguments": [caller.principal], "dn": caller.dn}
