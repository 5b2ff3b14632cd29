"""The commands that make a realm out of bare hosts: FreeIPA's own, with its own options."""

from __future__ import annotations

from dataclasses import dataclass

from lab.topology import Member, Topology

#: A container cannot set the machine's clock.
NO_CLOCK = "--no-ntp"


@dataclass(frozen=True)
class InstallStep:
    """One installer on one host, and the commands there that have to run before it.

    ``files`` are copied from other hosts first: (host, path), to the same path.
    """

    host: str
    argv: tuple[str, ...]
    prepare: tuple[tuple[str, ...], ...] = ()
    files: tuple[tuple[str, str], ...] = ()


def installation(topology: Topology) -> list[InstallStep]:
    """List the commands that install the realm, in order."""
    steps = []
    for member in topology.members:
        if member.role == "host":
            continue
        files: tuple[tuple[str, str], ...] = ()
        if member.replica_setup == "file":
            steps.append(InstallStep(member.origin, tuple(prepare_command(topology, member))))
            files = ((member.origin, replica_file(topology, member)),)
        steps.append(InstallStep(member.name, tuple(_command(topology, member)), member.prepare, files))
    for pair in topology.agreements:
        steps += [InstallStep(pair[0], argv) for argv in connect_commands(topology, pair)]
    return steps


def connect_commands(topology: Topology, pair: tuple[str, str]) -> list[tuple[str, ...]]:
    """What makes two masters replicate all that both of them have."""
    members = [next(member for member in topology.members if member.name == name) for name in pair]
    hosts = tuple(topology.fqdn(member) for member in members)
    tools = ["ipa-replica-manage"]
    if all("ca" in member.capabilities for member in members):
        tools.append("ipa-csreplica-manage")
    return [(tool, "-p", topology.passwords.directory_manager, "connect", *hosts) for tool in tools]


def replica_file(topology: Topology, member: Member) -> str:
    """Where ipa-replica-prepare puts a replica's file, and where it is copied to."""
    return f"/var/lib/ipa/replica-info-{topology.fqdn(member)}.gpg"


def prepare_command(topology: Topology, member: Member) -> list[str]:
    """What makes a replica's file, on the master that it comes from."""
    return ["ipa-replica-prepare", "-p", topology.passwords.directory_manager, topology.fqdn(member)]


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
        argv = ["ipa-replica-install", "-U"]
        if member.replica_setup == "file":
            argv += ["-p", passwords.directory_manager, "-w", passwords.admin, replica_file(topology, member)]
        else:
            argv += [*where, "-P", "admin", "-w", passwords.admin]
        if "ca" in member.capabilities:
            argv.append("--setup-ca")
    if "dns" in member.capabilities:
        argv += ["--setup-dns", "--no-forwarders"]
    return [*argv, NO_CLOCK, *member.installer_options]
