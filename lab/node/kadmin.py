"""kadmin.local with its commands on standard input, so that no password shows in a list of processes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lab.node.run import CommandFailed, Completed, run

# kadmin.local itself ends with 0 whatever its commands did: what it says on standard error is the only sign.
HARMLESS = re.compile(r"(?:WARNING: .*|No policy specified for .*; (?:defaulting to|assigning) .*)?")


def quoted(word: str) -> str:
    """`word` as one argument of a kadmin command."""
    return '"' + word.replace('"', '""') + '"'


def complaints(said: str) -> list[str]:
    """The lines of standard error that mean that a command was not carried out."""
    return [line for line in said.splitlines() if not HARMLESS.fullmatch(line.strip())]


def kadmin_local(commands: Sequence[str], *, secrets: Sequence[str] = ()) -> str:
    """Run the commands against the local database and return what they printed; raise CommandFailed at a
    complaint.
    """
    done = run(["kadmin.local"], input="".join(f"{line}\n" for line in commands), secrets=secrets)
    if complaints(done.stderr):
        raise CommandFailed("kadmin.local", Completed(done.stdout, done.stderr, 1))
    return done.stdout


def new_keytab_entry(principal: str, keytab: str, *, keep_keys: bool = False, enctypes: str = "") -> None:
    """Add the principal's keys to a keytab: new random ones, which make older copies useless, or the
    present ones.
    """
    words = ["ktadd", "-k", keytab]
    if keep_keys:
        words.append("-norandkey")
    elif enctypes:
        words += ["-e", enctypes]
    said = kadmin_local([" ".join([*map(quoted, words), quoted(principal)])])
    if "Entry for principal" not in said:
        raise CommandFailed("kadmin.local", Completed(said, f"no key of {principal} was written to {keytab}", 1))


def set_password(principal: str, password: str) -> None:
    """Give a principal the keys of a password."""
    kadmin_local([f"change_password -pw {quoted(password)} {quoted(principal)}"], secrets=[password, quoted(password)])
