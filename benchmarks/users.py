"""Users by the thousand: as ``ipa user-add --noprivate`` makes them, imported beside what the server has.

Their keys and hashes are random, of the sizes and in the encodings of real ones, so they compress as badly.
"""

from __future__ import annotations

import base64
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.der import OCTET_STRING, SEQUENCE, encode, integer, tagged
from benchmarks.kerberos import AES128_SHA1, AES256_SHA1
from lab.host import Host

#: How many users share a group.
GROUP = 100

_FIRST_NUMBER = 1_000_000
_FOLDER = "/var/tmp/benchmark-users"
_CLASSES = (
    *("top", "person", "organizationalPerson", "inetOrgPerson", "inetUser", "posixAccount", "krbPrincipalAux"),
    *("krbTicketPolicyAux", "ipaObject", "ipaSshUser", "ipaSshGroupOfPubKeys"),
)

#: Exports the domain's backend, adds the users' LDIF ($3), and imports both: the replication state stays.
_IMPORT = """
set -eu
instance=$1 folder=$2 backend=userRoot ldif=/var/lib/dirsrv/slapd-$1/ldif
systemctl stop "dirsrv@$instance"
dsctl "$instance" db2ldif --replication "$backend" "$ldif/own.ldif"
cat "$ldif/own.ldif" "$folder/users.ldif" > "$ldif/all.ldif"
chown dirsrv:dirsrv "$ldif/all.ldif"
dsctl "$instance" ldif2db "$backend" "$ldif/all.ldif"
rm -r "$ldif/own.ldif" "$ldif/all.ldif" "$folder"
systemctl start "dirsrv@$instance"
"""


def name(number: int) -> str:
    """The login of the user with that number."""
    return f"bench{number:06d}"


def entries(numbers: range, suffix: str, realm: str) -> Iterator[str]:
    """Make the LDIF records of users and of the groups that they are in.

    The first number begins a group.  The same numbers give the same records, byte for byte; other numbers
    give other unique ids, without which an import would make duplicate ones.
    """
    for number in numbers:
        yield _user(number, suffix, realm)
    for first in range(numbers.start, numbers.stop, GROUP):
        yield _group(first, range(first, min(first + GROUP, numbers.stop)), suffix)


def add_users(host: Host, numbers: range) -> None:
    """Import users into the host's directory, which is stopped meanwhile; raises CommandFailed."""
    topology = host.topology
    with tempfile.TemporaryDirectory() as folder:
        ldif = Path(folder) / "users.ldif"
        with ldif.open("w", encoding="ascii") as file:
            file.writelines(entries(numbers, topology.suffix, topology.realm))
        host.run(["mkdir", "-p", _FOLDER])
        host.put(ldif, _FOLDER)
    host.run(["sh", "-c", _IMPORT, "import", host.instance, _FOLDER], timeout=3600)
    host.wait_ready()


def _user(number: int, suffix: str, realm: str) -> str:
    secret = random.Random(number)
    login, account = name(number), _FIRST_NUMBER + number
    first, last = _word(secret), _word(secret)
    unique = f"{secret.getrandbits(32):08x}-{secret.getrandbits(16):04x}-11f1-8a60-{number:012x}"
    return "\n".join(
        (
            f"dn: uid={login},cn=users,cn=accounts,{suffix}",
            *(f"objectClass: {kind}" for kind in _CLASSES),
            f"uid: {login}",
            f"givenName: {first}",
            f"sn: {last}",
            f"cn: {first} {last}",
            f"displayName: {first} {last}",
            f"initials: {first[0]}{last[0]}",
            f"gecos: {first} {last}",
            f"homeDirectory: /home/{login}",
            "loginShell: /bin/bash",
            f"mail: {login}@{realm.lower()}",
            f"uidNumber: {account}",
            f"gidNumber: {account}",
            f"krbPrincipalName: {login}@{realm}",
            f"krbCanonicalName: {login}@{realm}",
            f"krbPrincipalKey:: {_encoded(_keys(secret))}",
            f"krbExtraData:: {_encoded(_last_change(secret, f'{login}@{realm}'))}",
            "krbExtraData:: AAgBAA==",
            "krbLastPwdChange: 20260101000000Z",
            "krbPasswordExpiration: 20370101000000Z",
            "krbLoginFailedCount: 0",
            "krbTicketFlags: 128",
            f"userPassword:: {_encoded(_hash(secret))}",
            f"memberOf: cn={_group_name(number)},cn=groups,cn=accounts,{suffix}",
            f"ipaUniqueID: {unique}",
            f"creatorsName: uid=admin,cn=users,cn=accounts,{suffix}",
            f"modifiersName: uid=admin,cn=users,cn=accounts,{suffix}",
            "createTimestamp: 20260101000000Z",
            "modifyTimestamp: 20260101000000Z",
            f"nsUniqueId: {_unique_id(number, 'user')}",
            f"entryUUID: {unique}",
            "\n",
        )
    )


def _group(first: int, members: range, suffix: str) -> str:
    return "\n".join(
        (
            f"dn: cn={_group_name(first)},cn=groups,cn=accounts,{suffix}",
            *(f"objectClass: {kind}" for kind in ("top", "groupofnames", "nestedgroup", "ipausergroup", "ipaobject")),
            f"cn: {_group_name(first)}",
            f"ipaUniqueID: {first:08x}-0000-11f1-8a60-0a5d12230000",
            *(f"member: uid={name(number)},cn=users,cn=accounts,{suffix}" for number in members),
            "creatorsName: cn=Directory Manager",
            "modifiersName: cn=Directory Manager",
            "createTimestamp: 20260101000000Z",
            "modifyTimestamp: 20260101000000Z",
            f"nsUniqueId: {_unique_id(first, 'group')}",
            "\n",
        )
    )


def _group_name(number: int) -> str:
    return f"benchteam{number // GROUP:05d}"


def _unique_id(number: int, kind: str) -> str:
    """A nsUniqueId that no server makes: its clock part lies in 1582."""
    return f"{number:08x}-{1 if kind == 'user' else 2:08x}-80000000-00000000"


def _word(secret: random.Random) -> str:
    return "".join(secret.choices("abcdefghiklmnoprstuvwz", k=secret.randint(4, 9))).capitalize()


def _keys(secret: random.Random) -> bytes:
    """A KrbKeySet as MIT Kerberos's LDAP database has it: an AES-256 and an AES-128 key, encrypted."""
    keys = []
    for kind, length, size in ((AES256_SHA1, 32, 60), (AES128_SHA1, 16, 44)):
        encrypted = length.to_bytes(2, "little") + secret.randbytes(size)
        salt = encode(SEQUENCE, tagged(0, integer(0)))
        key = encode(SEQUENCE, tagged(0, integer(kind)), tagged(1, encode(OCTET_STRING, encrypted)))
        keys.append(encode(SEQUENCE, tagged(0, salt), tagged(1, key)))
    numbers = (tagged(number, integer(value)) for number, value in enumerate((1, 1, 1, 1)))
    return encode(SEQUENCE, *numbers, tagged(4, encode(SEQUENCE, *keys)))


def _last_change(secret: random.Random, principal: str) -> bytes:
    """Who changed the password, and when, as kadmind notes it."""
    return b"\0\x02" + secret.randbytes(4) + principal.encode() + b"\0"


def _hash(secret: random.Random) -> bytes:
    salt, digest = (base64.b64encode(secret.randbytes(size)).decode() for size in (24, 64))
    return f"{{PBKDF2-SHA512}}100000${salt}${digest}".encode()


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
