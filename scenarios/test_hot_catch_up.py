"""A copy of a running directory knows a little less than it holds; catching up from it converges all the same."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.host import Host
from lab.waiting import wait_for
from scenarios.deeds import back_up, restore
from scenarios.masters import assert_one_realm, assert_replicate, entry_exists, password_options, wait_seen


@contextmanager
def _writing(host: Host) -> Iterator[list[str]]:
    """Add groups as fast as the directory takes them, as long as the block lasts; yields the names so far."""
    stop = threading.Event()
    written: list[str] = []

    def write() -> None:
        with host.ldap() as connection:
            while not stop.is_set():
                name = f"{host.name}-{len(written):05}"
                dn = f"cn={name},cn=groups,cn=accounts,{host.topology.suffix}"
                connection.add_s(dn, [("objectClass", [b"top", b"groupOfNames"]), ("cn", [name.encode()])])
                written.append(dn)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    wait_for("the first group to be written", lambda: written, limit=30)
    try:
        yield written
    finally:
        stop.set()
        thread.join(30)


@pytest.mark.row("R9", "B2", "B3")
@pytest.mark.parametrize("options", [("--data", "--online"), ("--hot",)], ids=["data", "hot"])
def test_a_copy_of_a_busy_directory_catches_up_and_keeps_what_it_held(make_realm, options: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    realm = make_realm("pair")
    first, second = realm.host("ipa1"), realm.host("ipa2")
    with _writing(first) as early:
        backup = back_up(first, *options)
    wait_seen(second, early[-1])
    with _writing(second) as late:
        first.kinit()
    wait_seen(first, late[-1])

    restore(first, backup, "--replication=catch-up", *password_options(first))

    for host in (first, second):
        for dn in (early[0], early[len(early) // 2], early[-1], late[0], late[-1]):
            wait_seen(host, dn)
    assert all(entry_exists(first, dn) for dn in early + late)
    assert_replicate(first, second)
    assert_one_realm(first, second)
