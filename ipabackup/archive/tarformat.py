"""Encoding members as POSIX (pax) tar headers that GNU tar restores with all their metadata.

The standard library's tarfile writes pax headers too, but marks every one that holds a binary value with a
charset that GNU tar warns about, and knows nothing of sparse files when writing.
"""

from __future__ import annotations

from ipabackup.archive.member import Kind, Member

BLOCK = 512
RECORD = 20 * BLOCK
"""tar pads an archive to a multiple of this."""

_TYPES = {
    Kind.FILE: b"0",
    Kind.HARDLINK: b"1",
    Kind.SYMLINK: b"2",
    Kind.CHARACTER: b"3",
    Kind.BLOCK: b"4",
    Kind.DIRECTORY: b"5",
    Kind.FIFO: b"6",
}
_LARGEST_OCTAL = 8**11 - 1
_LARGEST_ID = 8**7 - 1


def raw(text: str) -> bytes:
    """A name as the file system has it."""
    return text.encode("utf-8", "surrogateescape")


def padding(size: int) -> bytes:
    """What fills ``size`` bytes of data up to a whole block."""
    return b"\0" * (-size % BLOCK)


def stored_size(member: Member) -> int:
    """The bytes of data that follow the header: less than the size when there are holes, plus the map of
    them.
    """
    if member.kind is not Kind.FILE:
        return 0
    if member.data_map is None:
        return member.size
    return len(sparse_map(member)) + sum(length for _, length in member.data_map)


def sparse_map(member: Member) -> bytes:
    """The map that stands before the data of a file with holes (GNU sparse format 1.0), padded to whole
    blocks.
    """
    pieces = list(member.data_map or ())
    # A hole at the end is told by an empty piece at the file's size, as GNU tar does.
    if not pieces or pieces[-1][0] + pieces[-1][1] < member.size:
        pieces.append((member.size, 0))
    lines = [str(len(pieces))] + [str(number) for piece in pieces for number in piece]
    text = ("\n".join(lines) + "\n").encode("ascii")
    return text + padding(len(text))


def header(member: Member) -> bytes:
    """The member's header blocks: a pax header with what the plain one cannot hold, then the plain one."""
    records = _records(member)
    name = raw(member.name) + (b"/" if member.kind is Kind.DIRECTORY else b"")
    blocks = b""
    if records:
        body = b"".join(_record(key, value) for key, value in records)
        blocks = _plain(b"PaxHeaders/" + name[-80:], b"x", len(body), 0o600) + body + padding(len(body))
    if member.data_map is not None:
        name = b"GNUSparseFile.0/" + name[-80:]
    return blocks + _plain(
        name,
        _TYPES[member.kind],
        stored_size(member),
        member.mode,
        uid=member.uid,
        gid=member.gid,
        mtime=member.mtime_ns // 10**9,
        link=raw(member.link_target),
        uname=raw(member.uname),
        gname=raw(member.gname),
        device=member.device,
    )


def _records(member: Member) -> list[tuple[bytes, bytes]]:
    return [*_place(member), *_numbers(member), *_security(member)]


def _place(member: Member) -> list[tuple[bytes, bytes]]:
    """Names, and what a map of holes needs."""
    records: list[tuple[bytes, bytes]] = []
    name = raw(member.name) + (b"/" if member.kind is Kind.DIRECTORY else b"")
    if member.data_map is not None:
        records += [
            (b"GNU.sparse.major", b"1"),
            (b"GNU.sparse.minor", b"0"),
            (b"GNU.sparse.name", name),
            (b"GNU.sparse.realsize", str(member.size).encode()),
        ]
    elif len(name) > 100 or not name.isascii():
        records.append((b"path", name))
    link = raw(member.link_target)
    if len(link) > 100 or not link.isascii():
        records.append((b"linkpath", link))
    for key, text in ((b"uname", raw(member.uname)), (b"gname", raw(member.gname))):
        if len(text) > 31 or not text.isascii():
            records.append((key, text))
    return records


def _numbers(member: Member) -> list[tuple[bytes, bytes]]:
    """What is too large, or too exact, for the plain header's octal digits."""
    records: list[tuple[bytes, bytes]] = []
    # tarfile takes the next header's place from a pax size, which with a map of holes is the wrong one:
    # then the plain header carries it in base 256, which every tar in use reads.
    if member.data_map is None and stored_size(member) > _LARGEST_OCTAL:
        records.append((b"size", str(member.size).encode()))
    for key, number in ((b"uid", member.uid), (b"gid", member.gid)):
        if number > _LARGEST_ID:
            records.append((key, str(number).encode()))
    if member.mtime_ns % 10**9 or not 0 <= member.mtime_ns // 10**9 <= _LARGEST_OCTAL:
        records.append((b"mtime", _seconds(member.mtime_ns)))
    return records


def _security(member: Member) -> list[tuple[bytes, bytes]]:
    """Labels, access control lists and extended attributes, under the keywords that GNU tar uses."""
    records: list[tuple[bytes, bytes]] = []
    for key, text in (
        (b"RHT.security.selinux", member.selinux),
        (b"SCHILY.acl.access", member.acl_access),
        (b"SCHILY.acl.default", member.acl_default),
    ):
        if text:
            records.append((key, raw(text)))
    for attribute, value in sorted(member.xattrs.items()):
        records.append((b"SCHILY.xattr." + _keyword(raw(attribute)), value))
    return records


def _keyword(name: bytes) -> bytes:
    """GNU tar writes ``%`` and ``=`` in an attribute's name as escapes, since ``=`` ends the keyword."""
    return name.replace(b"%", b"%25").replace(b"=", b"%3D")


def attribute_name(keyword: str) -> str:
    """The attribute's name behind a keyword: the reverse of what the writer does."""
    return keyword.replace("%3D", "=").replace("%25", "%")


def _seconds(nanoseconds: int) -> bytes:
    sign = b"-" if nanoseconds < 0 else b""
    whole, rest = divmod(abs(nanoseconds), 10**9)
    return sign + f"{whole}.{rest:09d}".encode()


def nanoseconds(text: str) -> int:
    """The time of a pax record, exactly: a float would lose digits.  Raises ValueError."""
    whole, _, rest = text.strip().lstrip("+-").partition(".")
    if not (whole + rest).isascii() or not (whole + rest).isdigit():
        raise ValueError(f"not a time: {text!r}")
    value = int(whole or "0") * 10**9 + int(rest[:9].ljust(9, "0"))
    return -value if text.strip().startswith("-") else value


def _record(key: bytes, value: bytes) -> bytes:
    """``LENGTH KEY=VALUE\\n``, where the length counts its own digits."""
    bare = len(key) + len(value) + 3
    length = bare + len(str(bare))
    if len(str(length)) != len(str(bare)):
        length = bare + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


def _plain(
    name: bytes,
    kind: bytes,
    size: int,
    mode: int,
    *,
    uid: int = 0,
    gid: int = 0,
    mtime: int = 0,
    link: bytes = b"",
    uname: bytes = b"",
    gname: bytes = b"",
    device: tuple[int, int] = (0, 0),
) -> bytes:
    """One header block in ustar form; what does not fit is cut, since a pax header then holds the whole."""
    fields = [
        name[:100].ljust(100, b"\0"),
        _octal(mode & 0o7777, 8),
        _octal(uid if uid <= _LARGEST_ID else 0, 8),
        _octal(gid if gid <= _LARGEST_ID else 0, 8),
        _octal(size, 12) if size <= _LARGEST_OCTAL else b"\x80" + size.to_bytes(11, "big"),
        _octal(min(max(mtime, 0), _LARGEST_OCTAL), 12),
        b" " * 8,
        kind,
        link[:100].ljust(100, b"\0"),
        b"ustar\x0000",
        uname[:31].ljust(32, b"\0"),
        gname[:31].ljust(32, b"\0"),
        _octal(device[0], 8),
        _octal(device[1], 8),
        b"\0" * 155,
        b"\0" * 12,
    ]
    block = b"".join(fields)
    checksum = b"%06o\0 " % sum(block)
    return block[:148] + checksum + block[156:]


def _octal(number: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, number)
