"""Installed hosts as images: a topology is installed once, and cloned for everything that needs it.

A golden image is named by a hash of all that goes into it: the images of the hosts, the lab file's content
and the commands that install it.  Whatever of these changes, the hash changes with it, and the next use
installs afresh.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import docker.errors

from lab.engine import Engine, names_of
from lab.install import installation
from lab.topology import Topology

if TYPE_CHECKING:
    from lab.host import Host
    from lab.realm import Realm

REPOSITORY = "ipalab-golden"
#: Where all that make images in this machine's engine meet, from whatever checkout they come.
LOCKS = Path(tempfile.gettempdir()) / f"ipalab-{os.getuid()}"

#: Belongs to the recipe: raise it when hosts are made, prepared or committed in another way.
PROCEDURE = 1

#: How many recipes of one topology are kept; older ones are removed when a new one is made.
KEPT = 2

Say = Callable[[str], None]
Install = Callable[[Engine, Topology, Mapping[str, str], str, Say], "Realm"]


@dataclass(frozen=True)
class Golden:
    """The images of one installed topology by host name, and each host's resolv.conf in base64."""

    images: dict[str, str]
    resolvers: dict[str, str]


def recipe_hash(engine: Engine, topology: Topology, images: Mapping[str, str]) -> str:
    """Hash all that goes into the golden images of a topology."""
    recipe = {
        "procedure": PROCEDURE,
        "topology": topology.recipe(),
        "images": {name: str(engine.client.images.get(image).id) for name, image in images.items()},
        "commands": [[step.host, *step.argv] for step in installation(topology)],
    }
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:12]


def ensure_golden(engine: Engine, topology: Topology, images: Mapping[str, str], install: Install, say: Say) -> Golden:
    """Return the golden images of a topology, made now when there are none.

    Several processes that ask at the same time wait for the first of them.
    """
    key = recipe_hash(engine, topology, images)
    found = _find(engine, topology, key)
    if found:
        return found
    with _lock(key):
        found = _find(engine, topology, key)
        if found:
            return found
        say(f"Installing topology '{topology.name}' once, to be cloned from then on")
        _make(engine, topology, images, key=key, install=install, say=say)
        _remove_stale(engine, topology, key)
        found = _find(engine, topology, key)
        assert found is not None
        return found


def _tag(topology: Topology, key: str, host: str) -> str:
    return f"{REPOSITORY}:{topology.name}-{key}-{host}".lower()


def _find(engine: Engine, topology: Topology, key: str) -> Golden | None:
    images, resolvers = {}, {}
    for member in topology.members:
        tag = _tag(topology, key, member.name)
        try:
            image = engine.client.images.get(tag)
        except docker.errors.ImageNotFound:
            return None
        images[member.name] = tag
        resolvers[member.name] = engine.label_of(image.labels, "resolver")
    return Golden(images, resolvers)


def _make(
    engine: Engine, topology: Topology, images: Mapping[str, str], *, key: str, install: Install, say: Say
) -> None:
    with install(engine, topology, images, f"golden-{key}", say) as realm:
        tags = {name: _tag(topology, key, name) for name in realm.hosts}
        shared = engine.labels("images", "golden", topology=topology.name, recipe=key, owner="", address="")
        keep(realm.hosts, tags, shared, say)


def keep(
    hosts: Mapping[str, Host], tags: Mapping[str, str], labels: Mapping[str, str], say: Say = lambda _: None
) -> Golden:
    """Shut hosts down in order, the last one first, and keep each as an image with its tag and these labels."""
    resolvers = {name: base64.b64encode(host.read_bytes("/etc/resolv.conf")).decode() for name, host in hosts.items()}
    for host in reversed(list(hosts.values())):
        say(f"  {host.fqdn}: shutting down")
        host.stop()
    # The last one that is tagged makes the set complete, so an interrupted run leaves no half of it in use.
    for name, host in hosts.items():
        space = host.engine.namespace
        own = {**labels, f"{space}.host": name, f"{space}.resolver": resolvers[name]}
        changes = [f'LABEL {label}="{value}"' for label, value in own.items()]
        repository, tag = tags[name].split(":")
        host.container.commit(repository=repository, tag=tag, changes="\n".join(changes))
        say(f"  {host.fqdn}: kept as {tags[name]}")
    return Golden(dict(tags), resolvers)


def _remove_stale(engine: Engine, topology: Topology, key: str) -> None:
    """Remove the topology's older recipes, unless a host still stands on one."""
    recipes: list[str] = []
    for image in engine.images("golden"):
        if engine.label_of(image.labels, "topology") != topology.name:
            continue
        recipe = engine.label_of(image.labels, "recipe")
        if recipe not in recipes:
            recipes.append(recipe)
        if recipes.index(recipe) >= KEPT and recipe != key:
            for name in names_of(image):
                engine.remove_image(name)


@contextmanager
def _lock(key: str) -> Iterator[None]:
    LOCKS.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (LOCKS / f"golden-{key}").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
