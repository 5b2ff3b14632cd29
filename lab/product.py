"""The product under test, put into a host: from the checkout's wheel, with what it needs for the host's own
Python.

The host needs no network and no compiler for that.  python-ldap is the host's own, since it has to fit the
host's LDAP library; the other dependencies come as wheels.  What was put together is kept by a hash of what
went into it.
"""

from __future__ import annotations

import configparser
import fcntl
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import tomllib
from packaging.requirements import Requirement

from lab.errors import LabError
from lab.host import Host
from lab.image import ROOT, as_root_has_it

CACHE = ROOT / ".lab" / "product"

TARGET = "opt/ipabackup"
LAUNCHERS = "usr/local/sbin"

#: Comes with the host's distribution.
FROM_HOST = {"python-ldap"}

_PROBE = "import json, platform, sys, ldap; print(json.dumps([list(sys.version_info[:2]), platform.machine()]))"

_LAUNCHER = """#!/usr/bin/python3 -I
import sys

sys.path.insert(0, "/{target}")
from {module} import {function}

sys.exit({function}())
"""

Say = Callable[[str], None]


def _quiet(_: str) -> None:
    return


def install_product(host: Host, say: Say = _quiet) -> None:
    """Put ``ipa-backup`` and ``ipa-restore`` into the host, ahead in PATH of stock ones."""
    answer = host.run(["/usr/bin/python3", "-c", _PROBE], check=False)
    if answer.status != 0:
        raise LabError(f"{host.fqdn} cannot run the product: it needs Python 3 with python-ldap.\n{answer.stderr}")
    (major, minor), machine = json.loads(answer.stdout)
    started = time.monotonic()
    archive = product_archive(f"{major}.{minor}", machine)
    host.unpack(archive.read_bytes(), "/")
    say(f"  {host.fqdn}: ipa-backup and ipa-restore put in place in {time.monotonic() - started:.1f} s")


def product_archive(python: str, machine: str) -> Path:
    """Return a tar archive, to be unpacked at /, of the product for that Python and that kind of machine."""
    key = _key(python, machine)
    archive = CACHE / f"{key}.tar"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            for old in CACHE.glob("*.tar"):
                old.unlink()
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                fresh = _assemble(Path(folder), python, machine)
                fresh.rename(archive)
    return archive


def _sources() -> Iterator[Path]:
    yield ROOT / "pyproject.toml"
    yield ROOT / "README.md"
    for path in sorted((ROOT / "ipabackup").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _key(python: str, machine: str) -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in _sources():
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return f"{digest.hexdigest()[:16]}-py{python}-{machine}"


def _assemble(folder: Path, python: str, machine: str) -> Path:
    source, wheels, root = folder / "source", folder / "wheels", folder / "root"
    for path in _sources():
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    # From a copy: the build leaves its droppings beside the sources.
    _pip("wheel", "--no-deps", "--wheel-dir", str(wheels), str(source))
    wheel = next(wheels.glob("ipabackup-*.whl"))
    into = root / TARGET
    _pip("install", "--no-deps", "--target", str(into), "--no-compile", "--ignore-requires-python", str(wheel))
    needed = list(_requirements(python))
    if needed:
        _pip(
            *("install", "--no-deps", "--target", str(into), "--no-compile", "--only-binary=:all:"),
            *("--python-version", python, "--implementation", "cp"),
            *("--platform", f"manylinux2014_{machine}", "--platform", f"manylinux_2_17_{machine}"),
            *needed,
        )
    shutil.rmtree(into / "bin", ignore_errors=True)
    for name, launcher in _launchers(wheel):
        path = root / LAUNCHERS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(launcher, encoding="ascii")
        path.chmod(0o755)
    packed = folder / "product.tar"
    with tarfile.open(packed, "w") as tar:
        for top in (TARGET, LAUNCHERS):
            tar.add(root / top, arcname=top, filter=as_root_has_it)
    return packed


def _requirements(python: str) -> Iterator[str]:
    """What pyproject.toml asks for, of the host's Python and not of the one that runs here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for line in project["dependencies"]:
        requirement = Requirement(line)
        environment = {"python_version": python, "python_full_version": f"{python}.0"}
        if requirement.name in FROM_HOST:
            continue
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield f"{requirement.name}{requirement.specifier}"


def _launchers(wheel: Path) -> Iterator[tuple[str, str]]:
    """Make a launcher for each command that the wheel declares."""
    with zipfile.ZipFile(wheel) as packed:
        name = next(name for name in packed.namelist() if name.endswith(".dist-info/entry_points.txt"))
        text = io.TextIOWrapper(packed.open(name), encoding="utf-8").read()
    points = configparser.ConfigParser()
    points.read_string(text)
    for command, target in points["console_scripts"].items():
        module, function = target.split(":")
        yield command, _LAUNCHER.format(target=TARGET, module=module, function=function)


def _pip(*arguments: str) -> None:
    argv = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"The product cannot be put together: pip {arguments[0]} failed.\n{done.stderr}")
