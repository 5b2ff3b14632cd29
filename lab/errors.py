"""What can go wrong on the lab's side: ``python -m lab`` prints the message and exits with the status."""

from __future__ import annotations


class LabError(Exception):
    """Something in the lab failed."""

    exit_status = 1


class BadTopology(LabError):
    """A lab file does not describe a realm."""

    exit_status = 2


class NoEngine(LabError):
    """No container engine answers."""

    exit_status = 3


class NoSuchLab(LabError):
    """No lab, or no host in it, has that name."""

    exit_status = 4


class ImageError(LabError):
    """An image could not be made or found."""

    exit_status = 5


class TimedOut(LabError):
    """A state was waited for and did not come within its limit."""

    exit_status = 6


class CommandFailed(LabError):
    """A command inside a host ended with another status than 0."""

    exit_status = 7


class FaultImpossible(LabError):
    """A fault cannot be made here: the kernel, the engine or the host's image lacks what it takes."""

    exit_status = 8
