"""Backups of every format that was ever written stay readable and restorable: ours, and FreeIPA's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ipabackup.archive.gpg import Keyring
from ipabackup.archive.reader import open_payload
from ipabackup.backup import BackupOptions, plan_backup
from ipabackup.errors import DamagedBackup, IpaBackupError, WrongKey
from ipabackup.host.processes import SystemProcesses
from ipabackup.restore import RestoreOptions
from ipabackup.store import OpenedBackup, extract_backup, open_backup
from tests.archive.conftest import FIXTURES as STOCK
from tests.archive.conftest import key as key  # noqa: PLC0414
from tests.chroot_host import bare_root, inside, needs_chroot
from tests.host_of_its_own import make_host

OURS = Path(__file__).parent / "fixtures"
PLAIN = ("format-1-full", "format-1-data", "format-2-full", "format-2-data")
ENCRYPTED = ("format-1-data-encrypted", "format-2-data-encrypted")
USERS = "cn=users,cn=accounts,dc=example,dc=test"


def opened(path: Path, ring: Keyring | None = None) -> OpenedBackup:
    return open_backup(path, ring or Keyring(), SystemProcesses())


@pytest.fixture(params=["ipa-full", "ipa-data"])
def stock(request: pytest.FixtureRequest) -> Path:
    """A backup that a real FreeIPA wrote."""
    if not STOCK.is_dir():
        pytest.skip(f"{STOCK} is not here")
    return next(STOCK.glob(f"{request.param}-*"))


@pytest.mark.row("R2", "B7")
@pytest.mark.parametrize("name", [*PLAIN, *ENCRYPTED])
def test_every_fixture_tells_whose_it_is_and_what_it_holds(name: str, key: Keyring) -> None:
    backup = opened(OURS / name, key if name in ENCRYPTED else None)
    assert (backup.record.host, backup.record.realm) == ("ipa1.example.test", "EXAMPLE.TEST")
    assert (backup.record.domain, backup.record.basedn) == ("example.test", "dc=example,dc=test")
    (instance,) = backup.record.instances
    assert (instance.name, instance.user, instance.library) == ("EXAMPLE-TEST", "dirsrv", "mdb")
    backends = sorted((backend.name, backend.suffix) for backend in instance.backends)
    assert backends == [("ipaca", "o=ipaca"), ("userRoot", "dc=example,dc=test")]
    assert "dirsrv" in {user.name for user in backup.record.users}
    assert backup.header.services == ("CA", "DNS", "HTTP", "KDC", "KPASSWD")


@pytest.mark.row("B9", "R13")
@pytest.mark.parametrize("name", ENCRYPTED)
def test_an_encrypted_one_of_either_format_wants_its_key(name: str, tmp_path: Path) -> None:
    home = tmp_path / "empty"
    home.mkdir(mode=0o700)
    with pytest.raises(WrongKey):
        opened(OURS / name, Keyring(home))


@pytest.mark.row("R5")
@pytest.mark.parametrize("name", [*PLAIN, *ENCRYPTED])
def test_every_fixture_is_extracted(name: str, key: Keyring, tmp_path: Path) -> None:
    extract_backup(OURS / name, tmp_path / "out", key, SystemProcesses())
    ldif = (tmp_path / "out/data/EXAMPLE-TEST/ldif/userRoot.ldif").read_text()
    assert f"\ndn: uid=admin,{USERS}\n" in ldif
    assert (tmp_path / "out/data/EXAMPLE-TEST/binary/data.mdb").stat().st_size > 0
    assert (tmp_path / "out/files/etc/ipa/default.conf").exists() == ("full" in name)


@pytest.mark.row("R1", "R2", "R9", "R10")
@needs_chroot
@pytest.mark.parametrize("name", ["format-1-full", "format-2-full"])
def test_a_full_backup_of_ours_is_restored(name: str, tmp_path: Path) -> None:
    root = bare_root(tmp_path / "root")
    shutil.copytree(OURS / name, root / "backup" / name)
    result = inside(root, (Path("/backup") / name, RestoreOptions()))
    assert f"uid=admin,{USERS}" in result.entries["userRoot"]
    assert result.entries["ipaca"]
    assert "host = ipa1.example.test" in (root / "etc/ipa/default.conf").read_text().replace("=", " = ").replace(
        "  ", " "
    )
    config = root / "etc/dirsrv/slapd-EXAMPLE-TEST/dse.ldif"
    assert (config.stat().st_uid, config.stat().st_mode & 0o777) == (4321, 0o640)
    assert {"sssd.service", "certmonger.service"} <= result.enabled
    assert {"bind", "pkiuser"} <= set(result.users)
    assert sorted((root / "var/lib/dirsrv/slapd-EXAMPLE-TEST/bak").iterdir()) == []


@pytest.mark.row("R1", "R2", "R9")
@needs_chroot
@pytest.mark.parametrize("umask", [0o022, 0o077], ids=["usual", "narrow"])
def test_both_formats_restore_the_same_files(umask: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    found = []
    before = os.umask(0o022)
    request.addfinalizer(lambda: os.umask(before))
    for name in ("format-1-full", "format-2-full"):
        root = bare_root(tmp_path / name)
        shutil.copytree(OURS / name, root / "backup" / name)
        os.umask(umask)
        inside(root, (Path("/backup") / name, RestoreOptions()))
        os.umask(0o022)
        for folder in ("backup", "tmp"):
            shutil.rmtree(root / folder)
        found.append({str(path.relative_to(root)): path.lstat().st_mode for path in root.rglob("*")})
    differing = {path for path in found[0].keys() | found[1].keys() if found[0].get(path) != found[1].get(path)}
    assert not differing, sorted(differing)


@pytest.mark.row("R2", "R4")
@needs_chroot
@pytest.mark.parametrize("name", ["format-1-data", "format-2-data", "format-1-full"])
def test_data_goes_onto_a_server_of_the_realm(name: str, tmp_path: Path) -> None:
    root = bare_root(tmp_path / "root")
    shutil.copytree(OURS / "format-2-full", root / "backup/first")
    shutil.copytree(OURS / name, root / "backup" / name)
    whole, data = RestoreOptions(), RestoreOptions(data=True)
    entries = inside(root, (Path("/backup/first"), whole), (Path("/backup") / name, data)).entries
    assert f"uid=admin,{USERS}" in entries["userRoot"]
    assert entries["ipaca"]


@pytest.mark.row("R1", "R2")
@needs_chroot
def test_a_backup_of_a_real_freeipa_is_restored(stock: Path, tmp_path: Path) -> None:
    root = bare_root(tmp_path / "root")
    full = next(STOCK.glob("ipa-full-*"))
    shutil.copytree(full, root / "backup" / full.name)
    shutil.copytree(stock, root / "backup" / stock.name, dirs_exist_ok=True)
    # What a later installation left in folders that are IPA's alone goes; what FreeIPA's tools never take stays.
    for path in ("etc/dirsrv/slapd-EXAMPLE-TEST/later.conf", "etc/ipa/html/unauthorized.html"):
        (root / path).parent.mkdir(parents=True)
        (root / path).write_text("x")
    backups = [full.name] if stock == full else [full.name, stock.name]
    result = inside(root, *((Path("/backup") / name, RestoreOptions()) for name in backups))
    entries = result.entries
    assert len([dn for dn in entries["userRoot"] if not dn.startswith("nsuniqueid=")]) == 492
    if stock == full:
        assert {"ipa.service", "sssd.service"} <= result.enabled
    assert not (root / "etc/dirsrv/slapd-EXAMPLE-TEST/later.conf").exists()
    assert (root / "etc/ipa/html/unauthorized.html").exists()
    assert (root / "var/lib/ipa/private/httpd.key").stat().st_mode & 0o777 == 0o600
    # Raw databases and locks of another moment are not put back: the data comes from the export.
    assert list((root / "var/lib/dirsrv/slapd-EXAMPLE-TEST/db").iterdir()) == []
    assert list((root / "run/lock/dirsrv").iterdir()) == []
    assert (root / "run/dirsrv").stat().st_uid == 4321


@pytest.mark.row("R13")
def test_a_cut_off_or_empty_export_in_format_1_is_refused(tmp_path: Path) -> None:
    source = OURS / "format-1-data"
    tree, made = tmp_path / "tree", tmp_path / "made"
    tree.mkdir()
    made.mkdir()
    shutil.copy(source / "header", made)
    subprocess.run(["tar", "-xzf", source / "ipa-data.tar", "-C", tree], check=True)
    ldif = tree / "EXAMPLE-TEST-ipaca.ldif"
    whole = ldif.read_bytes()
    for content, said in ((whole, ""), (whole[:-100], "ends within an entry"), (b"", "is empty")):
        ldif.write_bytes(content)
        subprocess.run(["tar", "-czf", made / "ipa-data.tar", "-C", tree, "."], check=True)
        if said:
            with pytest.raises(DamagedBackup, match=f"ipaca .*{said}"):
                opened(made)
        else:
            assert opened(made).record.realm == "EXAMPLE.TEST"


@pytest.mark.row("R13")
@pytest.mark.parametrize("missing", ["etc/ipa/default.conf", "EXAMPLE-TEST/config_files/dse.ldif"])
def test_a_format_1_backup_that_does_not_say_what_it_is_of_is_refused(missing: str, tmp_path: Path) -> None:
    kind = "full" if missing.startswith("etc") else "data"
    tree, files, made = tmp_path / "tree", tmp_path / "files", tmp_path / "made"
    for folder in (tree, files, made):
        folder.mkdir()
    shutil.copy(OURS / f"format-1-{kind}/header", made)
    subprocess.run(["tar", "-xzf", OURS / f"format-1-{kind}/ipa-{kind}.tar", "-C", tree], check=True)
    if kind == "full":
        subprocess.run(["tar", "-xzf", tree / "files.tar", "-C", files], check=True)
        (files / missing).unlink()
        subprocess.run(["tar", "-czf", tree / "files.tar", "-C", files, "etc", "var"], check=True)
    else:
        (tree / missing).unlink()
    subprocess.run(["tar", "-czf", made / f"ipa-{kind}.tar", "-C", tree, "."], check=True)
    open_payload(made).verify()
    with pytest.raises(DamagedBackup, match=r"default\.conf|configuration"):
        opened(made)


@pytest.mark.row("B1", "B7", "B8")
@pytest.mark.parametrize("data", [False, True])
def test_backing_up_in_format_1_writes_its_header_and_members(tmp_path: Path, data: bool) -> None:
    host = make_host(tmp_path)
    plan = plan_backup(host.server(), BackupOptions(data=data, format=1, target=host.backups), host.machine)
    host.run(plan.plan)
    assert plan.path is not None
    kind = "data" if data else "full"
    assert sorted(path.name for path in plan.path.iterdir()) == ["header", f"ipa-{kind}.tar"]
    lines = (plan.path / "header").read_text().splitlines()
    assert [line.partition(" = ")[0] for line in lines] == [
        *("[ipa]", "type", "time", "host", "ipa_version", "version", "services", "")
    ]
    reader = open_payload(plan.path)
    assert (reader.header.version, reader.header.services) == (1, ("HTTP", "KDC"))
    names = {member.name for member, _ in reader.members()}
    assert {"data/EXAMPLE-TEST/ldif/userRoot.ldif", "data/EXAMPLE-TEST/binary/data.mdb"} <= names
    assert (f"files{tmp_path}/etc/krb5.keytab" in names) is not data
    assert not any(name.startswith(("record/", "MANIFEST")) for name in names)
    assert host.leftovers() == []


@pytest.mark.row("B1")
@pytest.mark.parametrize("step", ["archive-files", "archive-data", "export-ldif", "seal", "publish"])
def test_a_failure_while_format_1_is_written_leaves_nothing(tmp_path: Path, step: str) -> None:
    host = make_host(tmp_path)
    plan = plan_backup(host.server(), BackupOptions(format=1, target=host.backups), host.machine)
    with pytest.raises(IpaBackupError):
        host.run(plan.plan, IPABACKUP_FAIL_STEP=step)
    assert host.visible_backups() == []
    assert host.leftovers() == []
    assert host.services.running
