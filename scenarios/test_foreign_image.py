"""An image that is not the lab's own, declared in a lab file alone: another realm, other names and passwords, no CA."""

import io
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.engine import Engine
from lab.image import ensure_server_image
from lab.topology import SHIPPED
from scenarios.checks import Outline
from scenarios.conftest import RealmMaker
from scenarios.deeds import back_up, restore, uninstall

#: Backups of a server of EXAMPLE.TEST.
_OF_ANOTHER_REALM = Path(__file__).parents[1] / "tests" / "fixtures"

#: A server image that brings stock commands of the product's names, as FreeIPA's packages do.
_DOCKERFILE = """\
FROM {base}
RUN for name in ipa-backup ipa-restore; do \
  printf '#!/bin/sh\\necho this is the stock command >&2\\nexit 99\\n' > /usr/sbin/$name; \
  chmod 755 /usr/sbin/$name; done
"""

#: All else that is different: names, passwords, the database library, and what the server does not have.
_LAB_FILE = (SHIPPED / "corp.toml").read_text(encoding="utf-8")


@pytest.fixture
def foreign_image(engine: Engine) -> Iterator[str]:
    """The image, labelled like everything of the lab's and gone afterwards."""
    tag = f"ipalab-foreign:{secrets.token_hex(6)}"
    base = ensure_server_image(engine)
    engine.client.images.build(
        fileobj=io.BytesIO(_DOCKERFILE.format(base=base).encode()),
        tag=tag,
        labels=engine.labels("images", "foreign"),
        rm=True,
    )
    yield tag
    engine.remove_image(tag)


@pytest.mark.row("L4", "L3", "R1", "R3")
def test_a_foreign_image_runs_the_first_case_with_what_its_lab_file_says(
    make_realm: RealmMaker, foreign_image: str, tmp_path: Path
) -> None:
    lab_file = tmp_path / "foreign.toml"
    lab_file.write_text(_LAB_FILE.replace("own_image_only = true", f'image = "{foreign_image}"'))
    realm = make_realm(str(lab_file))
    master = realm.master
    assert master.fqdn == "idm-01.corp-2.example.org"
    assert "stock" in master.run(["/usr/sbin/ipa-backup"], check=False).stderr
    outline = Outline.note(master)
    for name, foreign in (("format-2-data", "EXAMPLE.TEST"), ("format-2-full", "ipa1.example.test")):
        master.put(_OF_ANOTHER_REALM / name, "/root")
        refused = master.run(["ipa-restore", "-U", f"/root/{name}"], check=False)
        assert refused.status == 3, refused.describe()
        assert foreign in refused.stderr
        assert (realm.topology.realm if name.endswith("data") else master.fqdn) in refused.stderr
    outline.assert_unchanged()

    backup = back_up(master)  # the product's command comes first in the path
    uninstall(master)
    restore(master, backup)

    outline.assert_unchanged()
