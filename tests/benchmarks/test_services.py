"""What clients outside the host make of the answers that they get."""

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import kerberos
from benchmarks.der import OCTET_STRING, SEQUENCE, elements, encode, integer, tagged
from benchmarks.prober import Answer, outages


def answers(*pattern: tuple[float, float, str]) -> list[Answer]:
    return [Answer(*one) for one in pattern]


def test_an_outage_lasts_from_the_first_failed_question_to_the_end_of_the_next_good_answer() -> None:
    seen = answers((0, 0.1, ""), (1, 1.1, "refused"), (2, 2.1, "reset"), (3, 3.5, ""), (4, 4.1, ""))
    [outage] = outages(seen)
    assert (outage.began, outage.ended, outage.seconds, outage.failure) == (1, 3.5, 2.5, "refused")


def test_a_slow_answer_is_no_outage() -> None:
    assert outages(answers((0, 0.1, ""), (1, 2.9, ""), (3, 3.1, ""))) == []


def test_each_outage_counts_and_one_that_nothing_ends_too() -> None:
    seen = answers((0, 0.1, "x"), (1, 1.2, ""), (2, 2.1, "y"), (3, 5, "z"))
    assert [(outage.began, outage.ended) for outage in outages(seen)] == [(0, 1.2), (2, 5)]


@given(st.binary(max_size=70_000), st.integers(min_value=0, max_value=2**40))
def test_what_is_encoded_is_read_again(content: bytes, number: int) -> None:
    data = encode(OCTET_STRING, content) + integer(number)
    [(first, one), (second, two)] = elements(data)
    assert (first, one) == (OCTET_STRING, content)
    assert second == 0x02
    assert int.from_bytes(two, "big", signed=True) == number


@given(st.binary(max_size=40))
def test_bytes_that_are_no_answer_are_no_ticket(answer: bytes) -> None:
    with pytest.raises(kerberos.NoTicket):
        kerberos.check_answer(answer)


def krb_error(code: int) -> bytes:
    return encode(
        kerberos.KRB_ERROR, encode(SEQUENCE, tagged(0, integer(5)), tagged(1, integer(30)), tagged(6, integer(code)))
    )


def test_a_kdc_that_asks_for_a_password_has_read_its_database() -> None:
    kerberos.check_answer(krb_error(kerberos.PREAUTH_REQUIRED))


@pytest.mark.parametrize("code", [29, 6, 60, 200])
def test_a_kdc_without_its_database_has_no_service(code: int) -> None:
    with pytest.raises(kerberos.NoTicket, match=f"error {code} "):
        kerberos.check_answer(krb_error(code))


def test_no_two_requests_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A KDC answers one that it knows from memory, so a client that repeats itself would miss an outage."""
    received = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        connect = socket.create_connection
        monkeypatch.setattr(socket, "create_connection", lambda _, timeout: connect(address, timeout))

        def serve() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    received.append(connection.recv(4096))
                    answer = krb_error(kerberos.PREAUTH_REQUIRED)
                    connection.sendall(len(answer).to_bytes(4, "big") + answer)

        thread = threading.Thread(target=serve)
        thread.start()
        for _ in range(2):
            kerberos.ask("192.0.2.1", "admin", "EXAMPLE.TEST", 5)
        thread.join(5)
    assert received[0][:4] == (len(received[0]) - 4).to_bytes(4, "big")
    assert received[0] != received[1]
