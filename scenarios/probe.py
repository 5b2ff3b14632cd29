"""Clients that never rest: how long a service of a host did not answer while something was done to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lab.host import Host

#: Runs on the host: asks every 50 ms for the administrator's entry by LDAP, and for a ticket; prints a line
#: an answer.
_CLIENT = """
import json, subprocess, sys, threading, time
import ldap

suffix, password, stop = sys.argv[1], sys.stdin.readline().rstrip("\\n"), threading.Event()

def search():
    connection = ldap.initialize("ldap://localhost")
    connection.set_option(ldap.OPT_NETWORK_TIMEOUT, 2)
    connection.set_option(ldap.OPT_TIMEOUT, 2)
    connection.simple_bind_s("uid=admin,cn=users,cn=accounts," + suffix, password)
    found = connection.search_s("uid=admin,cn=users,cn=accounts," + suffix, ldap.SCOPE_BASE, attrlist=["uid"])
    connection.unbind_s()
    assert found[0][1]["uid"] == [b"admin"], found

def ticket():
    command = ["kinit", "-c", "/tmp/probe.ccache", "admin"]
    subprocess.run(command, input=password + "\\n", text=True, capture_output=True, check=True, timeout=5)

def ask(name, question):
    while not stop.is_set():
        began = time.monotonic()
        try:
            question()
            failure = ""
        except Exception as error:
            failure = type(error).__name__ + ": " + str(getattr(error, "stderr", "") or error)
        print(json.dumps([name, began, time.monotonic() - began, failure]), flush=True)
        stop.wait(max(0.0, 0.05 - (time.monotonic() - began)))

threads = [threading.Thread(target=ask, args=pair) for pair in (("ldap", search), ("kdc", ticket))]
for thread in threads:
    thread.start()
while not __import__("os").path.exists("/run/probe.stop"):
    time.sleep(0.05)
stop.set()
for thread in threads:
    thread.join()
"""


@dataclass
class Service:
    """The answers of one service: how many, the failed ones, and the longest time (s) between two good ones."""

    answers: int = 0
    failures: list[str] = field(default_factory=list)
    longest_gap: float = 0.0
    slowest: float = 0.0


@dataclass
class Probe:
    """What the clients saw, once they have ended: services by name, ``ldap`` and ``kdc``."""

    services: dict[str, Service] = field(default_factory=dict)


@contextmanager
def clients(host: Host) -> Iterator[Probe]:
    """Clients that search and authenticate on the host as long as the block lasts."""
    host.write_file("/root/probe.py", _CLIENT)
    # The password goes by a file and standard input: never in a command that all can see.
    host.write_file("/root/probe.secret", host.topology.passwords.admin + "\n", mode=0o600)
    command = f"python3 /root/probe.py {host.topology.suffix} < /root/probe.secret > /root/probe.out"
    running = host.start(["sh", "-c", command])
    probe = Probe()
    try:
        yield probe
    finally:
        host.run(["touch", "/run/probe.stop"])
        ended = running.wait()
        host.run(["rm", "/run/probe.stop"])
    assert ended.status == 0, ended.describe()
    last: dict[str, float] = {}
    for line in host.read_file("/root/probe.out").splitlines():
        name, began, seconds, failure = json.loads(line)
        service = probe.services.setdefault(name, Service())
        service.answers += 1
        if failure:
            service.failures.append(failure)
            continue
        if name in last:
            service.longest_gap = max(service.longest_gap, began + seconds - last[name])
        last[name] = began + seconds
        service.slowest = max(service.slowest, seconds)
