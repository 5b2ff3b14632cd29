"""systemd's units and IPA's own service control."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ipabackup.host.processes import DEFAULT_TIMEOUT, CommandFailed, CommandMissing, Completed, Processes


class Services(Protocol):
    """Starts, stops and asks about units.  Deeds raise CommandFailed; questions never do."""

    def exists(self, unit: str) -> bool:
        """True when systemd can load the unit (masked ones do not count)."""
        ...

    def is_active(self, unit: str) -> bool:
        """True when the unit runs."""
        ...

    def is_enabled(self, unit: str) -> bool:
        """True when the unit is started at boot in whatever way."""
        ...

    def enabled_units(self) -> tuple[str, ...]:
        """Every unit that is started at boot."""
        ...

    def start(self, unit: str) -> None:
        """Start the unit and wait until systemd says that it runs."""
        ...

    def stop(self, unit: str) -> None:
        """Stop the unit and wait until it has stopped."""
        ...

    def restart(self, unit: str) -> None:
        """Stop and start the unit."""
        ...

    def enable(self, *units: str) -> None:
        """Start the units at boot from now on."""
        ...

    def disable(self, *units: str) -> None:
        """Do not start the units at boot from now on."""
        ...

    def daemon_reload(self) -> None:
        """Have systemd read its unit files again."""
        ...

    def ipa_configured(self) -> bool:
        """True when ipactl says that IPA is configured here."""
        ...

    def ipa_running(self) -> bool:
        """True when at least one of IPA's services runs."""
        ...

    def ipa_start(self) -> None:
        """Start all of IPA's services; fails when one of them does not start."""
        ...

    def ipa_stop(self) -> None:
        """Stop all of IPA's services."""
        ...


def start_all(services: Services, units: Iterable[str]) -> None:
    """Start each of the units, also those behind one that does not start; raises CommandFailed with what was said."""
    failed = []
    for unit in units:
        try:
            services.start(unit)
        except CommandFailed as error:
            failed.append(error)
    if failed:
        raise CommandFailed("\n".join(str(error) for error in failed), failed[0].completed)


_IPACTL_NOT_CONFIGURED = 4
#: Seconds for a deed.  systemd and ipactl have limits of their own, which are the units' and the server's matter: 389
#: DS may take as long as it likes to start, and ten minutes to stop.  An ipactl that is ended too early leaves some of
#: the services stopped.
_PATIENCE = 3600.0


class SystemServices:
    """Services by way of systemctl and ipactl."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    def exists(self, unit: str) -> bool:
        """See Services."""
        shown = self._ask("show", "--property=LoadState", "--value", "--", unit)
        return shown.stdout.strip() == "loaded"

    def is_active(self, unit: str) -> bool:
        """See Services."""
        return self._ask("is-active", "--quiet", "--", unit).ok

    def is_enabled(self, unit: str) -> bool:
        """See Services."""
        return self._ask("is-enabled", "--", unit).stdout.strip() in ("enabled", "enabled-runtime", "alias")

    def enabled_units(self) -> tuple[str, ...]:
        """See Services."""
        listed = self._ask("list-unit-files", "--state=enabled", "--no-legend", "--no-pager", "--full", "--plain")
        return tuple(line.split()[0] for line in listed.stdout.splitlines() if line.strip())

    def start(self, unit: str) -> None:
        """See Services."""
        self._do("start", "--", unit)

    def stop(self, unit: str) -> None:
        """See Services."""
        self._do("stop", "--", unit)

    def restart(self, unit: str) -> None:
        """See Services."""
        self._do("restart", "--", unit)

    def enable(self, *units: str) -> None:
        """See Services."""
        if units:
            self._do("enable", "--", *units)

    def disable(self, *units: str) -> None:
        """See Services."""
        if units:
            self._do("disable", "--", *units)

    def daemon_reload(self) -> None:
        """See Services."""
        self._do("daemon-reload")

    def ipa_configured(self) -> bool:
        """See Services."""
        try:
            return self._ipactl("status", check=False).status != _IPACTL_NOT_CONFIGURED
        except CommandMissing:
            return False

    def ipa_running(self) -> bool:
        """See Services.

        ipactl prints ``NAME Service: RUNNING`` or ``STOPPED`` a line; its exit status says only whether all
        run.
        """
        try:
            status = self._ipactl("status", check=False)
        except CommandMissing:
            return False
        return any(line.rstrip().endswith(": RUNNING") for line in (status.stdout + status.stderr).splitlines())

    def ipa_start(self) -> None:
        """See Services."""
        self._ipactl("start", timeout=_PATIENCE)

    def ipa_stop(self) -> None:
        """See Services."""
        self._ipactl("stop", timeout=_PATIENCE)

    def _ipactl(self, verb: str, *, check: bool = True, timeout: float = DEFAULT_TIMEOUT) -> Completed:
        return self._processes.run(["ipactl", verb], check=check, timeout=timeout)

    def _ask(self, *words: str) -> Completed:
        return self._processes.run(["systemctl", *words], check=False)

    def _do(self, *words: str) -> None:
        ended = self._processes.run(["systemctl", *words], check=False, timeout=_PATIENCE)
        if not ended.ok:
            raise CommandFailed(f"'systemctl {' '.join(words)}' failed: {ended.said}", ended)
