"""A compacted copy of an LMDB environment on standard output: ``python lmdb_copy.py FOLDER``.

Free pages are left out and the others come in the order of their keys, which compresses to about half.  It calls the
very library that the directory server uses, so there is no question of versions; and it is a program of its own, so
that whatever goes wrong in there ends this process and nothing else.  Needs nothing but the standard library.

What is copied is the environment as it was when the first bytes appeared, whatever others write to it from then on:
LMDB keeps the pages that a reader needs.  Its lock file, which tells of the reader, is made when it is missing.
"""

from __future__ import annotations

import ctypes
import sys

#: Debian's and Fedora's names of the library.
LIBRARIES = ("liblmdb.so.0", "liblmdb.so.0.0.0", "liblmdb.so")
#: From lmdb.h.
MDB_RDONLY, MDB_CP_COMPACT = 0x20000, 0x01


def main(folder: str) -> int:
    """Write the copy; returns the exit status: 0, or 1 with a message on standard error."""
    try:
        copy(folder, sys.stdout.fileno())
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def copy(folder: str, descriptor: int) -> None:
    """Write a compacted copy of the environment in `folder` to `descriptor`; raises OSError."""
    library = _library()
    environment = ctypes.c_void_p()
    _check(library, library.mdb_env_create(ctypes.byref(environment)))
    try:
        _check(library, library.mdb_env_open(environment, folder.encode(), ctypes.c_uint(MDB_RDONLY), 0o600))
        _check(library, library.mdb_env_copyfd2(environment, ctypes.c_int(descriptor), ctypes.c_uint(MDB_CP_COMPACT)))
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


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: lmdb_copy.py FOLDER")
    sys.exit(main(sys.argv[1]))
