"""What a realm of hosts looks like, read from a lab file (TOML).

The words are those that FreeIPA labs use::

    domain = "example.test"
    realm = "EXAMPLE.TEST"            # the domain in capitals unless said
    image = "…"                       # the lab's own server image unless said
    own_image_only = true             # what it asks for, no other image has; false unless said

    [passwords]
    admin = "Secret123"
    directory_manager = "Secret123"

    [[servers]]                       # the first one creates the realm
    name = "ipa1"
    capabilities = ["ca", "dns"]      # what it has; scenarios ask for it
    installer_options = ["--no-reverse"]
    prepare = [["mkdir", "/srv/x"]]   # commands on that host before its installer

    [[replicas]]
    name = "ipa2"
    from = "ipa1"                     # the first server unless said
    replica_setup = "credentials"     # with an administrator's password; "file": from ipa-replica-prepare

    [[agreements]]                    # beside those between a replica and the master that it comes from
    between = ["ipa2", "ipa3"]

    [[clients]]
    name = "client1"
    server = "ipa1"                   # the first server unless said

    [[hosts]]                         # boots, and waits for what a scenario installs on it
    name = "spare1"
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tomllib

from lab.errors import BadTopology

SHIPPED = Path(__file__).with_name("topologies")

#: How a replica is set up: by a file that its master makes, or with an administrator's credentials as FreeIPA 4 does.
REPLICA_SETUPS = ("file", "credentials")

CAPABILITIES = frozenset({"ca", "dns", "kra", "adtrust", "selinux"})

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DOMAIN = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})+")

_TABLES = {"servers": "server", "replicas": "replica", "clients": "client", "hosts": "host"}
_TOP = {"domain", "realm", "image", "own_image_only", "passwords", "agreements", *_TABLES}
_PASSWORDS = {"admin", "directory_manager"}
_MASTER = {"name", "image", "capabilities", "installer_options", "prepare"}
_REPLICA = _MASTER | {"from", "replica_setup"}
_KEYS = {"servers": _MASTER, "replicas": _REPLICA, "clients": _MASTER | {"server"}, "hosts": {"name", "image"}}


@dataclass(frozen=True)
class Passwords:
    """The realm's two first passwords."""

    admin: str = "Secret123"
    directory_manager: str = "Secret123"


@dataclass(frozen=True)
class Member:
    """One host of the realm: ``role`` is server, replica, client, or host for one on which nothing is installed;
    ``origin`` is the master it comes from.
    """

    name: str
    role: str
    origin: str = ""
    capabilities: frozenset[str] = frozenset()
    installer_options: tuple[str, ...] = ()
    prepare: tuple[tuple[str, ...], ...] = ()
    image: str = ""
    replica_setup: str = ""

    @property
    def is_master(self) -> bool:
        """A server or a replica: once installed there is no difference."""
        return self.role in ("server", "replica")


@dataclass(frozen=True)
class Topology:
    """A realm: its names, its passwords and its hosts in the order in which they are installed."""

    name: str
    domain: str
    realm: str
    members: tuple[Member, ...]
    passwords: Passwords = field(default_factory=Passwords)
    image: str = ""
    agreements: tuple[tuple[str, str], ...] = ()
    own_image_only: bool = False

    def fqdn(self, member: Member) -> str:
        """The host name that the member has inside the realm."""
        return f"{member.name}.{self.domain}"

    @property
    def suffix(self) -> str:
        """The domain as a distinguished name."""
        return ",".join(f"dc={label}" for label in self.domain.split("."))

    @property
    def masters(self) -> tuple[Member, ...]:
        """The members that carry the directory."""
        return tuple(member for member in self.members if member.is_master)

    @property
    def capabilities(self) -> frozenset[str]:
        """What its masters have between them."""
        return frozenset().union(*(member.capabilities for member in self.masters))

    def recipe(self) -> str:
        """All that the file says, in one form: the same for two files that say the same."""

        def plain(value: Any) -> Any:
            return sorted(value) if isinstance(value, frozenset) else value

        facts = asdict(self, dict_factory=lambda pairs: {key: plain(value) for key, value in pairs})
        return json.dumps(facts, sort_keys=True)


def load(name_or_path: str | Path) -> Topology:
    """Read one of the lab's own topologies by its name, or a lab file by its path.

    Raises :class:`BadTopology` with the file's name, the key and what would be right.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = SHIPPED / f"{name_or_path}.toml"
        if not path.exists():
            known = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.toml")))
            raise BadTopology(f"There is no topology '{name_or_path}': choose one of {known}, or give a .toml file.")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadTopology(f"The lab file {path} cannot be read: {error.strerror}.") from error
    return parse(text, name=path.stem, source=str(path))


def from_recipe(recipe: str) -> Topology:
    """Make the topology that :meth:`Topology.recipe` wrote down."""
    facts = json.loads(recipe)
    members = tuple(
        Member(
            **{
                **member,
                "capabilities": frozenset(member["capabilities"]),
                "installer_options": tuple(member["installer_options"]),
                "prepare": tuple(tuple(argv) for argv in member.get("prepare", [])),
            }
        )
        for member in facts["members"]
    )
    links = tuple((one, other) for one, other in facts.get("agreements", ()))
    return Topology(**{**facts, "members": members, "passwords": Passwords(**facts["passwords"]), "agreements": links})


def parse(text: str, *, name: str, source: str = "the lab file") -> Topology:
    """Make a topology from a lab file's text; ``source`` names it in messages."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadTopology(f"{source} is not TOML: {error}.") from error
    _known_keys(data, _TOP, source)
    domain = _string(data, "domain", source)
    if not _DOMAIN.fullmatch(domain):
        raise BadTopology(f"{source}: domain '{domain}' is not a lower-case DNS domain of two labels or more.")
    realm = _string(data, "realm", source, default=domain.upper())
    if realm != realm.upper() or not _DOMAIN.fullmatch(realm.lower()):
        raise BadTopology(f"{source}: realm '{realm}' must be a DNS domain in capitals, as in '{domain.upper()}'.")
    members = tuple(_members(data, source))
    _check(members, source)
    return Topology(
        name=name,
        domain=domain,
        realm=realm,
        members=members,
        passwords=_passwords(data.get("passwords", {}), source),
        image=_string(data, "image", source, default=""),
        agreements=tuple(_agreements(data, members, source)),
        own_image_only=_flag(data, "own_image_only", source),
    )


def _agreements(data: Mapping[str, Any], members: tuple[Member, ...], source: str) -> Iterable[tuple[str, str]]:
    """The pairs of masters that replicate although neither comes from the other."""
    masters = {member.name for member in members if member.is_master}
    origins = {frozenset((member.name, member.origin)) for member in members}
    entries = data.get("agreements", [])
    where = f"{source}: [[agreements]]"
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadTopology(f"{source}: 'agreements' is a list of tables: write [[agreements]] above each of them.")
    for entry in entries:
        _known_keys(entry, {"between"}, where)
        pair = _strings(entry, "between", where)
        if len(pair) != 2 or pair[0] == pair[1]:
            raise BadTopology(f"{where}: 'between' must name two masters.")
        for name in pair:
            if name not in masters:
                raise BadTopology(f"{where}: '{name}' is no master of this realm.")
        if frozenset(pair) in origins:
            raise BadTopology(f"{where}: {pair[0]} and {pair[1]} replicate already, one comes from the other.")
        yield pair[0], pair[1]


def _members(data: Mapping[str, Any], source: str) -> Iterable[Member]:
    first = ""
    for table, role in _TABLES.items():
        entries = data.get(table, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise BadTopology(f"{source}: '{table}' is a list of tables: write [[{table}]] above each of them.")
        for entry in entries:
            where = f"{source}: [[{table}]]"
            _known_keys(entry, _KEYS[table], where)
            name = _string(entry, "name", where)
            if not _LABEL.fullmatch(name):
                raise BadTopology(f"{where}: '{name}' is no host name: lower-case letters, digits, hyphens.")
            first = first or name
            origin = _string(entry, "server" if role == "client" else "from", where, default="") or first
            if role == "host":
                origin = ""
            capabilities = _strings(entry, "capabilities", where)
            for capability in capabilities:
                if capability not in CAPABILITIES:
                    raise BadTopology(f"{where}: unknown capability '{capability}'{_hint(capability, CAPABILITIES)}")
            setup = ""
            if role == "replica":
                setup = _string(entry, "replica_setup", where, default="credentials")
                if setup not in REPLICA_SETUPS:
                    raise BadTopology(f"{where}: unknown replica_setup '{setup}'{_hint(setup, REPLICA_SETUPS)}")
            yield Member(
                name=name,
                role=role,
                origin="" if origin == name else origin,
                capabilities=frozenset(capabilities),
                installer_options=tuple(_strings(entry, "installer_options", where)),
                prepare=_commands(entry, "prepare", where),
                image=_string(entry, "image", where, default=""),
                replica_setup=setup,
            )


def _check(members: tuple[Member, ...], source: str) -> None:
    servers = [member.name for member in members if member.role == "server"]
    if len(servers) != 1:
        raise BadTopology(f"{source}: a realm begins with exactly one server, not {len(servers)}: see [[servers]].")
    seen: set[str] = set()
    for member in members:
        if member.name in seen:
            raise BadTopology(f"{source}: two hosts are called '{member.name}'.")
        if member.origin and member.origin not in {m.name for m in members if m.is_master and m.name in seen}:
            raise BadTopology(f"{source}: '{member.name}' comes from '{member.origin}', which is no master before it.")
        seen.add(member.name)


def _passwords(data: object, source: str) -> Passwords:
    if not isinstance(data, dict):
        raise BadTopology(f"{source}: 'passwords' is a table: write [passwords].")
    where = f"{source}: [passwords]"
    _known_keys(data, _PASSWORDS, where)
    default = Passwords()
    passwords = Passwords(
        _string(data, "admin", where, default=default.admin),
        _string(data, "directory_manager", where, default=default.directory_manager),
    )
    if min(len(passwords.admin), len(passwords.directory_manager)) < 8:
        raise BadTopology(f"{where}: ipa-server-install takes no password of less than 8 characters.")
    return passwords


def _known_keys(data: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for key in data:
        if key not in known:
            raise BadTopology(f"{where}: unknown key '{key}'{_hint(key, known)}")


def _hint(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean '{close[0]}'?" if close else f"; known are {', '.join(sorted(known))}."


def _string(data: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
    if key not in data:
        if default is None:
            raise BadTopology(f"{where}: '{key}' is missing.")
        return default
    value = data[key]
    if not isinstance(value, str):
        raise BadTopology(f"{where}: '{key}' must be a string.")
    return value


def _flag(data: Mapping[str, Any], key: str, where: str) -> bool:
    value = data.get(key, False)
    if not isinstance(value, bool):
        raise BadTopology(f"{where}: '{key}' must be true or false.")
    return value


def _commands(data: Mapping[str, Any], key: str, where: str) -> tuple[tuple[str, ...], ...]:
    value = data.get(key, [])
    if not isinstance(value, list) or not all(isinstance(argv, list) and argv for argv in value):
        raise BadTopology(f"{where}: '{key}' must be a list of commands, each a list of its words.")
    return tuple(tuple(_strings({key: argv}, key, where)) for argv in value)


def _strings(data: Mapping[str, Any], key: str, where: str) -> list[str]:
    value = data.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadTopology(f"{where}: '{key}' must be a list of strings.")
    return value
