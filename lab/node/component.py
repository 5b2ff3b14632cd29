"""The parts that an installation is made of, and what is handed to each of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lab.node.facts import InstallOptions, RealmFacts
from lab.node.files import write_file
from lab.node.sysrestore import Sysrestore

if TYPE_CHECKING:
    from lab.node.install.server_certificates import GivenCertificates

log = logging.getLogger(__name__)
Step = tuple[str, Callable[[], object]]


@dataclass
class Install:
    """One run of the installer (or of its undoing) on this host.

    `certificates` were brought along by the administrator of a server without an authority of its own.
    """

    facts: RealmFacts
    options: InstallOptions
    sysrestore: Sysrestore = field(default_factory=Sysrestore)
    out: Callable[[str], None] = print
    certificates: GivenCertificates | None = None

    @property
    def dm_password(self) -> str:
        return self.options.dm_password

    @property
    def admin_password(self) -> str:
        return self.options.admin_password

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not show in a log."""
        return tuple(s for s in (self.dm_password, self.admin_password) if s)

    def progress(self, text: str) -> None:
        """One line for whoever watches, and for the log."""
        log.info("%s", text)
        self.out(text)

    def put_file(
        self,
        path: str | Path,
        content: str | bytes,
        *,
        mode: int = 0o644,
        owner: str | int = 0,
        group: str | int = 0,
    ) -> None:
        """Write a file that an uninstall takes back: what was there before is saved first."""
        self.sysrestore.save(path)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_file(path, content, mode=mode, owner=owner, group=group)

    def run_steps(self, title: str, steps: Sequence[Step]) -> None:
        """Do the steps in order, announcing each in FreeIPA's form; the first that raises ends it."""
        self.progress(f"Configuring {title}")
        name = title.split(". Estimated", 1)[0]
        for number, (text, deed) in enumerate(steps, 1):
            self.progress(f"  [{number}/{len(steps)}]: {text}")
            deed()
        self.progress(f"Done configuring {name}.")


class Component(Protocol):
    """A part of a server: `configure` makes it and leaves it running, `unconfigure` stops it and takes it
    away again.

    `unconfigure` also has to cope with a part that was configured half or not at all.
    """

    name: str
    title: str

    def configure(self, install: Install) -> None: ...

    def unconfigure(self, install: Install) -> None: ...
