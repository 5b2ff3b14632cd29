"""A network of its own for every lab, with addresses that are known before the hosts are made.

The engine's default pool ends after about 30 networks, so the lab takes small subnets from a range that it
looks after itself.  The networks are internal: hosts reach each other and this machine, and nothing else;
what a scenario does depends on no outside server.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import docker.errors
from docker.types import IPAMConfig, IPAMPool

from lab.engine import Engine, api_message
from lab.errors import LabError

if TYPE_CHECKING:
    from docker.models.networks import Network

RANGE = ipaddress.IPv4Network("10.213.0.0/16")
#: 13 hosts: the network, the engine's gateway and the broadcast address are taken.
PREFIX = 28

ATTEMPTS = 50


def create_network(engine: Engine, lab: str, labels: dict[str, str]) -> tuple[Network, ipaddress.IPv4Network]:
    """Make the lab's network on a subnet that nobody uses, and return both."""
    taken = [*_of_networks(engine), *_of_routes()]
    free = [subnet for subnet in RANGE.subnets(new_prefix=PREFIX) if not any(map(subnet.overlaps, taken))]
    # Any of them, so that two labs that come up at the same moment hardly ever choose the same.
    last = "all subnets are taken"
    for subnet in random.sample(free, min(ATTEMPTS, len(free))):
        try:
            network = engine.client.networks.create(
                lab,
                driver="bridge",
                internal=True,
                labels=labels,
                check_duplicate=True,
                ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet))]),
            )
        except docker.errors.APIError as error:
            last = api_message(error)
            if "overlaps" not in last:
                raise LabError(f"The network of lab '{lab}' cannot be made: {last}") from error
            continue
        return network, subnet
    raise LabError(f"There is no subnet in {RANGE} for lab '{lab}': {last}. 'python -m lab prune' frees some.")


def host_addresses(subnet: ipaddress.IPv4Network) -> Iterator[str]:
    """Give the addresses for hosts, in order; the first usable one is the engine's gateway."""
    usable = iter(subnet.hosts())
    next(usable)
    return (str(address) for address in usable)


def _of_networks(engine: Engine) -> Iterator[ipaddress.IPv4Network]:
    for network in engine.client.networks.list():
        for pool in (network.attrs.get("IPAM") or {}).get("Config") or []:
            subnet = ipaddress.ip_network(pool.get("Subnet", "0.0.0.0/32"), strict=False)
            if isinstance(subnet, ipaddress.IPv4Network):
                yield subnet


def _of_routes(table: Path = Path("/proc/net/route")) -> Iterator[ipaddress.IPv4Network]:
    """The networks that this machine has routes to, but for the default route (little-endian hexadecimal)."""
    if not table.exists():
        return
    for line in table.read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        target, mask = (int.from_bytes(bytes.fromhex(fields[i]), "little") for i in (1, 7))
        if mask:
            yield ipaddress.IPv4Network((target, bin(mask).count("1")))
