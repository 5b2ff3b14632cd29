"""The connection check before an installation: this host's view of the master, and the master's of this host."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.node.api.transport import ClientError, call
from lab.node.files import write_file
from lab.node.install.checks import Refused
from lab.node.install.kerberos import krb5_conf
from lab.node.replica.ports import PORTS, check_master, line, listening
from lab.node.run import CommandFailed, run


@contextmanager
def foreign_realm(folder: Path, realm: str, domain: str, master: str) -> Iterator[Path]:
    """Kerberos of a realm that this host does not belong to yet, with a credential cache of its own in `folder`.

    There is no krb5.conf here before an installation: one for the time being names the master alone.
    """
    configuration = folder / "krb5.conf"
    write_file(configuration, krb5_conf(realm, domain, master, [master], lookup=False))
    settings = {"KRB5_CONFIG": str(configuration), "KRB5CCNAME": f"FILE:{folder}/ccache"}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield folder
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def get_ticket(principal: str, password: str, *, service: str = "", cache: str = "") -> None:
    """kinit; Refused with what it said."""
    words = ["kinit", *(["-S", service] if service else []), *(["-c", cache] if cache else []), principal]
    try:
        run(words, input=f"{password}\n", secrets=[password], limit=60)
    except CommandFailed as error:
        raise Refused(f"Cannot get a Kerberos ticket for {principal}: {error.completed.stderr.strip()}") from error


def check_connections(
    realm: str,
    master: str,
    host: str,
    *,
    principal: str,
    password: Callable[[], str],
    authorities: Path,
    say: Callable[[str], None],
) -> None:
    """Both directions, as the document prints them. Raises Refused naming what is closed.

    `password` is asked for when it is needed; Kerberos has to know the realm already.
    """
    say("Run connection check to master")
    check_master(master, say)
    say("Start listening on required ports for remote master check")
    with listening():
        say("Get credentials to log in to remote master")
        get_ticket(f"{principal}@{realm}", password())
        say("Execute check on remote master")
        say(f"Check connection from master to remote replica '{host}':")
        try:
            answer = call(master, "server_conncheck", [master], {"remote_cn": host}, authorities=authorities)
        except ClientError as error:
            raise Refused(f"Remote master check failed with following error message(s):\n{error}") from error
    reached = {(number, udp): open_ for number, udp, open_ in answer["result"]}
    closed = []
    for port in PORTS:
        open_ = bool(reached.get((port.number, port.udp)))
        say(line(port, "OK" if open_ else "FAILED"))
        if not open_:
            closed.append(f"{port.number} ({'UDP' if port.udp else 'TCP'})")
    if closed:
        raise Refused(f"Remote master check failed! Inaccessible port(s): {', '.join(closed)}")
    say("Connection from master to replica is OK.")
    say("Connection check OK")
