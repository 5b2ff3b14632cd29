"""A lab that is up: the hosts of one topology on a network of their own.

``with Realm.up(…) as realm:`` brings them up and takes them down again, also when it is interrupted.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType

from lab import owner as owners
from lab.engine import SNAPSHOT, Engine
from lab.errors import LabError, NoSuchLab
from lab.golden import Golden, ensure_golden, keep
from lab.guest.image import ensure_guest_image
from lab.host import Host, create_container
from lab.image import ensure_server_image
from lab.install import installation
from lab.network import create_network, host_addresses
from lab.topology import Member, Topology, from_recipe
from lab.waiting import wait_for

Say = Callable[[str], None]

#: What the images of snapshots are called.
SNAPSHOTS = "ipalab-snapshot"

#: Seconds until masters that have just booted reach each other.
REPLICATION_LIMIT = 60.0


def _quiet(_: str) -> None:
    return


@dataclass
class Realm:
    """The hosts of one lab, by their names.  ``seconds`` is how long it took until they were ready.

    ``bare`` are the images that hosts had before anything was installed on them, where they are known.
    """

    engine: Engine
    name: str
    topology: Topology
    hosts: dict[str, Host]
    seconds: float = 0.0
    bare: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def up(
        cls,
        engine: Engine,
        topology: Topology,
        *,
        name: str = "",
        owner: str = "",
        installed: bool = True,
        image: str = "",
        say: Say = _quiet,
    ) -> Realm:
        """Bring the topology's hosts up.

        ``installed``: as clones of a golden image (made first when there is none), ready to use; otherwise
        bare hosts that have booted.  ``owner``: the process that the lab ends with, see :mod:`lab.owner`;
        none means that the lab stays until it is taken down.  ``image`` replaces every image that the
        topology names.
        """
        images = member_images(engine, topology, image, say)
        golden = ensure_golden(engine, topology, images, install_realm, say) if installed else None
        lab = name or f"lab-{secrets.token_hex(3)}"
        if engine.containers(lab) or engine.networks(lab):
            raise LabError(f"There is a lab '{lab}' already: take it down first, or choose another name.")
        realm = cls(engine, lab, topology, {}, bare=images)
        started = time.monotonic()
        try:
            realm._create(golden.images if golden else images, owner)
            for host in realm.hosts.values():
                host.container.start()
            if golden:
                realm._keep_resolvers(golden)
                for host in realm.hosts.values():
                    if host.member.role == "host":
                        host.wait_booted()
                    else:
                        host.wait_ready()
                realm.wait_replicating()
            else:
                for host in realm.hosts.values():
                    host.wait_booted()
        except BaseException:
            realm.down()
            raise
        realm.seconds = time.monotonic() - started
        return realm

    @classmethod
    def attach(cls, engine: Engine, name: str) -> Realm:
        """Find a lab that is up; raises :class:`NoSuchLab` with the names of those that are."""
        containers = engine.containers(name)
        if not containers:
            known = sorted({engine.label_of(container.labels) for container in engine.containers()})
            raise NoSuchLab(f"There is no lab '{name}'; there are: {', '.join(known) or 'none'}.")
        hosts = {}
        topology = None
        for container in containers:
            recipe = engine.label_of(container.labels, "topology")
            if not recipe:
                continue
            topology = from_recipe(recipe)
            wanted = engine.label_of(container.labels, "host")
            member = next(member for member in topology.members if member.name == wanted)
            address = engine.label_of(container.labels, "address")
            hosts[member.name] = Host(engine, topology, member, container, address)
        if topology is None:
            raise NoSuchLab(f"The containers of '{name}' are no lab: their labels do not name a topology.")
        return cls(engine, name, topology, hosts)

    def host(self, name: str) -> Host:
        """Give a host by its name, with or without the domain."""
        short = name.removesuffix(f".{self.topology.domain}")
        if short not in self.hosts:
            raise NoSuchLab(f"Lab '{self.name}' has no host '{name}'; it has {', '.join(self.hosts)}.")
        return self.hosts[short]

    def wait_replicating(self, limit: float = REPLICATION_LIMIT) -> None:
        """Wait until no agreement of any master reports an error: tickets for it come later than the directory."""
        masters = [self.hosts[member.name] for member in self.topology.masters]
        for host in masters if len(masters) > 1 else []:
            last: dict[str, str] = {}

            def settled(host: Host = host, last: dict[str, str] = last) -> bool:
                last.clear()
                last.update(host.agreement_states())
                return all(state.startswith("Error (0)") for state in last.values())

            wait_for(f"{host.fqdn}'s agreements", settled, limit=limit, details=partial(str, last))

    @property
    def master(self) -> Host:
        """The first server."""
        return self.hosts[self.topology.masters[0].name]

    @property
    def spare(self) -> Host:
        """The first host on which nothing is installed.  Raises NoSuchLab where there is none."""
        names = [member.name for member in self.topology.members if member.role == "host"]
        return self.host(names[0] if names else "spare")

    def replace(self, name: str, say: Say = _quiet) -> Host:
        """Remove a host for good, with all that it holds, and boot a bare one of the same name and address.

        Returns the new host; what still holds the old one has nothing any more.
        """
        old = self.host(name)
        image = self.bare.get(old.name) or member_images(self.engine, self.topology, "", say)[old.name]
        owner = self._owner()
        old.container.remove(force=True, v=True)
        new = self._create_host(old.member, image, owner, {host.name: host.address for host in self.hosts.values()})
        new.container.start()
        new.wait_booted()
        return new

    def snapshot(self, say: Say = _quiet) -> Golden:
        """Shut all hosts down and keep what they are, until the lab is taken down; :meth:`revert` boots them again."""
        labels = self.engine.labels(self.name, SNAPSHOT, owner=self._owner(), address="", recipe="")
        tag = f"{self.name}-{secrets.token_hex(3)}"
        return keep(self.hosts, {name: f"{SNAPSHOTS}:{tag}-{name}".lower() for name in self.hosts}, labels, say)

    def revert(self, snapshot: Golden) -> None:
        """Put every host back to what it was, at the address that it has, and wait until all have booted.

        Hosts are new objects then; what still holds an old one has nothing any more.
        """
        owner, addresses = self._owner(), {host.name: host.address for host in self.hosts.values()}
        for host in list(self.hosts.values()):
            host.container.remove(force=True, v=True)
            self._create_host(host.member, snapshot.images[host.name], owner, addresses).container.start()
        self._keep_resolvers(snapshot)
        for host in self.hosts.values():
            host.wait_booted()

    def _owner(self) -> str:
        return self.engine.label_of(self.master.container.labels, "owner")

    def down(self) -> None:
        """Remove the hosts, the network and the snapshots."""
        self.engine.remove(self.name)

    def __enter__(self) -> Realm:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()

    def _create(self, images: Mapping[str, str], owner: str) -> None:
        """Make the network and the hosts, not yet started."""
        engine, topology = self.engine, self.topology
        labels = engine.labels(self.name, "network", owner=owner)
        _, subnet = create_network(engine, self.name, labels)
        addresses = dict(zip((m.name for m in topology.members), host_addresses(subnet), strict=False))
        for member in topology.members:
            self._create_host(member, images[member.name], owner, addresses)

    def _create_host(self, member: Member, image: str, owner: str, addresses: Mapping[str, str]) -> Host:
        """Make one host, not yet started; ``addresses`` are those of all hosts, by their names."""
        engine, topology, address = self.engine, self.topology, addresses[member.name]
        others = [other for other in topology.members if other.name != member.name]
        container = create_container(
            engine,
            f"{self.name}-{member.name}",
            hostname=topology.fqdn(member),
            image=image,
            network=self.name,
            address=address,
            others={topology.fqdn(other): addresses[other.name] for other in others},
            labels=engine.labels(
                self.name,
                "host",
                owner=owner,
                host=member.name,
                address=address,
                topology=topology.recipe(),
            ),
        )
        self.hosts[member.name] = Host(engine, topology, member, container, address)
        return self.hosts[member.name]

    def _keep_resolvers(self, golden: Golden) -> None:
        """Give each host the resolv.conf of its installer: the engine writes its own at every start."""
        for name, encoded in golden.resolvers.items():
            host = self.hosts[name]
            if not self.use_resolvers(host) or "dns" in host.member.capabilities:
                host.run(["sh", "-c", "cat >/etc/resolv.conf"], input=base64.b64decode(encoded))

    def use_resolvers(self, host: Host) -> bool:
        """Have a host ask the realm's DNS servers, as they are reached in this lab; False for one that asks itself."""
        servers = [self.hosts[member.name] for member in self.topology.masters if "dns" in member.capabilities]
        first = self.topology.masters[0].name
        if host.name == first or not servers:
            return False
        host.use_resolvers(self.topology.domain, [server.address for server in servers if server.name != host.name])
        return True


def member_images(engine: Engine, topology: Topology, image: str, say: Say) -> dict[str, str]:
    """Say which image each host is made from: the given one, its own, the topology's, else the lab's."""
    own = ""
    chosen = {}
    for member in topology.members:
        wanted = image or member.image or topology.image
        if not wanted:
            own = own or ensure_server_image(engine, say)
            wanted = ensure_guest_image(engine, own, say) if "selinux" in member.capabilities else own
        chosen[member.name] = wanted
    return chosen


def install_realm(engine: Engine, topology: Topology, images: Mapping[str, str], lab: str, say: Say) -> Realm:
    """Bring up bare hosts and install the realm on them; the caller takes it down."""
    realm = Realm(engine, lab, topology, {})
    try:
        realm._create(images, owners.this_process())
        for host in realm.hosts.values():
            host.container.start()
        for host in realm.hosts.values():
            host.wait_booted()
        for step in installation(topology):
            host = realm.hosts[step.host]
            realm.use_resolvers(host)
            for origin, path in step.files:
                host.write_file(path, realm.hosts[origin].read_bytes(path), mode=0o600)
            for argv in step.prepare:
                say(f"  {host.fqdn}: {argv[0]}")
                host.run(argv)
            say(f"  {host.fqdn}: {step.argv[0]}")
            started = time.monotonic()
            host.run(step.argv, timeout=1800)
            host.wait_ready()
            say(f"  {host.fqdn}: installed in {time.monotonic() - started:.0f} s")
    except BaseException:
        realm.down()
        raise
    return realm
