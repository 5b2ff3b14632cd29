"""A server with a full backup, and other masters of its realm."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipabackup.backup import BackupOptions, plan_backup
from tests.host_of_its_own import OwnHost, make_host


@pytest.fixture
def host(tmp_path: Path) -> OwnHost:
    host = make_host(tmp_path)
    host.services.ipa_units = {"krb5-kdc.service", "apache2.service"}
    host.services.active = set(host.services.units)
    return host


@pytest.fixture
def backup(host: OwnHost) -> Path:
    plan = plan_backup(host.server(), BackupOptions(logs=True, target=host.backups), host.machine)
    host.run(plan.plan)
    host.services.deeds.clear()
    host.directory.deeds.clear()
    assert plan.path is not None
    return plan.path


@pytest.fixture
def second_master(host: OwnHost) -> str:
    """A second master that the backup knows."""
    host.services.active.add("dirsrv@EXAMPLE-TEST.service")
    host.directory.masters["ipa2.example.test"] = {"KDC", "HTTP"}
    return "ipa2.example.test"


@pytest.fixture
def third_master(host: OwnHost) -> str:
    """A third master that the backup knows."""
    host.directory.masters["ipa3.example.test"] = {"KDC"}
    return "ipa3.example.test"
