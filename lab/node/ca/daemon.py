"""The authority's service: `python3 -m lab.node.ca.daemon INSTANCE`, run as pkiuser by pki-tomcatd@pki-tomcat.service
(or pki-cad@pki-ca.service).

It starts only when its log folders exist, as Dogtag does, and when the directory answers to its account.
"""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any

import ldap

from lab.node.ca.adopt import foreign
from lab.node.ca.agents import agent_of
from lab.node.ca.authority import Authority
from lab.node.ca.layout import (
    HTTP_PORT,
    HTTPS_PORT,
    PLACES,
    BadConfiguration,
    Configuration,
    Place,
    read_configuration,
)
from lab.node.ca.notify import ready
from lab.node.ca.records import NoSuchCertificate, RecordsRefused, Repository
from lab.node.ca.service import Operations, handler_for
from lab.node.ldapi import Directory, directory
from lab.node.services import WaitedTooLong, wait_for

DIRECTORY_LIMIT = 40.0
log = logging.getLogger(__name__)


class Listener(ThreadingHTTPServer):
    """A dual-stack HTTP server, with TLS when it has a context; the handler does the handshake."""

    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        super().__init__(("::", port), handler)

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # Not HTTPServer's: that one asks the DNS for this host's name.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "", self.server_address[1]

    def get_request(self) -> tuple[Any, Any]:
        connection, address = self.socket.accept()
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, _request: Any, client_address: Any) -> None:
        logging.getLogger(__name__).info("connection from %s ended early: %s", client_address, sys.exc_info()[1])


def tls_context(place: Place, config: Configuration) -> ssl.SSLContext:
    """TLS with the server's own certificate; a client certificate that is shown must come from this CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place.alias / "sslserver.crt", place.alias / "sslserver.key", config.key_password)
    context.load_verify_locations(place.alias / "ca_signing.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def start_logs(place: Place) -> None:
    """Open the logs. Raises BadConfiguration when a folder is missing: they are made by whoever installs."""
    debug_log = place.ca_logs / "debug"
    for path in (debug_log, place.audit_log):
        if not path.parent.is_dir():
            raise BadConfiguration(f"log folder {path.parent} does not exist")
    form = logging.Formatter("%(asctime)s [%(threadName)s] %(levelname)s: %(message)s")
    for name, path in (("", debug_log), ("audit", place.audit_log)):
        handler = logging.FileHandler(path, encoding="utf-8")
        handler.setFormatter(form)
        logging.getLogger(name).addHandler(handler)
    logging.getLogger("audit").propagate = False
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger("audit").setLevel(logging.INFO)


def prepare(place: Place, config: Configuration) -> Operations:
    """Load the key, and wait until the directory answers. Raises what the parts raise.

    As Dogtag's, the server runs also when the directory refuses its account; what needs the records is refused then.
    """
    signing = Authority.load(
        place.alias / "ca_signing.crt", place.alias / "ca_signing.key", config.key_password, config.realm, config.domain
    )

    @contextmanager
    def connect() -> Iterator[Directory]:
        held = directory(config.ldap_uri, bind_dn=config.bind_dn, password=config.bind_password, limit=15)
        with ExitStack() as stack:
            try:
                server = stack.enter_context(held)
            except (ldap.INVALID_CREDENTIALS, ldap.NO_SUCH_OBJECT) as error:
                raise RecordsRefused(
                    f"the directory does not accept {config.bind_dn} with the password of {place.passwords}: "
                    "the records below o=ipaca are of another installation"
                ) from error
            yield server

    repository = Repository(connect, config.first_serial, config.last_serial)

    def answers() -> bool:
        try:
            remark = foreign(repository, signing.certificate)
            if remark:
                log.warning("%s", remark)
        except RecordsRefused as refusal:
            log.error("%s", refusal)
        except (ldap.SERVER_DOWN, ldap.UNAVAILABLE, ldap.BUSY):
            return False
        except NoSuchCertificate:
            raise BadConfiguration("the directory has no record of the signing certificate") from None
        return True

    wait_for("the directory to answer", answers, DIRECTORY_LIMIT, every=0.2)
    return Operations(signing, repository, lambda shown: agent_of(shown, connect))


def main() -> int:
    words = argparse.ArgumentParser(prog="lab.node.ca.daemon")
    words.add_argument("instance", choices=sorted(PLACES))
    place = PLACES[words.parse_args().instance]
    try:
        start_logs(place)
        config = read_configuration(place)
        operations = prepare(place, config)
        handler = handler_for(operations)
        listeners = [Listener(HTTP_PORT, handler), Listener(HTTPS_PORT, handler, tls_context(place, config))]
    except (BadConfiguration, OSError, ValueError, ldap.LDAPError, WaitedTooLong) as error:
        logging.getLogger(__name__).error("cannot start: %s", error)
        print(f"certificate authority: cannot start: {error}", file=sys.stderr)
        return 1
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    for listener in listeners:
        threading.Thread(target=listener.serve_forever, daemon=True, name=f"port-{listener.server_port}").start()
    logging.getLogger(__name__).info("serving %s on %d and %d", config.realm, HTTP_PORT, HTTPS_PORT)
    ready(f"certificate authority of {config.realm}")
    stopping.wait()
    for listener in listeners:
        listener.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
