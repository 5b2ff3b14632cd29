"""Labs side by side: the same names, and nothing in common."""

import pytest

from lab.engine import Engine
from scenarios.conftest import RealmMaker


@pytest.mark.row("L1")
def test_two_labs_with_the_same_names_do_not_disturb_each_other(make_realm: RealmMaker, engine: Engine) -> None:
    one, other = make_realm(product=False), make_realm(product=False)
    assert one.master.fqdn == other.master.fqdn
    assert one.master.address != other.master.address

    one.master.kinit()
    one.master.run(["ipa", "user-add", "onlyhere", "--first", "Only", "--last", "Here"])
    other.master.kinit()
    assert one.master.run(["ipa", "user-show", "onlyhere"]).status == 0
    absent = other.master.run(["ipa", "user-show", "onlyhere"], check=False)
    assert absent.status == 2
    assert "user not found" in absent.stderr

    knock = f"timeout 3 bash -c '</dev/tcp/{other.master.address}/389'"
    assert other.master.run(["sh", "-c", knock], check=False).status == 0, "the port itself is open"
    assert one.master.run(["sh", "-c", knock], check=False).status != 0, "one lab reaches into the other"

    one.down()
    assert engine.containers(one.name) == []
    assert engine.networks(one.name) == []
    other.master.kinit()
    other.master.run(["ipa", "user-show", "admin"])
