"""What LMDB's own library does with an environment, as a program of its own.

    python lmdb_tool.py copy FOLDER             a compacted copy on standard output
    python lmdb_tool.py entries FOLDER NAME     the number of entries in one of its databases

A compacted copy leaves free pages out and has the others in the order of their keys, so it compresses to about half.
What is copied is the environment as it was when the first bytes appeared, whatever others write to it from then on:
LMDB keeps the pages that a reader needs.  Its lock file, which tells of the reader, is made when it is missing.

The library is the very one that the directory server uses, so there is no question of versions; and whatever goes wrong
in there ends this process and nothing else.  Needs nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Debian's and Fedora's names of the library.
LIBRARIES = ("liblmdb.so.0", "liblmdb.so.0.0.0", "liblmdb.so")
#: From lmdb.h.
MDB_RDONLY, MDB_CP_COMPACT = 0x20000, 0x01
_MOST_DATABASES = 4096


class _Stat(ctypes.Structure):
    """MDB_stat of lmdb.h."""

    _fields_ = (
        *((name, ctypes.c_uint) for name in ("psize", "depth")),
        *((name, ctypes.c_size_t) for name in ("branch_pages", "leaf_pages", "overflow_pages", "entries")),
    )


def copy(folder: str, descriptor: int) -> None:
    """Write a compacted copy of the environment in `folder` to `descriptor`; raises OSError."""
    library = _library()
    with _environment(library, folder) as environment:
        _check(library, library.mdb_env_copyfd2(environment, ctypes.c_int(descriptor), ctypes.c_uint(MDB_CP_COMPACT)))


def entries(folder: str, name: str) -> int:
    """The number of entries in the database `name` of the environment in `folder`; raises OSError."""
    library = _library()
    with _environment(library, folder) as environment:
        transaction, database, found = ctypes.c_void_p(), ctypes.c_uint(), _Stat()
        begin = library.mdb_txn_begin(environment, None, ctypes.c_uint(MDB_RDONLY), ctypes.byref(transaction))
        _check(library, begin)
        _check(library, library.mdb_dbi_open(transaction, name.encode(), ctypes.c_uint(0), ctypes.byref(database)))
        _check(library, library.mdb_stat(transaction, database, ctypes.byref(found)))
        return int(found.entries)


@contextmanager
def _environment(library: ctypes.CDLL, folder: str) -> Iterator[ctypes.c_void_p]:
    environment = ctypes.c_void_p()
    _check(library, library.mdb_env_create(ctypes.byref(environment)))
    try:
        _check(library, library.mdb_env_set_maxdbs(environment, ctypes.c_uint(_MOST_DATABASES)))
        _check(library, library.mdb_env_open(environment, folder.encode(), ctypes.c_uint(MDB_RDONLY), 0o600))
        yield environment
    finally:
        library.mdb_env_close(environment)


def _library() -> ctypes.CDLL:
    for name in LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.mdb_strerror.restype = ctypes.c_char_p
        library.mdb_env_close.argtypes = [ctypes.c_void_p]
        library.mdb_env_close.restype = None
        return library
    raise OSError("the library liblmdb is not installed")


def _check(library: ctypes.CDLL, status: int) -> None:
    if status != 0:
        raise OSError(f"LMDB: {library.mdb_strerror(status).decode('utf-8', 'replace')}")


def main(words: list[str]) -> int:
    """Do what the words say; returns the exit status: 0, 1 with a message on standard error, 2 for wrong words."""
    try:
        if len(words) == 2 and words[0] == "copy":
            copy(words[1], sys.stdout.fileno())
        elif len(words) == 3 and words[0] == "entries":
            print(entries(words[1], words[2]))
        else:
            print("usage: lmdb_tool.py copy FOLDER | entries FOLDER NAME", file=sys.stderr)
            return 2
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
