"""Masters of the realm: what a host that wants to become one asks of another."""

from __future__ import annotations

import os
from typing import Any

from lab.node.api.caller import Caller, Options, Result
from lab.node.api.errors import AccessDenied, Invalid, Missing, NetworkTrouble
from lab.node.api.hosts import HOST_NAME
from lab.node.api.registry import argument, command
from lab.node.replica.keeper import KeeperRefused, ask
from lab.node.replica.ports import check_replica


@command("server_conncheck")
def server_conncheck(caller: Caller, arguments: list[Any], options: Options) -> Result:
    """Whether this master reaches a host's ports; FreeIPA's command, with a list of [port, UDP or not, reached]."""
    master = argument(arguments, 0, "cn")
    replica = str(options.get("remote_cn") or "").lower()
    if not replica:
        raise Missing("remote_cn")
    if not HOST_NAME.fullmatch(replica):
        raise Invalid("remote_cn", "must be a fully qualified host name")
    if master != caller.facts.host:
        raise Invalid("cn", f"must be {caller.facts.host}")
    if not caller.is_admin():
        raise AccessDenied("only administrators may check connections")
    reached = check_replica(replica)
    return {"result": [[port.number, port.udp, open_] for port, open_ in reached], "value": master, "summary": None}


@command("replica_secrets")
def replica_secrets(caller: Caller, arguments: list[Any], options: Options) -> Result:
    """What all masters share beside the directory's data, sealed to the caller's key: the keeper decides and reads."""
    master = argument(arguments, 0, "cn")
    public_key = str(options.get("public_key") or "")
    if not public_key:
        raise Missing("public_key")
    try:
        sealed = ask(caller.principal, os.environ["KRB5CCNAME"], public_key)
    except KeeperRefused as error:
        raise AccessDenied(str(error)) from error
    except OSError as error:
        raise NetworkTrouble(f"the keeper of keys does not answer: {error}") from error
    return {"result": sealed, "value": master, "summary": None}
