"""Starting and stopping the services of a master as one: what ipactl does.

What is printed and which exit statuses are meant are FreeIPA's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from lab.node.files import remove_file, write_file
from lab.node.install.checks import Refused
from lab.node.masters import BY_NAME, MasterService
from lab.node.run import CommandFailed

SERVICES_LIST = Path("/run/ipa/services.list")
DIRECTORY = "dirsrv"
FAILED, NOT_RUNNING, UNKNOWN = 1, 3, 4


class Units(Protocol):
    """What starts and stops units: the module lab.node.services, or a test's stand-in. Failures are CommandFailed."""

    def start(self, unit: str) -> None: ...

    def stop(self, unit: str) -> None: ...

    def restart(self, unit: str) -> None: ...

    def is_active(self, unit: str) -> bool: ...


class Control:
    """The services of one master.

    `directory_units` run the directory server's instances, in start order; `listed` asks the first one for the other
    services in start order (Refused when it does not answer). `go_on` skips over services that fail to start.
    `services_list` keeps the list for the time when the directory is down.
    """

    def __init__(
        self,
        units: Units,
        directory_units: Sequence[str],
        listed: Callable[[], list[MasterService]],
        *,
        go_on: bool = False,
        services_list: Path = SERVICES_LIST,
    ) -> None:
        self.units = units
        self.directory_units = tuple(directory_units)
        self.listed = listed
        self.go_on = go_on
        self.services_list = services_list

    def start(self) -> None:
        """Start the directory, then what it lists; when one fails, stop all again unless told to go on."""
        if self.services_list.exists():
            _complain("Existing service file detected!\nAssuming stale, cleaning and proceeding")
            remove_file(self.services_list)
        self._start_directory()
        listed = self._note(self.listed())
        for service in listed:
            self._act("Starting", "start", service, listed)

    def stop(self) -> None:
        """Stop in reverse, the directory last; what is down already is no obstacle. Refused when something stays up."""
        failed = []
        for service in reversed(self._known()):
            _say(f"Stopping {service.name} Service")
            try:
                self.units.stop(service.unit)
            except CommandFailed as error:
                failed.append(f"Failed to stop {service.name} Service: {error}")
        _say("Stopping Directory Service")
        for unit in reversed(self.directory_units):
            try:
                self.units.stop(unit)
            except CommandFailed as error:
                failed.append(f"Failed to stop Directory Service: {error}")
        if failed:
            raise Refused("\n".join(failed), FAILED)
        remove_file(self.services_list)

    def restart(self) -> None:
        """Restart all, and stop what is not listed any more."""
        before = self._known()
        for service in reversed(before):
            # They hold connections to the directory; its restart under them would fail their requests.
            if self.units.is_active(service.unit):
                self.units.stop(service.unit)
        if self.units.is_active(self.directory_units[0]):
            _say("Restarting Directory Service")
            try:
                for unit in self.directory_units:
                    self.units.restart(unit)
            except CommandFailed as error:
                raise Refused(f"Failed to restart Directory Service: {error}", FAILED) from error
        else:
            self._start_directory()
        listed = self._note(self.listed())
        for service in listed:
            self._act("Restarting" if service in before else "Starting", "restart", service, listed)

    def status(self) -> None:
        """Print each service's state; Refused with NOT_RUNNING when one does not run."""
        running = all(self.units.is_active(unit) for unit in self.directory_units)
        try:
            known = self._known()
        except Refused as refusal:
            raise Refused(f"Failed to get list of services to probe status: {refusal}", UNKNOWN) from refusal
        _say(f"Directory Service: {'RUNNING' if running else 'STOPPED'}")
        if not running and not known:
            raise Refused("Directory Service must be running in order to obtain status of other services", NOT_RUNNING)
        stopped = 0 if running else 1
        for service in known:
            active = self.units.is_active(service.unit)
            stopped += not active
            _say(f"{service.name} Service: {'RUNNING' if active else 'STOPPED'}")
        if stopped:
            raise Refused(f"{stopped} service(s) are not running", NOT_RUNNING)

    def _start_directory(self) -> None:
        _say("Starting Directory Service")
        try:
            for unit in self.directory_units:
                self.units.start(unit)
        except CommandFailed as error:
            raise Refused(f"Failed to start Directory Service: {error}", FAILED) from error

    def _act(self, title: str, verb: str, service: MasterService, listed: Sequence[MasterService]) -> None:
        _say(f"{title} {service.name} Service")
        try:
            (self.units.start if verb == "start" else self.units.restart)(service.unit)
        except CommandFailed as error:
            _complain(f"Failed to {verb} {service.name} Service\n{error}")
            if self.go_on:
                _complain(f"Forced start, ignoring {service.name} Service, continuing normal operation")
                return
            _complain("Shutting down")
            for other in reversed(listed):
                self.units.stop(other.unit)
            for unit in reversed(self.directory_units):
                self.units.stop(unit)
            remove_file(self.services_list)
            _complain(
                "Hint: You can use --ignore-service-failures option for forced start in case that a non-critical "
                "service failed"
            )
            raise Refused("Aborting ipactl", FAILED) from error

    def _known(self) -> list[MasterService]:
        """The services of this server: from the directory while it runs, else as they were last started."""
        if self.units.is_active(self.directory_units[0]):
            return self.listed()
        if not self.services_list.exists():
            return []
        try:
            names = json.loads(self.services_list.read_text())
        except ValueError as error:
            raise Refused(f"{self.services_list} is damaged: {error}", UNKNOWN) from error
        return [BY_NAME[name] for name in names if name in BY_NAME]

    def _note(self, listed: list[MasterService]) -> list[MasterService]:
        self.services_list.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_file(self.services_list, json.dumps([DIRECTORY, *(service.name for service in listed)]))
        return listed


def _say(text: str) -> None:
    print(text, flush=True)


def _complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
