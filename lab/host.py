"""One host of a lab: a container that boots systemd, and what a scenario does with it."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import docker.errors
from docker.types import Ulimit

from lab.background import BackgroundCommand
from lab.engine import Engine, api_message
from lab.errors import LabError, TimedOut
from lab.execute import THROUGH, CommandResult, execute, output_of, through
from lab.topology import Member, Topology
from lab.waiting import wait_for

if TYPE_CHECKING:
    from docker.models.containers import Container

#: Seconds for systemd to bring a bare host up, for an installed one to answer, and for either to stop.
BOOT_LIMIT, READY_LIMIT, STOP_LIMIT = 60, 120, 90

#: When a connection with a host that was killed or cut off is found out to be dead: after half a minute, not after two
#: hours as by default; and one that cannot be made, after 15 s, not two minutes.  So long 389 DS may wait for an answer
#: in a session that the other side does not know any more, and lets all others wait that need a ticket.
TCP_PATIENCE = {
    "net.ipv4.tcp_keepalive_time": "15",
    "net.ipv4.tcp_keepalive_intvl": "5",
    "net.ipv4.tcp_keepalive_probes": "3",
    "net.ipv4.tcp_syn_retries": "3",
}

#: What a container needs for systemd, and what one needs for a guest's kernel: docs/lab.md says why.
RIGHTS: dict[str, Any] = {
    "cap_add": ["SYS_ADMIN"],
    "cgroupns": "private",
    "security_opt": ["apparmor=unconfined"],
    "sysctls": TCP_PATIENCE,
    "tmpfs": {"/run": "", "/run/lock": "", "/tmp": "exec"},
}
GUEST_RIGHTS: dict[str, Any] = {
    "cap_add": ["NET_ADMIN", "NET_RAW"],
    "tmpfs": {"/run": "", "/tmp": "", "/dev/shm": "exec,size=1g"},
}

#: How much longer a guest has for the same: each start of a process costs it 40 ms.
GUEST_PATIENCE = 4

#: Looks until the realm answers: a ticket from the KDC, and the account through SSSD.  The password comes on
#: the standard input; one command that looks for itself is much cheaper than one command a look.
_UNTIL_READY = """
IFS= read -r password
until printf '%s\\n' "$password" | kinit admin >/tmp/ready.kinit 2>&1 && id admin >/tmp/ready.id 2>&1
do sleep 0.1; done
kdestroy -q
"""


@dataclass(frozen=True)
class Host:
    """A container of a lab, and the address that it has on the lab's network."""

    engine: Engine
    topology: Topology
    member: Member
    container: Container
    address: str

    @property
    def fqdn(self) -> str:
        """The host name."""
        return self.topology.fqdn(self.member)

    @property
    def name(self) -> str:
        """The name inside the lab, without the domain."""
        return self.member.name

    @property
    def instance(self) -> str:
        """The name of the realm's 389 Directory Server instance, as systemd and dsctl use it."""
        return self.topology.realm.replace(".", "-")

    @property
    def is_guest(self) -> bool:
        """Whether the host has a kernel of its own, in its container: see :mod:`lab.guest`."""
        return bool(through(self.container))

    # Commands

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        input: str | bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 300,
    ) -> CommandResult:
        """Run a command as root and wait for its end: see :func:`lab.execute.execute`."""
        return execute(self.container, argv, check=check, input=input, env=env, timeout=timeout)

    def start(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> BackgroundCommand:
        """Start a command as root and go on: it can be sent signals, and waited for."""
        return BackgroundCommand.start(self.container, argv, env=env)

    def kinit(self, principal: str = "admin", password: str | None = None) -> CommandResult:
        """Get a ticket for root's credential cache, as the administrator unless said otherwise."""
        secret = self.topology.passwords.admin if password is None else password
        return self.run(["kinit", principal], input=f"{secret}\n")

    def use_resolvers(self, domain: str, addresses: Sequence[str]) -> None:
        """Have the host ask these DNS servers, now and after its next boots: the engine writes its own at each."""
        lines = [f"search {domain}", *(f"nameserver {address}" for address in addresses)]
        escaped = "".join(f"{line}\\n" for line in lines)
        self.write_file("/etc/tmpfiles.d/lab-resolv.conf", f"f+ /etc/resolv.conf 0644 root root - {escaped}\n")
        self.run(["sh", "-c", "cat >/etc/resolv.conf"], input="\n".join(lines) + "\n")

    @property
    def testinfra(self) -> Any:
        """The host as pytest-testinfra sees it."""
        from lab.inspection import testinfra_host

        return testinfra_host(self.fqdn, self.run)

    # Files

    def write_file(self, path: str, content: str | bytes, *, mode: int = 0o644) -> None:
        """Write a file of root's."""
        data = content.encode() if isinstance(content, str) else content
        target = PurePosixPath(path)
        member = tarfile.TarInfo(target.name)
        member.size, member.mode, member.mtime = len(data), mode, int(time.time())
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.addfile(member, io.BytesIO(data))
        self.unpack(packed.getvalue(), str(target.parent))

    def unpack(self, archive: bytes, into: str) -> None:
        """Unpack a tar archive into a folder that exists."""
        if self.is_guest:
            self.run(["tar", "-x", "-C", into, "-f", "-"], input=archive)
            return
        try:
            self.container.put_archive(into, archive)
        except docker.errors.APIError as error:
            raise LabError(f"On {self.container.name}: cannot write to {into}: {api_message(error)}") from error

    def read_bytes(self, path: str) -> bytes:
        """Read a file; /run, /tmp and /proc included, which the engine's archives cannot see."""
        status, out, err = output_of(self.container, ["cat", "--", path])
        if status != 0:
            raise LabError(f"On {self.container.name}: {err.decode(errors='replace').strip()}")
        return out

    def read_file(self, path: str) -> str:
        """Read a text file."""
        return self.read_bytes(path).decode("utf-8", "replace")

    def put(self, source: Path, target: str) -> None:
        """Copy a file or a tree from this machine into a folder of the host."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(source, arcname=source.name)
        self.unpack(packed.getvalue(), target)

    def get(self, source: str, target: Path) -> None:
        """Copy a file or a tree from the host into a folder of this machine."""
        packed = io.BytesIO(self._pack(source))
        target.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=packed) as tar:
            tar.extractall(target, filter="data")

    def _pack(self, source: str) -> bytes:
        if self.is_guest:
            path = PurePosixPath(source)
            status, out, err = output_of(self.container, ["tar", "-c", "-C", str(path.parent), "-f", "-", path.name])
            if status != 0:
                raise LabError(f"On {self.container.name}: {err.decode(errors='replace').strip()}")
            return out
        try:
            chunks, _ = self.container.get_archive(source)
            return b"".join(chunks)
        except docker.errors.APIError as error:
            raise LabError(f"On {self.container.name}: cannot read {source}: {api_message(error)}") from error

    # The directory

    @contextmanager
    def ldap(self, port: int = 389) -> Iterator[Any]:
        """Connect to the directory as Directory Manager, over the lab's network; a python-ldap connection.

        Another ``port`` than the usual one is that of another instance.
        """
        import ldap

        connection = ldap.initialize(f"ldap://{self.address}:{port}")
        connection.set_option(ldap.OPT_NETWORK_TIMEOUT, 10)
        connection.set_option(ldap.OPT_TIMEOUT, 60)
        connection.simple_bind_s("cn=Directory Manager", self.topology.passwords.directory_manager)
        try:
            yield connection
        finally:
            connection.unbind_s()

    def agreement_states(self) -> dict[str, str]:
        """What this master last said of each of its replication agreements, by the agreement's name."""
        import ldap

        base, status = "cn=mapping tree,cn=config", "nsds5replicaLastUpdateStatus"
        with self.ldap() as connection:
            found = connection.search_s(
                base, ldap.SCOPE_SUBTREE, "(objectClass=nsds5replicationagreement)", ["cn", status]
            )
        return {entry["cn"][0].decode(): entry.get(status, [b""])[0].decode() for _, entry in found}

    # Life

    def wait_booted(self, limit: float = BOOT_LIMIT) -> None:
        """Wait until systemd has started what it has to start."""
        limit = self._patient(limit)

        def up() -> bool:
            answer = self.run(["systemctl", "is-system-running", "--wait"], check=False, timeout=limit)
            return answer.stdout.strip() in ("running", "degraded")

        wait_for(f"{self.container.name} to boot", up, limit=limit, details=self.diagnosis)

    def wait_ready(self, limit: float = READY_LIMIT) -> None:
        """Wait until the installed server gives a ticket and knows the administrator, all services up."""
        secret = f"{self.topology.passwords.admin}\n"
        patient = self._patient(limit)
        try:
            self.run(["sh", "-c", _UNTIL_READY], input=secret, timeout=patient)
        except TimedOut as error:
            last = self.run(["sh", "-c", "cat /tmp/ready.*"], check=False).stdout
            raise TimedOut(
                f"Waited {patient:g} s for {self.container.name} to give a ticket and know the administrator, "
                f"in vain; the last answers:\n{last}\n{self.diagnosis()}"
            ) from error
        self.wait_booted(limit)

    def _patient(self, limit: float) -> float:
        return limit * GUEST_PATIENCE if self.is_guest else limit

    def stop(self) -> None:
        """Shut the host down in order; raises :class:`TimedOut` when it had to be killed."""
        self.container.stop(timeout=int(self._patient(STOP_LIMIT)))
        self.container.reload()
        if self.container.attrs["State"]["ExitCode"] == 137:
            raise TimedOut(f"{self.container.name} did not shut down within {STOP_LIMIT} s.")

    def boot(self) -> None:
        """Start the host after :meth:`stop`, and wait until it has booted."""
        self.container.start()
        self.wait_booted()

    def diagnosis(self) -> str:
        """What one wants to see when the host is not as it should be: failed units, the journal's end."""
        self.container.reload()
        if self.container.status != "running":
            output = self.container.logs(tail=40).decode("utf-8", "replace")
            return f"The container is {self.container.status}; it said:\n{output}"
        if self.is_guest:
            said = self.container.logs(tail=40).decode("utf-8", "replace")
            return f"The guest's kernel said:\n{said}"
        failed = self.run(["systemctl", "--failed", "--no-legend", "--plain"], check=False).stdout
        journal = self.run(["journalctl", "--no-pager", "-n", "40", "-o", "short-precise"], check=False).stdout
        return f"Failed units:\n{failed or '(none)'}\nThe journal ends:\n{journal}"


def create_container(
    engine: Engine,
    name: str,
    *,
    hostname: str,
    image: str,
    network: str,
    address: str,
    others: Mapping[str, str],
    labels: Mapping[str, str],
) -> Container:
    """Make (not start) a container that can boot systemd.

    ``others`` maps the names of the realm's other hosts to their addresses.  docs/lab.md explains each of the
    rights given here; none of them is --privileged.
    """
    try:
        guest = THROUGH in engine.client.images.get(image).labels
        return engine.client.containers.create(
            image,
            name=name,
            hostname=hostname,
            network=network,
            networking_config={network: engine.client.api.create_endpoint_config(ipv4_address=address)},
            extra_hosts=dict(others),
            labels=dict(labels),
            **(GUEST_RIGHTS if guest else RIGHTS),
            ulimits=[Ulimit(name="nofile", soft=4096, hard=4096)],
            stop_signal="SIGRTMIN+3",
            environment={"container": "docker"},
        )
    except docker.errors.ImageNotFound as error:
        raise LabError(f"There is no image '{image}' on the engine: {api_message(error)}") from error
