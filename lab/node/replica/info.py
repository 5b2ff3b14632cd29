"""What a replica has to be given before it can ask for anything: names, trust, keys.

With a replica file it comes from ipa-replica-prepare; without one an administrator's credentials fetch it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from lab.node.ca.authority import key_pem, pem


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey = field(repr=False)

    def as_json(self) -> dict[str, str]:
        return {"certificate": pem(self.certificate).decode(), "key": key_pem(self.key).decode()}

    @classmethod
    def from_json(cls, data: Mapping[str, str]) -> KeyPair:
        """Raises KeyError, ValueError for what is none."""
        key = load_pem_private_key(data["key"].encode(), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("the key is not an RSA key")
        return cls(x509.load_pem_x509_certificate(data["certificate"].encode()), key)


@dataclass(frozen=True)
class RealmSecrets:
    """What all masters of a realm share beside the directory's data.

    `agent` is None in a realm without an authority; `signing` and `database_password` (of the authority's account in
    the directory) are there for a replica that may have the authority, `manager_hash` is the Directory Manager's
    password as the directory stores it.
    """

    authorities: tuple[x509.Certificate, ...]
    agent: KeyPair | None = None
    signing: KeyPair | None = None
    database_password: str = field(default="", repr=False)
    manager_hash: str = field(default="", repr=False)

    def as_json(self) -> dict[str, Any]:
        return {
            "authorities": [pem(one).decode() for one in self.authorities],
            "agent": self.agent.as_json() if self.agent else None,
            "signing": self.signing.as_json() if self.signing else None,
            "database_password": self.database_password,
            "manager_hash": self.manager_hash,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RealmSecrets:
        """Raises KeyError, ValueError."""
        return cls(
            authorities=tuple(x509.load_pem_x509_certificate(one.encode()) for one in data["authorities"]),
            agent=KeyPair.from_json(data["agent"]) if data["agent"] else None,
            signing=KeyPair.from_json(data["signing"]) if data["signing"] else None,
            database_password=str(data["database_password"]),
            manager_hash=str(data["manager_hash"]),
        )


@dataclass(frozen=True)
class ReplicaInfo:
    """Everything for one replica. `master` made it; `mark` says on the master whether it was used already.

    `keytabs` are the keys of the host, ldap and HTTP principals; certificates are None where the replica requests its
    own.
    """

    realm: str
    domain: str
    master: str
    host: str
    version: str
    subject_base: str
    secrets: RealmSecrets
    keytabs: Mapping[str, bytes] = field(repr=False)
    mark: str = ""
    directory_certificate: KeyPair | None = None
    web_certificate: KeyPair | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "realm": self.realm,
            "domain": self.domain,
            "master": self.master,
            "host": self.host,
            "version": self.version,
            "subject_base": self.subject_base,
            "secrets": self.secrets.as_json(),
            "keytabs": {name: base64.b64encode(data).decode() for name, data in self.keytabs.items()},
            "mark": self.mark,
            "directory_certificate": self.directory_certificate.as_json() if self.directory_certificate else None,
            "web_certificate": self.web_certificate.as_json() if self.web_certificate else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ReplicaInfo:
        """Raises KeyError, ValueError."""

        def pair(name: str) -> KeyPair | None:
            return KeyPair.from_json(data[name]) if data[name] else None

        return cls(
            realm=str(data["realm"]),
            domain=str(data["domain"]),
            master=str(data["master"]),
            host=str(data["host"]),
            version=str(data["version"]),
            subject_base=str(data["subject_base"]),
            secrets=RealmSecrets.from_json(data["secrets"]),
            keytabs={name: base64.b64decode(text) for name, text in data["keytabs"].items()},
            mark=str(data["mark"]),
            directory_certificate=pair("directory_certificate"),
            web_certificate=pair("web_certificate"),
        )
