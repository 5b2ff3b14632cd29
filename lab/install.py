"""The commands that make a realm out of bare hosts: FreeIPA's own, with its own options."""

from __future__ import annotations

from dataclasses import dataclass

from lab.topology import Member, Topology

#: A container cannot set the machine's clock.
NO_CLOCK = "--no-ntp"


@dataclass(frozen=True)
class InstallStep:
    """One installer on one host, and the commands there that have to run before it."""

    host: str
    argv: tuple[str, ...]
    prepare: tuple[tuple[str, ...], ...] = ()


def installation(topology: Topology) -> list[InstallStep]:
    """List the commands that install the realm, in order."""
    return [InstallStep(member.name, tuple(_command(topology, member)), member.prepare) for member in topology.members]


def _command(topology: Topology, member: Member) -> list[str]:
    passwords = topology.passwords
    if member.role == "server":
        argv = ["ipa-server-install", "-U", "-r", topology.realm, "-n", topology.domain]
        argv += [
            "-p",
            passwords.directory_manager,
            "-a",
            passwords.admin,
            "--hostname",
            topology.fqdn(member),
        ]
    else:
        origin = next(other for other in topology.members if other.name == member.origin)
        where = ["--server", topology.fqdn(origin), "--domain", topology.domain, "--realm", topology.realm]
        if member.role == "client":
            join = ["-p", "admin", "-w", passwords.admin]
            return ["ipa-client-install", "-U", *where, *join, NO_CLOCK, *member.installer_options]
        argv = ["ipa-replica-install", "-U", *where, "-P", "admin", "-w", passwords.admin]
        if "ca" in member.capabilities:
            argv.append("--setup-ca")
    if "dns" in member.capabilities:
        argv += ["--setup-dns", "--no-forwarders"]
    return [*argv, NO_CLOCK, *member.installer_options]
