"""The zone files, and telling named about them."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

from lab.node.dns.layout import ZONE_LIST, ZONES, zone_file
from lab.node.dns.records import Zone, next_serial, zones_of
from lab.node.ldapi import Directory, escape_dn

log = logging.getLogger("ipa-dnssyncd")
RNDC_LIMIT = 10


class ZoneFiles:
    """What is on disk now. Nothing is rewritten unless its content changed."""

    def __init__(self, folder: Path = ZONES, tell: Callable[..., None] | None = None) -> None:
        """`tell` gets the words of an rndc command; without it rndc is run."""
        self._present: dict[str, Zone] = {}
        self._folder = folder
        self._tell = tell or _rndc
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)

    @property
    def names(self) -> list[str]:
        return sorted(self._present)

    def bring_up_to(self, directory: Directory, base: str) -> None:
        """Read all zones below `base`; write, reload and number those that changed. LDAP errors pass through."""
        wanted = {zone.name: zone for zone in zones_of(directory.search(base)) if zone.active}
        renewed = [zone for zone in wanted.values() if self._differs(zone)]
        serials = {zone.name: self._write(zone) for zone in renewed}
        if set(wanted) != set(self._present) or not (self._folder / ZONE_LIST.name).exists():
            self._list(sorted(wanted))
            for name in set(self._present) - set(wanted):
                zone_file(name, self._folder).unlink(missing_ok=True)
            self._tell("reconfig")
        for zone in renewed:
            if zone.name in self._present:
                self._tell("reload", zone.name)
            log.info("zone %s: serial %d, %d records", zone.name, serials[zone.name], len(zone.lines))
        self._present = wanted
        for zone in renewed:
            if serials[zone.name] != zone.serial:
                directory.replace(f"idnsName={escape_dn(zone.name)},{base}", {"idnsSOAserial": serials[zone.name]})

    def _differs(self, zone: Zone) -> bool:
        known = self._present.get(zone.name)
        return known is None or known.text(0) != zone.text(0)

    def _write(self, zone: Zone) -> int:
        """Write a zone's file; its serial, which grows unless the file said the same before."""
        path = zone_file(zone.name, self._folder)
        if path.exists() and path.read_text(encoding="utf-8") == zone.text(zone.serial):
            return zone.serial
        serial = next_serial(zone.serial)
        _replace(path, zone.text(serial))
        return serial

    def _list(self, names: list[str]) -> None:
        lines = [f'zone "{name}" {{ type primary; file "{zone_file(name, self._folder)}"; }};' for name in names]
        _replace(self._folder / ZONE_LIST.name, "\n".join(lines) + "\n")


def _replace(path: Path, content: str) -> None:
    draft = path.with_name(path.name + ".new")
    draft.write_text(content, encoding="utf-8")
    draft.replace(path)


def _rndc(*words: str) -> None:
    """Tell named. One that does not run reads the files when it starts."""
    done = subprocess.run(
        ["/usr/sbin/rndc", *words], capture_output=True, check=False, encoding="utf-8", timeout=RNDC_LIMIT
    )
    if done.returncode != 0 and "connection refused" not in done.stderr:
        log.warning("rndc %s: %s", " ".join(words), done.stderr.strip())
