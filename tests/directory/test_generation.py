"""The deaf server's configuration: what replication is taken out, and what stays."""

from __future__ import annotations

import pytest

from ipabackup.directory.generation import replicated_suffixes, without_replication
from ipabackup.directory.ldif_scan import without_ruv
from ipabackup.errors import DirectoryFailure
from tests.directory.test_agreements import DSE

REPLICA = b"""\
dn: cn=replica,cn=dc\\3Dexample\\2Cdc\\3Dtest,cn=mapping tree,cn=config
objectClass: top
objectClass: nsDS5Replica
nsDS5ReplicaRoot: dc=example,
 dc=test
nsDS5ReplicaId: 4

"""


@pytest.mark.row("R9")
def test_replicas_and_agreements_are_left_out() -> None:
    left = without_replication(DSE + REPLICA)
    assert left == b"dn: cn=config\nobjectClass: top\nnsslapd-port: 389\n\n"
    assert replicated_suffixes(DSE + REPLICA) == ("dc=example,dc=test",)
    assert replicated_suffixes(left) == ()


def test_a_configuration_of_nothing_but_replication_is_refused() -> None:
    with pytest.raises(DirectoryFailure):
        without_replication(REPLICA)


@pytest.mark.row("R9")
def test_an_export_loses_its_ruv_and_nothing_else() -> None:
    live = b"dn: dc=x\nobjectClass: domain\n\n"
    dead = b"dn: nsuniqueid=1-2-3-4,cn=gone,dc=x\nobjectClass: nsTombstone\n\n"
    ruv = b"dn: nsuniqueid=ffffffff-ffffffff-ffffffff-ffffffff,dc=x\nnsds50ruv: {replica\n gen}\n\n"
    text = b"version: 1\n\n" + live + ruv + dead
    assert b"".join(without_ruv(text.splitlines(keepends=True))) == b"version: 1\n\n" + live + dead
