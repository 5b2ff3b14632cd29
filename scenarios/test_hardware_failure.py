"""A host dies for good; a new one of its name gets its backup, and its peer brings what it missed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.realm import Realm
from scenarios.checks import Outline
from scenarios.conftest import ProductPutter
from scenarios.deeds import BACKUPS, back_up, restore
from scenarios.masters import (
    assert_one_realm,
    assert_replicate,
    entry_exists,
    password_options,
    wait_seen,
    write_certificate,
    write_user,
)


@pytest.mark.row("T14", "R9")
@pytest.mark.topology("pair")
def test_a_new_host_of_a_dead_ones_name_catches_up_from_its_peer(
    realm: Realm, put_product: ProductPutter, tmp_path: Path
) -> None:
    """The backup was kept elsewhere; the peer went on writing users and certificates."""
    one, two, *others = realm.hosts.values()
    earlier = [write_user(one, "earlier"), write_certificate(one, "earlier")]
    backup = back_up(one)
    one.get(backup, tmp_path)
    outline = Outline.note(one)

    missed = [write_user(two, "missed"), write_certificate(two, "missed")]
    for dn in missed:
        wait_seen(one, dn)
    dead, one = one, realm.replace(one.name)
    missed += [write_user(two, "alone"), write_certificate(two, "alone")]

    assert one.container.id != dead.container.id
    assert one.run(["test", "-e", "/etc/ipa/default.conf"], check=False).status == 1, "nothing is installed here"
    put_product(one)
    one.run(["mkdir", "-p", BACKUPS])
    one.put(tmp_path / Path(backup).name, BACKUPS)
    restore(one, backup, "--replication=catch-up", *password_options(one))
    one.wait_ready()

    for dn in missed:
        wait_seen(one, dn)
    assert all(entry_exists(one, dn) for dn in earlier)
    outline.host = one
    assert set(outline.differences()) == {"ipa cert-find"}, "all else answers as before"
    for user in ("earlier", "missed", "alone"):
        one.run(["ipa", "user-show", user])
        one.run(["id", user])
    assert one.run(["ipa", "cert-find"]).stdout == two.run(["ipa", "cert-find"]).stdout
    assert_replicate(one, two, tag="after")
    assert_one_realm(one, two, *others)
