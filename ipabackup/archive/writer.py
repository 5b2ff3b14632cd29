"""Writing a payload of format 2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ipabackup.archive.gpg import Keyring
from ipabackup.archive.member import Finding


@dataclass(frozen=True)
class Sealed:
    """A finished payload.  Sizes in bytes; ``size`` and ``sha256`` are those of the file, as the header
    records them.
    """

    path: Path
    size: int
    sha256: str
    uncompressed_size: int
    members: int
    findings: tuple[Finding, ...]


class PayloadWriter:
    """Writes one payload in a single pass: tar, zstd, GnuPG when asked for, file; digests are taken as it
    goes by.
    """

    def __init__(
        self,
        target: Path,
        *,
        level: int = 3,
        threads: int = -1,
        keyring: Keyring | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Open ``target`` (must not exist; 0600).  ``progress`` gets the bytes of file data archived so
        far.
        """
        raise NotImplementedError

    def add_path(self, path: Path, name: str) -> None:
        """Add what ``path`` is (a folder without its contents) as the member ``name``."""

    def add_tree(self, path: Path, name: str, *, exclude: Callable[[str], bool] | None = None) -> None:
        """Add ``path`` and all below it; ``exclude`` gets absolute paths, and hides a folder with its
        contents.
        """

    def add_bytes(self, name: str, data: bytes, *, mode: int = 0o600) -> None:
        """Add a regular file of root's with this content."""

    def add_stream(self, name: str, source: BinaryIO, size: int, *, mode: int = 0o600) -> None:
        """Add a regular file of root's with exactly ``size`` bytes from ``source``."""

    def close(self) -> Sealed:
        """Write the manifest, finish the stream, bring it to the disk."""
        raise NotImplementedError

    def abort(self) -> None:
        """Stop the pipeline and remove the file."""
