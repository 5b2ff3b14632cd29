"""A fake of host.services: units in a dictionary, and a record of what was done."""

from __future__ import annotations

from ipabackup.host.processes import CommandFailed


class FakeServices:
    """Units by name: ``active`` and ``enabled`` are sets; a unit in ``broken`` cannot be started,
    one in ``unusable`` cannot be enabled.

    ``ipa_units`` are those that ipactl starts and stops.
    """

    def __init__(self, units: set[str] | None = None, *, ipa_running: bool = True, configured: bool = True) -> None:
        self.units = units or set()
        self.active: set[str] = set()
        self.enabled: set[str] = set()
        self.broken: set[str] = set()
        self.unusable: set[str] = set()
        self.ipa_units: set[str] = set()
        self.deeds: list[str] = []
        self.running = ipa_running
        self.configured = configured

    def exists(self, unit: str) -> bool:
        return unit in self.units

    def is_active(self, unit: str) -> bool:
        return unit in self.active

    def is_enabled(self, unit: str) -> bool:
        return unit in self.enabled

    def enabled_units(self) -> tuple[str, ...]:
        return tuple(sorted(self.enabled))

    def start(self, unit: str) -> None:
        self._do(f"start {unit}", unit)
        self.active.add(unit)

    def stop(self, unit: str) -> None:
        self.deeds.append(f"stop {unit}")
        self.active.discard(unit)

    def restart(self, unit: str) -> None:
        self._do(f"restart {unit}", unit)
        self.active.add(unit)

    def enable(self, *units: str) -> None:
        self.deeds.append(f"enable {' '.join(units)}")
        if broken := self.unusable & set(units):
            raise CommandFailed(f"{' and '.join(sorted(broken))} cannot be enabled")
        self.enabled.update(units)

    def disable(self, *units: str) -> None:
        self.deeds.append(f"disable {' '.join(units)}")
        self.enabled.difference_update(units)

    def daemon_reload(self) -> None:
        self.deeds.append("daemon-reload")

    def ipa_configured(self) -> bool:
        return self.configured

    def ipa_running(self) -> bool:
        return self.running

    def ipa_start(self) -> None:
        self._do("ipactl start", "ipa")
        self.running = True
        self.active |= self.ipa_units

    def ipa_stop(self) -> None:
        self.deeds.append("ipactl stop")
        self.running = False
        self.active -= self.ipa_units

    def _do(self, deed: str, unit: str) -> None:
        self.deeds.append(deed)
        if unit in self.broken:
            raise CommandFailed(f"{unit} did not start")
