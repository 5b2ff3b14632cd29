"""After a restore over another installation, certmonger must not track the same certificate twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipabackup.host.certmonger import duplicates
from ipabackup.host.sssd import forget


def request(folder: Path, name: str, location: str) -> None:
    text = f"id={name}\ncert_storage_type=FILE\ncert_storage_location={location}\ncert=\n -----BEGIN\n cert=x\n"
    (folder / name).write_text(text)


@pytest.mark.row("R16")
def test_requests_for_a_restored_certificate_are_found_and_others_are_left(tmp_path: Path) -> None:
    requests, cas = tmp_path / "requests", tmp_path / "cas"
    requests.mkdir()
    cas.mkdir()
    request(requests, "20260101", "/var/lib/ipa/certs/httpd.crt")
    request(requests, "20260202", "/var/lib/ipa/certs/httpd.crt")
    request(requests, "20260303", "/etc/pki/admins-own.crt")
    (cas / "1").write_text("id=IPA\n")
    (cas / "2").write_text("id=IPA\n")
    (cas / "3").write_text("id=SelfSign\n")
    kept = {"requests/20260101", "cas/1"}
    assert duplicates(tmp_path, kept) == [requests / "20260202", cas / "2"]
    assert duplicates(tmp_path / "nowhere", kept) == []


@pytest.mark.row("R1")
def test_sssd_forgets_users_and_keeps_its_configuration(tmp_path: Path) -> None:
    for name in ("db/cache_example.test.ldb", "db/timestamps_example.test.ldb", "db/config.ldb", "mc/passwd"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    forget(tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["config.ldb"]
