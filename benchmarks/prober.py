"""Clients outside the host that ask its services all the time, and what they saw of an interruption.

Each service is asked every 50 ms over the lab's network, by a connection of its own each time, as clients that
come anew do: the directory for the administrator's entry, the KDC for a ticket, httpd for a file over TLS.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks import kerberos
from lab.host import Host
from lab.waiting import wait_for

#: Seconds between two questions, and until a client gives up.
INTERVAL, PATIENCE = 0.05, 2.0

#: Seconds for all services to answer again after a command has ended.
BACK_LIMIT = 300

SERVICES = ("ldap", "kdc", "https")


@dataclass(frozen=True)
class Answer:
    """One question: when it was asked and answered (s of the monotonic clock), and what went wrong, if anything."""

    asked: float
    answered: float
    failure: str = ""


@dataclass(frozen=True)
class Outage:
    """A time (s) without service: from the first question that failed to the end of the next good answer."""

    began: float
    ended: float
    failure: str

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.ended - self.began


def outages(answers: Iterable[Answer]) -> list[Outage]:
    """Find the outages in one service's answers, in the order of time.

    A slow answer is none.  An outage that no good answer ends lasts until the last answer.
    """
    found: list[Outage] = []
    first: Answer | None = None
    last: Answer | None = None
    for answer in answers:
        last = answer
        if answer.failure:
            first = first or answer
        elif first is not None:
            found.append(Outage(first.asked, answer.answered, first.failure))
            first = None
    if first is not None and last is not None:
        found.append(Outage(first.asked, last.answered, first.failure))
    return found


@dataclass
class Seen:
    """What the clients saw: the answers by service."""

    answers: dict[str, list[Answer]] = field(default_factory=lambda: {name: [] for name in SERVICES})

    def downtime(self, service: str) -> float:
        """Seconds without service, all outages together."""
        return sum(outage.seconds for outage in outages(self.answers[service]))


@contextmanager
def watched(host: Host) -> Iterator[Seen]:
    """Ask all services as long as the block lasts, and on until each of them answers again.

    Raises TimedOut when one does not.
    """
    questions = _questions(host)
    seen = Seen()
    for name, question in questions.items():
        question()
        seen.answers[name] = []
    stop = threading.Event()
    threads = [
        threading.Thread(target=_ask, args=(question, seen.answers[name], stop), daemon=True)
        for name, question in questions.items()
    ]
    for thread in threads:
        thread.start()
    try:
        yield seen
        ended = time.monotonic()
        wait_for(
            f"the services of {host.fqdn} to answer again",
            lambda: all(_answers_since(answers, ended) for answers in seen.answers.values()),
            limit=BACK_LIMIT,
            details=lambda: "; ".join(f"{name}: {answers[-1].failure}" for name, answers in seen.answers.items()),
        )
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _answers_since(answers: Sequence[Answer], moment: float) -> bool:
    return bool(answers) and not answers[-1].failure and answers[-1].asked >= moment


def _ask(question: Callable[[], None], answers: list[Answer], stop: threading.Event) -> None:
    while not stop.is_set():
        asked = time.monotonic()
        try:
            question()
            failure = ""
        except Exception as error:
            # Whatever a client meets, it has no service: it is kept, and not judged here.
            failure = f"{type(error).__name__}: {error}"
        answered = time.monotonic()
        answers.append(Answer(asked, answered, failure))
        stop.wait(max(0.0, INTERVAL - (answered - asked)))


def _questions(host: Host) -> dict[str, Callable[[], None]]:
    topology = host.topology
    trust = ssl.create_default_context(cadata=host.read_file("/etc/ipa/ca.crt"))
    return {
        "ldap": lambda: _search(host.address, f"uid=admin,cn=users,cn=accounts,{topology.suffix}"),
        "kdc": lambda: kerberos.ask(host.address, "admin", topology.realm, PATIENCE),
        "https": lambda: _fetch(host.address, host.fqdn, trust),
    }


def _search(address: str, dn: str) -> None:
    import ldap

    connection = ldap.initialize(f"ldap://{address}:389")
    try:
        connection.set_option(ldap.OPT_NETWORK_TIMEOUT, PATIENCE)
        connection.set_option(ldap.OPT_TIMEOUT, PATIENCE)
        connection.simple_bind_s()
        if len(connection.search_s(dn, ldap.SCOPE_BASE, attrlist=["uid"])) != 1:
            raise LookupError(f"no entry {dn}")
    finally:
        connection.unbind_s()


def _fetch(address: str, fqdn: str, trust: ssl.SSLContext) -> None:
    request = f"GET /ipa/config/ca.crt HTTP/1.1\r\nHost: {fqdn}\r\nConnection: close\r\n\r\n"
    with (
        socket.create_connection((address, 443), PATIENCE) as plain,
        trust.wrap_socket(plain, server_hostname=fqdn) as connection,
    ):
        connection.sendall(request.encode("ascii"))
        answer = b""
        while part := connection.recv(65536):
            answer += part
    status = answer.split(b"\r\n", 1)[0]
    if b" 200 " not in status or b"BEGIN CERTIFICATE" not in answer:
        raise ConnectionError(f"httpd answers {status.decode('latin-1')!r}")
