"""What was on the host before the installation, kept in /var/lib/ipa/sysrestore so that an uninstall can
put it back.

`sysrestore.index` lists saved files as FreeIPA does, `HASH-NAME = MODE,UID,GID,PATH` with the mode in
decimal; files that were not there before stand in a section of their own. `sysrestore.state` holds named
values by section, True and False for booleans.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import shutil
from pathlib import Path

from lab.node.files import remove_file, write_file

SYSRESTORE = Path("/var/lib/ipa/sysrestore")


class Sysrestore:
    """The saved files and values in one folder; every change is on disk when a call returns."""

    def __init__(self, folder: Path = SYSRESTORE) -> None:
        self.folder = folder
        self._index = self._read("sysrestore.index")
        self._state = self._read("sysrestore.state")

    def save(self, path: str | Path) -> None:
        """Keep `path` as it is now; the first call for a path counts. A path that does not exist is noted
        as such.
        """
        target = Path(path)
        if self.has_file(target):
            return
        key = self._key(target)
        if not target.exists():
            self._put(self._index, "absent", key, str(target))
        else:
            facts = target.stat()
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copy2(target, self.folder / key)
            self._put(self._index, "files", key, f"{facts.st_mode},{facts.st_uid},{facts.st_gid},{target}")
        self._write("sysrestore.index", self._index)

    def has_file(self, path: str | Path) -> bool:
        """Whether `path` was saved, or noted as not existing."""
        key = self._key(Path(path))
        return any(self._index.has_option(section, key) for section in ("files", "absent"))

    def restore(self, path: str | Path) -> bool:
        """Put `path` back as it was and forget it; False when it had never been saved."""
        target = Path(path)
        key = self._key(target)
        if self._index.has_option("absent", key):
            remove_file(target)
            self._index.remove_option("absent", key)
        elif self._index.has_option("files", key):
            mode, uid, gid, _ = self._index.get("files", key).split(",", 3)
            target.parent.mkdir(parents=True, exist_ok=True)
            saved = self.folder / key
            write_file(target, saved.read_bytes(), mode=int(mode) & 0o7777, owner=int(uid), group=int(gid))
            times = saved.stat()
            os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
            self._index.remove_option("files", key)
            saved.unlink()
        else:
            return False
        self._write("sysrestore.index", self._index)
        return True

    def files(self) -> list[Path]:
        """Every path that would be put back or removed, in the order in which it was saved."""
        saved = [value.split(",", 3)[3] for _, value in self._items(self._index, "files")]
        return [Path(name) for name in saved + [value for _, value in self._items(self._index, "absent")]]

    def restore_all(self) -> list[Path]:
        """Put back every file that is left; return their paths."""
        left = self.files()
        for path in left:
            self.restore(path)
        return left

    def set_state(self, section: str, key: str, value: str | bool) -> None:
        self._put(self._state, section, key, str(value))
        self._write("sysrestore.state", self._state)

    def state(self, section: str, key: str) -> str | None:
        """The value kept under this name ("True" and "False" for booleans), or None."""
        return self._state.get(section, key, fallback=None)

    def pop_state(self, section: str, key: str) -> str | None:
        """The value, which is forgotten afterwards."""
        value = self.state(section, key)
        if value is not None:
            self._state.remove_option(section, key)
            self._write("sysrestore.state", self._state)
        return value

    def forget_state(self) -> None:
        """Forget every value: nothing is installed any more."""
        for section in self._state.sections():
            self._state.remove_section(section)
        self._write("sysrestore.state", self._state)

    def has_state(self, section: str) -> bool:
        return bool(self._items(self._state, section))

    def is_empty(self) -> bool:
        """Whether nothing is kept: no server was installed here, or it was removed completely."""
        return not self.files() and not any(self._items(self._state, s) for s in self._state.sections())

    @staticmethod
    def _key(path: Path) -> str:
        return f"{hashlib.sha256(str(path).encode()).hexdigest()}-{path.name}"

    @staticmethod
    def _items(parser: configparser.RawConfigParser, section: str) -> list[tuple[str, str]]:
        return list(parser.items(section)) if parser.has_section(section) else []

    @staticmethod
    def _put(parser: configparser.RawConfigParser, section: str, key: str, value: str) -> None:
        if not parser.has_section(section):
            parser.add_section(section)
        parser.set(section, key, value)

    def _read(self, name: str) -> configparser.RawConfigParser:
        parser = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#",))
        parser.optionxform = str  # type: ignore[method-assign,assignment]
        parser.read(self.folder / name)
        return parser

    def _write(self, name: str, parser: configparser.RawConfigParser) -> None:
        for section in parser.sections():
            if not parser.options(section):
                parser.remove_section(section)
        if not parser.sections():
            (self.folder / name).unlink(missing_ok=True)
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.folder / f".{name}"
        with draft.open("w", encoding="utf-8") as stream:
            parser.write(stream)
        draft.chmod(0o644)
        draft.replace(self.folder / name)
