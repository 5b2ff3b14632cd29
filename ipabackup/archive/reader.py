"""Reading the payload of a backup, whichever format it has."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Collection, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from ipabackup.archive import layout, manifest, stock, streams, tarformat
from ipabackup.archive.gpg import Keyring
from ipabackup.archive.header import STOCK_FORMAT, Header, InstanceSummary
from ipabackup.archive.member import Kind, Member
from ipabackup.errors import DamagedBackup, NotABackup

Members = Generator["tuple[Member, BinaryIO | None]", None, None]

_LONGEST_MANIFEST = 1 << 30
_LONGEST_HEADER = 1 << 16


@dataclass(frozen=True)
class Verified:
    """What a complete reading found: members, bytes of file data, bytes of the server's files alone, and
    the directory data.

    ``files_size`` is the share of the server's own files in ``data_size``.  ``instances`` lists the LDIF
    exports by instance and backend.
    """

    members: int
    data_size: int
    files_size: int
    instances: tuple[InstanceSummary, ...]


class PayloadReader(Protocol):
    """A payload that can be read from its beginning any number of times."""

    @property
    def header(self) -> Header:
        """The header beside the payload."""
        ...

    def members(self) -> Members:
        """Every member in order, named as in ``layout``, regular files with a stream of their data.

        A stream is valid until the next member is asked for.  After the last member everything has been
        checked as by verify().  Raises DamagedBackup, WrongKey, KeyProblem.
        """
        ...

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        """The content of these regular members, which are held in memory; absent ones are left out.

        Stops reading when all are found, so nothing is checked but those.
        """
        ...

    def verify(self) -> Verified:
        """Read everything once and check it: size, digests, every member, the end.  Raises DamagedBackup,
        WrongKey …
        """
        ...


def read_header(backup: Path) -> Header:
    """The header of the backup in this folder; raises NotABackup, DamagedBackup, UnsupportedFormat."""
    path = backup / layout.HEADER
    try:
        with path.open("rb") as file:
            raw = file.read(_LONGEST_HEADER + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "has no header" if backup.is_dir() else "is not a folder" if backup.exists() else "does not exist"
        raise NotABackup(f"{backup} is not a backup: it {what}") from error
    except OSError as error:
        raise NotABackup(f"{path} cannot be read: {error.strerror}") from error
    try:
        return Header.parse(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise NotABackup(f"{path} is not text") from error


def payload_path(backup: Path, header: Header) -> Path:
    """The payload's path; raises DamagedBackup when it is missing or has another size than the header says."""
    if header.payload:
        names = [header.payload]
    else:
        names = [layout.payload_name(header.full, encrypted) for encrypted in (False, True)]
    for name in names:
        path = backup / name
        if path.is_file():
            break
    else:
        raise DamagedBackup(f"{backup} has no payload: {' or '.join(names)} is missing")
    size = path.stat().st_size
    if header.payload_size is not None and size != header.payload_size:
        change = "truncated" if size < header.payload_size else "altered"
        raise DamagedBackup(f"{path.name} is {change}: it has {size} bytes, and the header says {header.payload_size}")
    return path


def open_payload(backup: Path, keyring: Keyring | None = None) -> PayloadReader:
    """A reader for the backup in this folder.  Raises what read_header and payload_path raise.

    ``keyring`` holds the key of an encrypted payload; None means the caller's own keyring.
    """
    header = read_header(backup)
    path = payload_path(backup, header)
    encrypted = header.encrypted or path.suffix == ".gpg"
    ring = (keyring or Keyring()) if encrypted else None
    if header.version == STOCK_FORMAT:
        return StockReader(header, path, ring)
    return Reader(header, path, ring)


class Reader:
    """A payload of format 2."""

    def __init__(self, header: Header, path: Path, keyring: Keyring | None) -> None:
        self._header = header
        self._path = path
        self._keyring = keyring

    @property
    def header(self) -> Header:
        """See PayloadReader."""
        return self._header

    def members(self) -> Members:
        """See PayloadReader."""
        file = streams.HashedFile(self._path)
        try:
            if self._keyring is None:
                yield from self._checked(file)
            else:
                with streams.decrypted(file, self._keyring, self._path.name) as plain:
                    yield from self._checked(plain)
            self._compare(file)
        finally:
            file.close()

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        """See PayloadReader."""
        return _read(self, names)

    def verify(self) -> Verified:
        """See PayloadReader."""
        return _verify(self)

    def _raw(self, source: streams.Source) -> Iterator[tuple[Member, BinaryIO | None]]:
        for info, data in streams.tar_members(streams.decompressed(source, self._path.name), self._path.name):
            member = member_of(info)
            if member is not None:
                yield member, data

    def _checked(self, source: streams.Source) -> Iterator[tuple[Member, BinaryIO | None]]:
        lines: list[bytes] = []
        recorded: bytes | None = None
        for member, data in self._raw(source):
            if recorded is not None:
                raise DamagedBackup(f"{self._path.name}: {member.name} stands behind the manifest")
            if data is None:
                yield member, None
                lines.append(manifest.line(member))
            elif member.name == layout.MANIFEST:
                if member.size > _LONGEST_MANIFEST:
                    raise DamagedBackup(f"{self._path.name}: the manifest is too long to be one")
                recorded = data.read()
            else:
                hashed = HashedData(data)
                yield member, hashed  # type: ignore[misc]
                lines.append(manifest.line(member, hashed.complete()))
        if recorded is None:
            raise DamagedBackup(f"{self._path.name} is damaged or truncated: the manifest is missing")
        wrong = manifest.difference(recorded, lines)
        if wrong:
            raise DamagedBackup(f"{self._path.name} is damaged: {wrong}")

    def _compare(self, file: streams.HashedFile) -> None:
        if file.drain():
            raise DamagedBackup(f"{self._path.name} has something behind its end")
        if file.sha256 != self._header.payload_sha256:
            raise DamagedBackup(f"{self._path.name} is altered: its SHA-256 is not the one in the header")


class StockReader(Reader):
    """A payload of format 1, as FreeIPA's own tools write it: gzip'd tars, one within the other; nothing
    has a digest.
    """

    def _checked(self, source: streams.Source) -> Iterator[tuple[Member, BinaryIO | None]]:
        seen_files = False
        instances: set[str] = set()
        for member, data in self._raw(source):
            if data is not None and member.name == stock.FILES:
                seen_files = True
                yield from self._files(data)
                continue
            if member.kind is Kind.DIRECTORY and "/" not in member.name:
                instances.add(member.name)
            renamed = stock.translate(member, instances)
            if renamed is not None:
                yield renamed, data
        if self._header.full and not seen_files:
            raise DamagedBackup(f"{self._path.name} holds no {stock.FILES}, which a full backup needs")

    def _files(self, source: BinaryIO) -> Iterator[tuple[Member, BinaryIO | None]]:
        name = f"{stock.FILES} in {self._path.name}"
        for info, data in streams.tar_members(streams.decompressed(source, name), name):
            member = member_of(info)
            if member is not None:
                yield stock.as_file(member), data

    def _compare(self, file: streams.HashedFile) -> None:
        if file.drain():
            raise DamagedBackup(f"{self._path.name} has something behind its end")


class HashedData:
    """A member's data; hashes what is read, and the rest of it once the member is done with."""

    def __init__(self, data: BinaryIO) -> None:
        self._data = data
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes."""
        piece = self._data.read(size)
        self._digest.update(piece)
        return piece

    def complete(self) -> str:
        """The hexadecimal digest of all of the data."""
        while self.read(streams.CHUNK):
            continue
        return self._digest.hexdigest()


def member_of(info: tarfile.TarInfo) -> Member | None:
    """What a tar header says as a Member; None for the archive's own root.  Raises DamagedBackup for what
    makes no sense.
    """
    kind = _kind(info)
    name = clean_name(info.name)
    if not name:
        return None
    records = {key: value for key, value in info.pax_headers.items() if isinstance(value, str)}
    prefix = "SCHILY.xattr."
    xattrs = {
        tarformat.attribute_name(key[len(prefix) :]): tarformat.raw(value)
        for key, value in sorted(records.items())
        if key.startswith(prefix)
    }
    # GNU tar keeps these twice: as attributes and in their own records.
    selinux = xattrs.pop("security.selinux", b"").rstrip(b"\0").decode("utf-8", "surrogateescape")
    try:
        mtime = tarformat.nanoseconds(records["mtime"]) if "mtime" in records else int(info.mtime) * 10**9
    except ValueError as error:
        raise DamagedBackup(f"{name}: {error}") from error
    sparse: object = getattr(info, "sparse", None)
    data_map = None
    if kind is Kind.FILE and isinstance(sparse, list):
        data_map = tuple((int(offset), int(length)) for offset, length in sparse if length)
    return Member(
        name=name,
        kind=kind,
        size=info.size if kind is Kind.FILE else 0,
        mode=info.mode & 0o7777,
        uid=info.uid,
        gid=info.gid,
        uname=info.uname,
        gname=info.gname,
        mtime_ns=mtime,
        link_target=_link_target(info, kind),
        xattrs={key: value for key, value in xattrs.items() if not key.startswith("system.posix_acl_")},
        acl_access=_acl(records.get("SCHILY.acl.access", "")),
        acl_default=_acl(records.get("SCHILY.acl.default", "")),
        selinux=records.get("RHT.security.selinux", "").rstrip("\0") or selinux,
        data_map=data_map,
        device=(info.devmajor, info.devminor) if kind in (Kind.CHARACTER, Kind.BLOCK) else (0, 0),
    )


def clean_name(name: str) -> str:
    """A member's name without ``./``, leading and trailing slashes; raises DamagedBackup when it leads out
    by ``..``.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in name:
        raise DamagedBackup(f"the payload holds a name that leads out of it: {name!r}")
    return "/".join(parts)


def _link_target(info: tarfile.TarInfo, kind: Kind) -> str:
    if kind is Kind.HARDLINK:
        return clean_name(info.linkname)
    return info.linkname if kind is Kind.SYMLINK else ""


def _kind(info: tarfile.TarInfo) -> Kind:
    for fits, kind in (
        (info.isreg(), Kind.FILE),
        (info.isdir(), Kind.DIRECTORY),
        (info.issym(), Kind.SYMLINK),
        (info.islnk(), Kind.HARDLINK),
        (info.isfifo(), Kind.FIFO),
        (info.ischr(), Kind.CHARACTER),
        (info.isblk(), Kind.BLOCK),
    ):
        if fits:
            return kind
    raise DamagedBackup(f"the payload holds {info.name!r}, a member of an unknown type {info.type!r}")


def _acl(text: str) -> str:
    return ",".join(entry.strip() for entry in text.replace("\n", ",").split(",") if entry.strip())


def _read(reader: PayloadReader, names: Collection[str]) -> dict[str, bytes]:
    wanted = set(names)
    found: dict[str, bytes] = {}
    if not wanted:
        return found
    with closing(reader.members()) as members:
        for member, data in members:
            if member.name in wanted and data is not None:
                found[member.name] = data.read()
                wanted.remove(member.name)
                if not wanted:
                    break
    return found


def _verify(reader: PayloadReader) -> Verified:
    members = total = files = 0
    instances: dict[str, list[str]] = {}
    for member, data in reader.members():
        members += 1
        total += member.size
        parts = member.name.split("/")
        if parts[0] == layout.FILES:
            files += member.size
        if parts[0] == layout.DATA and len(parts) == 4 and parts[2] == "ldif" and parts[3].endswith(".ldif"):
            instances.setdefault(parts[1], []).append(parts[3][: -len(".ldif")])
        while data is not None and data.read(streams.CHUNK):
            continue
    return Verified(
        members,
        total,
        files,
        tuple(InstanceSummary(name, tuple(sorted(found))) for name, found in sorted(instances.items())),
    )
