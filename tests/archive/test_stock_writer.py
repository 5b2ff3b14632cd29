"""Format 1 as we write it: read by our reader, by GNU tar as FreeIPA's tool calls it, and beside the real thing."""

from __future__ import annotations

import configparser
import gzip
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipabackup.archive.extract import Destination, extract
from ipabackup.archive.gpg import Keyring
from ipabackup.archive.gzip_sink import GzipSink
from ipabackup.archive.header import BackupType, Header
from ipabackup.archive.member import Kind
from ipabackup.archive.metadata import Recorded
from ipabackup.archive.publish import PartialBackup
from ipabackup.archive.reader import open_payload
from ipabackup.archive.spool import Spool
from ipabackup.archive.stock_writer import SPOOL, StockWriter
from ipabackup.errors import IpaBackupError
from tests.archive.conftest import MOMENT
from tests.archive.trees import TREES, Entry, facts, grow

pytestmark = pytest.mark.row("B7", "R2")
SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Collected:
    """The end of a pipeline, in memory."""

    def __init__(self) -> None:
        self.content = b""
        self.finished = False

    def write(self, data: bytes) -> int:
        self.content += data
        return len(data)

    def finish(self) -> None:
        self.finished = True

    def abort(self) -> None:
        self.content = b""


def backup_of(folder: Path, source: Path, ring: Keyring | None = None, in_memory: int = 1 << 20) -> Path:
    """A full backup whose server's files are /source, with an instance of two backends."""
    binary = folder / "binary"
    (binary / "config_files").mkdir(parents=True)
    (binary / "config_files/dse.ldif").write_text("dn: cn=config\n")
    (binary / "data.mdb").write_bytes(bytes(70_000))
    partial = PartialBackup.create(folder / "backups", full=True, moment=MOMENT)
    name = "ipa-full.tar.gpg" if ring else "ipa-full.tar"
    with StockWriter(partial.path / name, keyring=ring, in_memory=in_memory) as writer:
        writer.add_bytes("record/server.json", b"{}")
        writer.add_tree(source, "files/source")
        writer.add_tree(binary, "data/EXAMPLE-TEST/binary")
        for backend in ("userRoot", "ipaca"):
            member = writer.growing(f"data/EXAMPLE-TEST/ldif/{backend}.ldif")
            member.write(f"dn: o={backend}\n\n".encode())
            member.commit()
        sealed = writer.close()
    assert sealed.findings == ()
    assert [path.name for path in partial.path.iterdir()] == [name]
    header = Header(BackupType.FULL, MOMENT, "ipa1.example.test", "4.12.0", version=1, services=("KDC", "HTTP"))
    return partial.publish(header.render())


def untarred(archive: Path, target: Path, *words: str) -> Path:
    """What FreeIPA's tool does: ``tar -xzf`` in a folder."""
    target.mkdir()
    done = subprocess.run(
        ["tar", *words, "--warning=no-timestamp", "-xzpf", archive],
        cwd=target,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert done.stderr == ""
    return target


@SLOW
@given(TREES)
def test_any_tree_comes_back_as_it_was_by_our_reader_and_by_gnu_tar(tree: dict[tuple[str, ...], Entry]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grow(folder / "source", tree)
        before = facts(folder / "source")
        backup = backup_of(folder, folder / "source")
        ours = folder / "ours"
        result = extract(open_payload(backup), lambda member: Destination(ours, member.name), Recorded(), durable=False)
        assert result.failures == ()
        assert facts(ours / "files/source") == before
        assert (ours / "data/EXAMPLE-TEST/ldif/ipaca.ldif").read_text() == "dn: o=ipaca\n\n"

        outer = untarred(backup / "ipa-full.tar", folder / "outer")
        inner = untarred(outer / "files.tar", folder / "inner", "--xattrs", "--xattrs-include=*", "--selinux", "--acls")
        assert facts(inner / "source") == before


def test_the_members_have_the_names_order_and_owners_of_the_stock_tools(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with tarfile.open(backup_of(tmp_path, tmp_path / "source") / "ipa-full.tar") as archive:
        members = [(member.name, member.isdir()) for member in archive.getmembers()]
    assert members == [
        (".", True),
        ("./EXAMPLE-TEST", True),
        ("./EXAMPLE-TEST/config_files", True),
        ("./EXAMPLE-TEST/config_files/dse.ldif", False),
        ("./EXAMPLE-TEST/data.mdb", False),
        ("./EXAMPLE-TEST-userRoot.ldif", False),
        ("./EXAMPLE-TEST-ipaca.ldif", False),
        ("./files.tar", False),
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_exports_belong_to_the_account_that_the_directory_runs_as(tmp_path: Path) -> None:
    (tmp_path / "binary").mkdir()
    os.chown(tmp_path / "binary", 4321, 1234)
    with StockWriter(tmp_path / "payload") as writer:
        writer.add_tree(tmp_path / "binary", "data/A-B/binary")
        writer.growing("data/A-B/ldif/userRoot.ldif").commit()
        writer.close()
    with tarfile.open(tmp_path / "payload") as archive:
        owners = {member.name: (member.uid, member.gid, oct(member.mode)) for member in archive.getmembers()}
    assert owners["."] == (4321, 1234, "0o750")
    assert owners["./A-B-userRoot.ldif"] == (4321, 1234, "0o600")


def test_folders_that_lead_to_files_are_left_out_when_they_are_simply_roots(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "file"
    file.parent.mkdir()
    file.write_text("x")
    with StockWriter(tmp_path / "payload") as writer:
        writer.add_parents(file, f"files{file}")
        writer.add_path(file, f"files{file}")
        writer.close()
    listed = subprocess.run(
        ["sh", "-c", f"tar -xzOf {tmp_path}/payload ./files.tar | tar -tz"], check=True, capture_output=True, text=True
    )
    shared = [str(file).lstrip("/")]
    if os.geteuid() == 0:
        assert listed.stdout.splitlines() == shared
    assert listed.stdout.splitlines()[-1:] == shared


def test_it_has_the_form_of_the_real_thing(tmp_path: Path, stock_backups: Path) -> None:
    (tmp_path / "source").mkdir()
    ours = backup_of(tmp_path, tmp_path / "source")
    theirs = next(stock_backups.glob("ipa-full-*"))
    forms = []
    for backup in (ours, theirs):
        assert re.fullmatch(r"ipa-full-\d{4}(-\d\d){5}", backup.name)
        assert sorted(path.name for path in backup.iterdir()) == ["header", "ipa-full.tar"]
        text = (backup / "header").read_text()
        assert text.endswith("\n\n")
        parser = configparser.ConfigParser()
        parser.read_string(text)
        header = dict(parser["ipa"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", header["time"])
        raw = gzip.decompress((backup / "ipa-full.tar").read_bytes())
        with tarfile.open(backup / "ipa-full.tar") as archive:
            members = archive.getmembers()
            inner = archive.extractfile("./files.tar")
            assert inner is not None
            with tarfile.open(fileobj=inner, mode="r:gz") as files:
                relative = all(not name.startswith(("/", "./")) for name in files.getnames())
        forms.append(
            (
                list(header),
                header["type"],
                header["version"],
                [
                    name.name
                    for name in members
                    if name.name.count("/") == 0 or name.name.endswith(("dse.ldif", "t.ldif"))
                ],
                members[1].name,
                members[-1].name,
                raw[257:262],
                len(raw) % 10240,
                relative,
            )
        )
    assert forms[0] == forms[1]


@pytest.mark.parametrize("in_memory", [0, 1 << 20])
def test_what_does_not_fit_into_memory_lies_beside_the_payload_meanwhile(tmp_path: Path, in_memory: int) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/noise").write_bytes(os.urandom(900_000))
    backup = backup_of(tmp_path, tmp_path / "source", in_memory=in_memory)
    assert not (backup / SPOOL).exists()
    names = {member.name: member.kind for member, _ in open_payload(backup).members()}
    assert names["files/source/noise"] is Kind.FILE


def test_giving_up_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "noise").write_bytes(os.urandom(8 << 20))
    with StockWriter(tmp_path / "made/payload", in_memory=0) as writer:
        writer.add_path(tmp_path / "noise", "files/noise")
        writer.add_path(tmp_path / "noise", "data/A/binary")
        assert (tmp_path / "made" / SPOOL).stat().st_mode & 0o777 == 0o600
    assert list((tmp_path / "made").iterdir()) == []


def test_what_has_no_place_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with StockWriter(tmp_path / "payload") as writer, pytest.raises(IpaBackupError, match="no place in format 1"):
        writer.add_bytes("elsewhere/file", b"x")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=1000) | st.integers(0, 700_000).map(lambda size: bytes(range(251)) * (size // 251))),
    st.integers(1, 9),
    st.integers(1, 3),
)
def test_blocks_compressed_side_by_side_make_one_gzip_stream(pieces: list[bytes], level: int, threads: int) -> None:
    end = Collected()
    sink = GzipSink(end, level=level, threads=threads)
    for piece in pieces:
        sink.write(piece)
    sink.finish()
    assert end.finished
    one = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert one.decompress(end.content) == b"".join(pieces)
    assert one.eof
    assert one.unused_data == b""


def test_a_spool_of_an_encrypted_backup_is_encrypted(tmp_path: Path, key: Keyring) -> None:
    secret = b"userPassword: {PBKDF2} secret" * 100
    spool = Spool(tmp_path / "spool", key, in_memory=0)
    spool.write(secret)
    spool.finish()
    assert b"userPassword" not in (tmp_path / "spool").read_bytes()
    with spool.content() as content:
        assert content.read(spool.size) == secret
    assert not (tmp_path / "spool").exists()


def test_an_encrypted_backup_opens_with_gpg_and_tar(tmp_path: Path, key: Keyring) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/file").write_text("content")
    backup = backup_of(tmp_path, tmp_path / "source", ring=key, in_memory=0)
    plain = tmp_path / "plain.tar"
    subprocess.run(key.command("--output", str(plain), "--decrypt", str(backup / "ipa-full.tar.gpg")), check=True)
    outer = untarred(plain, tmp_path / "outer")
    assert (untarred(outer / "files.tar", tmp_path / "inner") / "source/file").read_text() == "content"
    assert open_payload(backup, key).verify().files_size == len("content")


@pytest.fixture(name="_has_tools", autouse=True)
def has_tools() -> None:
    """GNU tar is what this is about."""
    if shutil.which("tar") is None:
        pytest.skip("tar is not installed")
