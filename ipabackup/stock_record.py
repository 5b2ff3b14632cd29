"""What a backup of format 1 knows of its server, gathered from what is in it.

FreeIPA's own tools write no record: names, instances, accounts and units are found in the files, the owners and the
exports themselves.  The whole payload is read once for it, which also shows whether it is whole.
"""

from __future__ import annotations

import configparser
import fnmatch
import io
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from ipabackup.archive.header import Header
from ipabackup.archive.layout import DATA, binary_root, file_name, file_path, ldif_name, record_name
from ipabackup.archive.member import Kind, Member
from ipabackup.archive.reader import Members, PayloadReader, Verified
from ipabackup.directory.instances import Instance, instance_from_config, parse_config
from ipabackup.directory.ldif_scan import LdifCounter
from ipabackup.errors import DamagedBackup
from ipabackup.host.accounts import Group, User
from ipabackup.inventory import InventoryItem, Names, PathKind, Rule, resolve
from ipabackup.record import ENTRIES, BackendRecord, InstanceRecord, ServerRecord
from ipabackup.roles import ours

UNKNOWN = "unknown"
"""The version of the directory server: format 1 does not tell, so that the data goes back as LDIF."""

_DEFAULT_CONF = "/etc/ipa/default.conf"
_CHUNK = 1 << 20
_LONGEST_CONFIG = 64 << 20
_KERBEROS = b",cn=kerberos,"
_REALM = re.compile(rb"^dn: cn=([A-Za-z0-9._-]+),cn=kerberos,([^\n]+)$", re.MULTILINE | re.IGNORECASE)
# A server's units that FreeIPA's tools enable after a restore, besides those whose links are in the backup.
_ALWAYS = ("ipa.service", "sssd.service", "certmonger.service")
# login.defs(5): system accounts have lower numbers; whoever has a higher one belongs to the directory or to people.
_FIRST_PERSON = 1000
_HOMES = {
    "apache": "/usr/share/httpd",
    "bind": "/var/cache/bind",
    "dirsrv": "/usr/share/dirsrv",
    "named": "/var/named",
    "pkiuser": "/usr/share/pki",
    "www-data": "/var/www",
}


@dataclass
class _Survey:
    """What one reading of the whole payload found."""

    kinds: dict[str, Kind] = field(default_factory=dict)
    users: dict[tuple[str, int], Counter[tuple[str, int]]] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    entries: dict[str, dict[str, int]] = field(default_factory=dict)
    realm: str = ""
    basedn: str = ""
    members: int = 0
    data_size: int = 0
    files_size: int = 0

    def take(self, member: Member, data: BinaryIO | None) -> None:
        """Note what the member tells, and read it to its end."""
        self.members += 1
        self.data_size += member.size
        path = file_path(member.name)
        if path is not None:
            self.files_size += member.size
            self.kinds[path] = member.kind
        if member.uname:
            owners = self.users.setdefault((member.uname, member.uid), Counter())
            owners[(member.gname, member.gid)] += 1
        if member.gname:
            self.groups[member.gname] = member.gid
        if data is None:
            return
        parts = member.name.split("/")
        if parts[0] == DATA and len(parts) == 4 and parts[2] == "ldif" and parts[3].endswith(".ldif"):
            self._count(parts[1], parts[3][: -len(".ldif")], data)
        elif path == _DEFAULT_CONF or (parts[-1] == "dse.ldif" and member.size <= _LONGEST_CONFIG):
            self.documents[member.name] = data.read()
        while data.read(_CHUNK):
            continue

    def _count(self, instance: str, backend: str, data: BinaryIO) -> None:
        counter = LdifCounter()
        before = b""
        while piece := data.read(_CHUNK):
            counter.feed(piece)
            if not self.realm:
                self._look_for_realm(before + piece)
                before = piece[-4096:]
        found = counter.close()
        if not found.entries or not found.whole:
            what = "ends within an entry" if found.total else "is empty"
            raise DamagedBackup(
                f"The export of {backend} in slapd-{instance} {what}: it was not whole when it was backed up.",
                remedy="Use another backup, or --extract this one to see what it holds.",
            )
        self.entries.setdefault(instance, {})[backend] = found.entries

    def _look_for_realm(self, text: bytes) -> None:
        """The realm's own entry says how it is spelled; looked for where the quick search finds its container."""
        at = text.find(_KERBEROS)
        while at >= 0 and not self.realm:
            start, end = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
            found = _REALM.match(text[start:end]) if end >= 0 else None
            if found:
                self.realm = found[1].decode("ascii")
                self.basedn = found[2].decode("utf-8", "replace")
            at = text.find(_KERBEROS, at + 1)


class StockBackup:
    """The payload of a format 1 backup as a restore wants it: see PayloadReader.

    It begins with a document of entry counts, which were counted, and leaves out what does not belong onto a server
    that is being restored: the raw databases, and locks.
    """

    def __init__(self, reader: PayloadReader, survey: _Survey, items: tuple[InventoryItem, ...]) -> None:
        self._reader = reader
        self._survey = survey
        self._items = items

    @property
    def header(self) -> Header:
        """See PayloadReader."""
        return self._reader.header

    def members(self) -> Members:
        """See PayloadReader."""
        counts = json.dumps(self._survey.entries).encode()
        yield Member(record_name(ENTRIES), Kind.FILE, size=len(counts)), cast(BinaryIO, io.BytesIO(counts))
        for member, data in self._reader.members():
            path = file_path(member.name)
            if path is None or _belongs(path, self._items):
                yield member, data

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        """See PayloadReader."""
        return self._reader.read(names)

    def verify(self) -> Verified:
        """See PayloadReader."""
        return self._reader.verify()


def survey_stock(reader: PayloadReader, rules: Sequence[Rule]) -> tuple[ServerRecord, StockBackup]:
    """Read all of a format 1 payload: what it knows of its server, and a reader that restores from it.

    ``rules`` are the inventory's, which know the folders that are IPA's alone.  Raises DamagedBackup (also for an
    export that is empty or ends within an entry, which FreeIPA's tools write when a disk is full) and what reading
    raises.
    """
    survey = _Survey()
    for member, data in reader.members():
        survey.take(member, data)
    header = reader.header
    instances = tuple(_instance(survey, name) for name in sorted(survey.entries))
    if not instances:
        raise DamagedBackup("The backup holds no export of a directory.")
    names = _names(header, survey, instances)
    items = resolve(
        rules,
        Names(names["realm"], names["domain"], header.host, tuple(instance.name for instance in instances)),
        _Within(survey.kinds),
        logs=True,
    ).items
    users = _users(survey)
    record = ServerRecord(
        host=header.host,
        realm=names["realm"],
        domain=names["domain"],
        basedn=names["basedn"],
        ipa_version=header.ipa_version,
        directory_version=UNKNOWN,
        instances=tuple(_instance_record(instance, survey) for instance in instances),
        type=header.type.value,
        time=header.time.isoformat(),
        users=users,
        groups=_groups(survey, users),
        units=_units(survey.kinds) if header.full else (),
        paths=tuple(path for path in survey.kinds if not _has_parent(path, survey.kinds)),
        logs=tuple(item.path for item in items if item.kind is PathKind.LOG),
        # FreeIPA's tools take some of these folders as a whole and of others a few files: only of the former it is
        # known what does not belong there.
        exclusive=tuple(
            (item.path, item.exclude)
            for item in items
            if item.exclusive and survey.kinds.get(item.path) is Kind.DIRECTORY
        ),
    )
    return record, StockBackup(reader, survey, items)


def _instance(survey: _Survey, name: str) -> Instance:
    config_dir = Path(f"/etc/dirsrv/slapd-{name}")
    for place in (file_name(f"{config_dir}/dse.ldif"), f"{binary_root(name)}/config_files/dse.ldif"):
        if place in survey.documents:
            return instance_from_config(config_dir, parse_config(survey.documents[place], place))
    raise DamagedBackup(f"The backup holds data of slapd-{name}, but nowhere its configuration.")


def _instance_record(instance: Instance, survey: _Survey) -> InstanceRecord:
    exported = {name.lower(): name for name in survey.entries[instance.name]}
    backends = tuple(
        BackendRecord(exported[backend.name.lower()], backend.suffix)
        for backend in instance.backends
        if backend.name.lower() in exported
    )
    strange = set(exported.values()) - {backend.name for backend in backends}
    if strange:
        raise DamagedBackup(
            f"The backup holds {ldif_name(instance.name, sorted(strange)[0])}, but slapd-{instance.name} is not "
            "configured to have that backend."
        )
    return InstanceRecord(
        name=instance.name,
        user=instance.user,
        library=instance.library,
        config_dir=str(instance.config_dir),
        database_dir=str(instance.database_dir),
        ldif_dir=str(instance.ldif_dir),
        backup_dir=str(instance.backup_dir),
        log_dir=str(instance.log_dir),
        backends=backends,
    )


def _names(header: Header, survey: _Survey, instances: Iterable[Instance]) -> Mapping[str, str]:
    """Realm, domain and basedn: as IPA's configuration says, else as the directory does."""
    given: Mapping[str, str] = {}
    parser = configparser.ConfigParser(interpolation=None)
    document = survey.documents.get(file_name(_DEFAULT_CONF))
    if document is not None:
        try:
            parser.read_string(document.decode("utf-8"))
            given = dict(parser["global"])
        except (configparser.Error, KeyError, UnicodeDecodeError) as error:
            raise DamagedBackup(f"{_DEFAULT_CONF} in the backup cannot be read: {error}") from error
    elif header.full:
        raise DamagedBackup(f"The backup is called a full one, but holds no {_DEFAULT_CONF}.")
    suffixes = [backend.suffix for instance in instances for backend in instance.backends]
    basedn = given.get("basedn") or survey.basedn or next((one for one in suffixes if "dc=" in one.lower()), "")
    domain = given.get("domain") or ".".join(re.findall(r"dc=([^,]+)", basedn, re.IGNORECASE))
    realm = given.get("realm") or survey.realm or domain.upper()
    if not realm or not basedn:
        raise DamagedBackup("The backup nowhere says which realm it is one of.")
    return {"realm": realm, "domain": domain, "basedn": basedn}


def _users(survey: _Survey) -> tuple[User, ...]:
    """The system accounts that own anything in the backup."""
    found = []
    for (name, uid), groups in sorted(survey.users.items()):
        if not 0 < uid < _FIRST_PERSON:
            continue
        own = [(group, gid) for group, gid in groups if group == name]
        group, gid = own[0] if own else groups.most_common(1)[0][0]
        if not own and name in survey.groups:
            group, gid = name, survey.groups[name]
        found.append(User(name, uid, gid, group, _HOMES.get(name, "/"), "/usr/sbin/nologin"))
    return tuple(found)


def _groups(survey: _Survey, users: tuple[User, ...]) -> tuple[Group, ...]:
    groups = {name: gid for name, gid in survey.groups.items() if 0 < gid < _FIRST_PERSON}
    groups.update({user.group: user.gid for user in users if user.gid})
    return tuple(Group(name, gid) for name, gid in sorted(groups.items()))


def _units(kinds: Iterable[str]) -> tuple[str, ...]:
    """The units that were enabled, as far as their links are in the backup."""
    linked = [
        path.rpartition("/")[2]
        for path in kinds
        if path.startswith("/etc/systemd/system/") and path.split("/")[-2].endswith((".wants", ".requires"))
    ]
    return tuple(ours(dict.fromkeys([*linked, *_ALWAYS])))


def _has_parent(path: str, kinds: Collection[str]) -> bool:
    parts = path.split("/")
    return any("/".join(parts[:length]) in kinds for length in range(2, len(parts)))


def _belongs(path: str, items: tuple[InventoryItem, ...]) -> bool:
    """Whether the server's file has a place on a restored server: FreeIPA's tools also take raw databases and locks."""
    above = [item for item in items if path.startswith(item.path + "/")]
    if any(item.path == path for item in items) or any(item.kind is PathKind.LOG for item in above):
        return True
    if any(item.kind is PathKind.REQUIRED_DIRECTORY for item in above):
        return False
    return not any(item.kind is PathKind.DIRECTORY and item.excludes(path) for item in above)


class _Within:
    """Answers what exists among the paths of a backup: see ipabackup.inventory.Probe."""

    def __init__(self, paths: Collection[str]) -> None:
        self._paths = paths

    def expand(self, pattern: str) -> Sequence[str]:
        """See Probe."""
        if not re.search(r"[*?[]", pattern):
            return [pattern] if pattern in self._paths else []
        wanted = pattern.split("/")
        return sorted(
            path
            for path in self._paths
            if path.count("/") == len(wanted) - 1
            and all(fnmatch.fnmatchcase(part, sign) for part, sign in zip(path.split("/"), wanted))
        )
