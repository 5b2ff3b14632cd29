"""Every failure that ends a command, as one tree.

Each class carries the exit status of the command and, as its docstring's first line, what the status means;
``docs/exit-codes.md`` lists them.  A message says what happened; ``state`` says what the host looks like now and
``remedy`` what to do next.

    IpaBackupError                 1
    ├── DirectoryFailure           1   a directory tool or task failed, or did less than it was asked to
    ├── UsageError                 2   wrong words on the command line
    ├── Refused                    3   not on this host, or not now; nothing was changed
    │   ├── NotRoot
    │   ├── NotInstalled
    │   ├── WrongHost
    │   ├── MissingService
    │   ├── Busy
    │   ├── CannotCatchUp
    │   └── Declined
    ├── BadBackup                  4   not a backup, damaged, or of an unknown format
    │   ├── NotABackup
    │   ├── DamagedBackup
    │   └── UnsupportedFormat
    ├── KeyProblem                 5   encryption or decryption is impossible with this key
    │   └── WrongKey
    ├── WrongPassword              6   the Directory Manager password is wrong
    ├── NoSpace                    7   it does not fit
    ├── PeersUnreachable           8   done, but masters could not be reached
    ├── Incomplete                 9   done, but not everything: what is missing is listed
    ├── NotOneRealm               10   the masters differ, or do not replicate with each other
    └── Interrupted              130   a signal ended the command; the host was put back first
"""

from __future__ import annotations


class IpaBackupError(Exception):
    """The operation failed."""

    exit_status = 1

    def __init__(self, message: str, *, state: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.state = state
        self.remedy = remedy

    def __str__(self) -> str:
        *first, last = [part for part in (self.message, self.state, self.remedy) if part] or [""]
        # Messages that end with another program's words have no full stop.
        return " ".join([*(part if part.endswith((".", "?", "!")) else f"{part}." for part in first), last])


class DirectoryFailure(IpaBackupError):
    """A directory tool or task failed, or did less than it was asked to."""


class DirectoryDied(DirectoryFailure):
    """The running directory server ended, or was ended, in the middle of what it was asked to do."""


class UsageError(IpaBackupError):
    """The words on the command line do not fit together."""

    exit_status = 2


class Refused(IpaBackupError):
    """The operation was refused before anything was changed."""

    exit_status = 3


class NotRoot(Refused):
    """Only root can do this."""


class NotInstalled(Refused):
    """No IPA server is configured on this host."""


class WrongHost(Refused):
    """The backup belongs to another host."""


class MissingService(Refused):
    """The backup needs a service that this host does not have."""


class Busy(Refused):
    """Another backup or restore is running."""


class CannotCatchUp(Refused):
    """Other masters can no longer supply what came after the backup, or none could be asked."""


class Declined(Refused):
    """The confirmation was not given."""


class BadBackup(IpaBackupError):
    """The backup cannot be used."""

    exit_status = 4


class NotABackup(BadBackup):
    """The path does not hold a backup."""


class DamagedBackup(BadBackup):
    """The backup is truncated or altered."""


class UnsupportedFormat(BadBackup):
    """The backup has a format version that this program does not know."""


class KeyProblem(IpaBackupError):
    """Encryption or decryption is impossible with this key."""

    exit_status = 5


class WrongKey(KeyProblem):
    """The secret key that opens the payload is not there."""


class WrongPassword(IpaBackupError):
    """The Directory Manager password is wrong."""

    exit_status = 6


class NoSpace(IpaBackupError):
    """A file system has too little free space."""

    exit_status = 7


class PeersUnreachable(IpaBackupError):
    """The operation is done here, but other masters could not be reached."""

    exit_status = 8


class Incomplete(IpaBackupError):
    """The operation went to its end, but something is missing from the result."""

    exit_status = 9


class NotOneRealm(IpaBackupError):
    """The masters differ, or do not replicate with each other."""

    exit_status = 10


class Interrupted(IpaBackupError):
    """A signal ended the operation."""

    exit_status = 130
