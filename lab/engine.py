"""The container engine: any that answers Docker's API (Docker itself, or Podman's socket).

Everything the lab creates there carries labels: the lab's name, its role, and the process it belongs to.
Cleaning up goes by these labels alone, so nothing else on the engine is ever touched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import docker.errors

from lab import owner
from lab.errors import LabError, NoEngine

if TYPE_CHECKING:
    from docker.models.containers import Container
    from docker.models.images import Image
    from docker.models.networks import Network

Filters = dict[str, "str | list[str] | bool"]

#: The role of images that a lab's hosts can be put back to; they go with the lab.
SNAPSHOT = "snapshot"

#: The label's name; its value is the lab's name.  ``LABEL.role``, ``LABEL.owner`` … carry the rest.
LABEL = "ipabackup.lab"

SOCKETS = (
    "/var/run/docker.sock",
    "/run/podman/podman.sock",
    "{runtime}/docker.sock",
    "{runtime}/podman/podman.sock",
)

_REGISTRY = re.compile(r"^(docker\.io/library|localhost)/")

HOW_TO_GET_ONE = (
    "Start one ('systemctl start docker', or './quickstart prepare' as root, which installs it too), "
    "or name another with DOCKER_HOST=unix:///path/to/socket."
)


@dataclass(frozen=True)
class Engine:
    """A connection to the engine.  ``namespace`` is the label's name: tests use one of their own."""

    client: docker.DockerClient
    namespace: str = LABEL

    def labels(self, lab: str, role: str, **more: str) -> dict[str, str]:
        """Make the labels for something of ``lab`` that plays ``role`` (host, network, image, golden)."""
        labels = {self.namespace: lab, f"{self.namespace}.role": role}
        labels.update({f"{self.namespace}.{name}": value for name, value in more.items()})
        return labels

    def label_of(self, labels: Mapping[str, str] | None, name: str = "") -> str:
        """Read the lab's own label ``name`` (the lab's name itself when empty); '' when it is not there."""
        return (labels or {}).get(f"{self.namespace}.{name}" if name else self.namespace, "")

    def filters(self, lab: str | None = None) -> Filters:
        """Make the engine's filter for what is labelled, of one lab."""
        return {"label": [self.namespace if lab is None else f"{self.namespace}={lab}"]}

    def containers(self, lab: str | None = None) -> list[Container]:
        """List the hosts of a lab, or of all labs, running or not, by name."""
        found = self.client.containers.list(all=True, filters=self.filters(lab), ignore_removed=True)
        return sorted(found, key=lambda container: container.name or "")

    def networks(self, lab: str | None = None) -> list[Network]:
        """List the networks of a lab, or of all labs."""
        return list(self.client.networks.list(filters=self.filters(lab)))

    def images(self, role: str | None = None) -> list[Image]:
        """List the images that the lab made, newest first."""
        # One label is all that Podman can look for.
        found = self.client.images.list(filters=self.filters())
        wanted = [image for image in found if role is None or self.label_of(image.labels, "role") == role]
        return sorted(wanted, key=lambda image: str(image.attrs.get("Created", "")), reverse=True)

    def remove(self, lab: str) -> Removed:
        """Remove the hosts, the network and the snapshots of one lab."""
        return self._remove_where(lambda labels: self.label_of(labels) == lab, lab)

    def remove_of_dead_owners(self) -> Removed:
        """Remove the labs whose process is gone: what a killed test run left behind."""
        return self._remove_where(self._is_orphan)

    def remove_of_owner(self, name: str) -> Removed:
        """Remove the labs of one process, as :func:`lab.owner.this_process` names it."""
        return self._remove_where(lambda labels: self.label_of(labels, "owner") == name)

    def prune(self, *, images: bool = True) -> Removed:
        """Remove everything labelled: all labs, and (unless ``images`` is false) the images made for them."""
        removed = self._remove_where(lambda _: True)
        if images:
            removed.images += self._remove_images(self.images())
        return removed

    def _remove_where(self, wanted: Callable[[Mapping[str, str] | None], bool], lab: str | None = None) -> Removed:
        """Remove hosts, networks and snapshots whose labels are `wanted`."""
        removed = _remove(
            [container for container in self.containers(lab) if wanted(container.labels)],
            [network for network in self.networks(lab) if wanted(network.attrs.get("Labels"))],
        )
        removed.images = self._remove_images(image for image in self.images(SNAPSHOT) if wanted(image.labels))
        return removed

    def _remove_images(self, images: Iterable[Image]) -> list[str]:
        """Remove images by all their names; returns those that went."""
        return [name for image in images for name in names_of(image) or [str(image.id)] if self.remove_image(name)]

    def remove_image(self, name: str) -> bool:
        """Remove an image; says whether it went.  One that something else stands on stays."""
        try:
            self.client.images.remove(name)
        except docker.errors.ImageNotFound:
            return False
        except docker.errors.APIError as error:
            # Another image stands on this one; it goes when that one does, or belongs to somebody else.
            if error.status_code == 409:
                return False
            raise
        return True

    def _is_orphan(self, labels: Mapping[str, str] | None) -> bool:
        name = self.label_of(labels, "owner")
        return bool(name) and not owner.is_alive(name)


def names_of(image: Image) -> list[str]:
    """All names of an image, as they were given: Podman has a registry's before each."""
    return [_REGISTRY.sub("", name) for name in image.tags]


@dataclass
class Removed:
    """What a clean-up took away, by name."""

    containers: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.containers or self.networks or self.images)


def _remove(containers: list[Container], networks: list[Network]) -> Removed:
    removed = Removed()
    for container in containers:
        try:
            container.remove(force=True, v=True)
        except docker.errors.NotFound:
            continue
        except docker.errors.APIError as error:
            # 409: somebody else is removing the very same one.
            if error.status_code != 409:
                raise
            continue
        removed.containers.append(str(container.name))
    for network in networks:
        try:
            network.remove()
        except docker.errors.NotFound:
            continue
        removed.networks.append(str(network.name))
    return removed


def candidates(environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Name the places where an engine may answer, the best first, as DOCKER_HOST writes them."""
    if environment.get("DOCKER_HOST"):
        yield environment["DOCKER_HOST"]
        return
    runtime = environment.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    for socket in SOCKETS:
        path = socket.format(runtime=runtime)
        if Path(path).exists():
            yield f"unix://{path}"


def connect(namespace: str = LABEL) -> Engine:
    """Find an engine that answers.

    Raises :class:`NoEngine` that says what was tried and how to get one.
    """
    tried = []
    for address in candidates():
        try:
            client = docker.DockerClient(base_url=address, version="auto", timeout=600)
            client.ping()
        except (docker.errors.DockerException, OSError) as error:
            tried.append(f"{address}: {error}")
            continue
        if client.info().get("OSType", "linux") != "linux":
            raise NoEngine(f"The engine at {address} does not run Linux containers.")
        return Engine(client, namespace)
    reason = "; ".join(tried) if tried else "no DOCKER_HOST, and none of the usual sockets exists"
    raise NoEngine(f"No container engine answers ({reason}).\n{HOW_TO_GET_ONE}")


def api_message(error: docker.errors.APIError) -> str:
    """The engine's own words, without the address of the call."""
    return str(error.explanation or error)


__all__ = ["LABEL", "Engine", "LabError", "Removed", "api_message", "connect"]
