"""Arbitrary trees of files, and their comparison."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

NAMES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=30).filter(
    lambda name: name not in (".", "..") and len(name.encode()) <= 120
)
LONG = st.sampled_from(["n" * 99, "n" * 100, "n" * 101, "ü" * 60, "o" * 150])


@dataclass(frozen=True)
class Entry:
    """One path of a tree: what it is, its content or target, mode, attributes, time."""

    kind: str
    content: bytes
    mode: int
    mtime_ns: int
    attributes: tuple[tuple[str, bytes], ...]
    pieces: tuple[tuple[int, bytes], ...]


ENTRIES = st.builds(
    Entry,
    kind=st.sampled_from(["file", "file", "folder", "link", "sparse", "hard", "fifo"]),
    content=st.binary(max_size=2000),
    mode=st.integers(0, 0o7777),
    mtime_ns=st.integers(-(10**18), 4 * 10**18),
    attributes=st.lists(
        st.tuples(
            st.text("abcXYZ%=.é", min_size=1, max_size=10).map(lambda name: "user." + name),
            st.binary(max_size=50),
        ),
        max_size=3,
        unique_by=lambda pair: pair[0],
    ).map(tuple),
    pieces=st.lists(
        st.tuples(st.integers(0, 40).map(lambda number: number * 4096), st.binary(min_size=1, max_size=100)),
        max_size=4,
    ).map(tuple),
)
TREES = st.dictionaries(st.lists(NAMES | LONG, min_size=1, max_size=3).map(tuple), ENTRIES, min_size=1, max_size=10)


def grow(root: Path, tree: dict[tuple[str, ...], Entry]) -> None:
    """Make the tree; a path that lies below something that is no folder is left out."""
    root.mkdir()
    files: list[Path] = []
    made: list[tuple[Path, Entry]] = []
    for parts, entry in tree.items():
        path = root.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(path):
                continue
        except (FileExistsError, NotADirectoryError):
            continue
        if entry.kind == "folder":
            path.mkdir()
        elif entry.kind == "link":
            path.symlink_to(entry.content.hex()[:300] or "nowhere")
        elif entry.kind == "fifo":
            os.mkfifo(path)
        elif entry.kind == "hard" and files:
            os.link(files[0], path)
            continue
        elif entry.kind == "sparse":
            with path.open("wb") as file:
                for offset, data in entry.pieces:
                    file.seek(offset)
                    file.write(data)
                file.truncate(200 * 1024)
            files.append(path)
        else:
            path.write_bytes(entry.content)
            files.append(path)
        made.append((path, entry))
    for path, entry in reversed(made):
        if entry.kind in ("file", "folder", "sparse", "hard"):
            for name, value in entry.attributes:
                os.setxattr(path, name, value)
        if entry.kind != "link":
            path.chmod(entry.mode)
        os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)


def facts(root: Path) -> dict[str, object]:
    """Everything that has to come back, by path."""
    found: dict[str, object] = {}
    inodes: dict[int, str] = {}
    for folder, folders, files in os.walk(root):
        for name in [".", *folders, *files] if folder == str(root) else [*folders, *files]:
            path = Path(folder) / name
            status = path.lstat()
            key = str(path.relative_to(root))
            content: object = None
            if stat.S_ISREG(status.st_mode):
                content = path.read_bytes()
            elif stat.S_ISLNK(status.st_mode):
                content = str(path.readlink())
            linked = None
            if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
                linked = inodes.setdefault(status.st_ino, min(_same(root, status.st_ino)))
            attributes = {
                name: os.getxattr(path, name, follow_symlinks=False)
                for name in os.listxattr(path, follow_symlinks=False)
            }
            owner = (status.st_uid, status.st_gid)
            found[key] = (status.st_mode, owner, status.st_mtime_ns, content, linked, attributes)
    return found


def _same(root: Path, inode: int) -> list[str]:
    return [
        str((Path(folder) / name).relative_to(root))
        for folder, folders, files in os.walk(root)
        for name in (*folders, *files)
        if (Path(folder) / name).lstat().st_ino == inode
    ]
