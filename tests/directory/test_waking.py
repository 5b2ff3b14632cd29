"""A server that is filled is sent requests that cost it nothing, as many as it takes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from ipabackup.directory import waking

ABANDON = b"\x30\x06\x02\x01\x02\x50\x01\x01"
QUESTION = b"\x30\x1e\x02\x01\x03\x77\x19\x80\x17" + b"1.3.6.1.4.1.4203.1.11.3"
#: A refusal, with a text that needs a length of more than one byte.
ANSWER = b"\x30\x81\x8e\x02\x01\x03\x78\x81\x88\x0a\x01\x35\x04\x00\x04\x81\x80" + b"x" * 128


class Server:
    """Takes connections one after the other, and answers questions as long as it is told to."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = ("127.0.0.1", self._listener.getsockname()[1])
        self.answering = True
        self.connections: list[socket.socket] = []
        self.received = b""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections.append(connection)
                with suppress(OSError):
                    self._listen(connection)

    def _listen(self, connection: socket.socket) -> None:
        asked = 0
        while piece := connection.recv(4096):
            self.received += piece
            while self.answering and asked < self.questions:
                # In two pieces, as they may come.
                connection.sendall(ANSWER[:2])
                connection.sendall(ANSWER[2:])
                asked += 1

    @property
    def questions(self) -> int:
        return self.received.count(QUESTION)

    @property
    def requests(self) -> int:
        return self.questions + self.received.count(ABANDON)

    def end_connections(self) -> None:
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.end_connections()
        self._thread.join(5)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def wait_until(state: Callable[[], bool]) -> None:
    limit = time.monotonic() + 10
    while not state():
        assert time.monotonic() < limit
        time.sleep(0.005)


@pytest.mark.row("R15")
def test_requests_are_to_abandon_nothing_and_some_are_questions(server: Server) -> None:
    with waking.awake([server.address]):
        wait_until(lambda: server.requests > 300)
    assert server.received.startswith(QUESTION + ABANDON * 63 + QUESTION + ABANDON)
    assert server.received.replace(QUESTION, b"").replace(ABANDON, b"") in [b"", ABANDON[:7]]


@pytest.mark.row("R15")
def test_a_server_that_does_not_answer_is_sent_no_more_than_it_can_take(server: Server) -> None:
    server.answering = False
    with waking.awake([server.address]):
        wait_until(lambda: server.requests == 256)
        time.sleep(0.1)
        assert server.requests == 256
        assert len(server.connections) == 1


@pytest.mark.row("R15")
def test_one_that_ends_the_connection_is_called_anew(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waking, "_TRIED_AGAIN", 0.01)
    with waking.awake([server.address]):
        wait_until(lambda: server.requests > 0)
        server.end_connections()
        wait_until(lambda: len(server.connections) > 1)


@pytest.mark.row("R15")
def test_one_out_of_reach_does_not_hold_up_the_others_or_the_end(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = ("127.0.0.1", closed.getsockname()[1])
    with waking.awake([nobody, server.address]):
        wait_until(lambda: server.requests > 10)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("waking")]


@pytest.mark.row("R15")
def test_when_it_is_over_nothing_is_sent_any_more(server: Server) -> None:
    def interrupted() -> None:
        with waking.awake([server.address, server.address]):
            wait_until(lambda: server.requests > 10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(server.connections) == 1, "an address that is named twice is called once"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("waking")]
    before = server.requests
    time.sleep(0.05)
    assert server.requests <= before + 1


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 70000])
def test_the_size_of_a_message_is_told_as_soon_as_its_header_is_there(size: int) -> None:
    digits = b"" if size < 128 else size.to_bytes((size.bit_length() + 7) // 8, "big")
    header = bytes((0x30, 0x80 | len(digits) if digits else size)) + digits
    assert [waking._message_size(header[:length]) for length in range(len(header))] == [0] * len(header)
    assert waking._message_size(header) == waking._message_size(header + b"more") == len(header) + size
