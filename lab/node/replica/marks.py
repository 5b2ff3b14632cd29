"""A replica file makes one replica: a mark in the directory says that it was not used yet.

It stands on an entry below cn=replicas,cn=ipa,cn=etc, named after the host; preparing again makes older files useless.
"""

from __future__ import annotations

import ldap

from lab.node.facts import RealmFacts
from lab.node.install.checks import Refused
from lab.node.ldapi import Directory

PREFIX = "replicaFile "


def _dn(facts: RealmFacts, host: str) -> str:
    return f"cn={host},cn=replicas,cn=ipa,cn=etc,{facts.basedn}"


def set_mark(server: Directory, facts: RealmFacts, host: str, mark: str) -> None:
    """Make the file with this mark the one that is good for the host."""
    dn = _dn(facts, host)
    server.add_if_missing(dn, {"objectClass": ["top", "nsContainer", "ipaConfigObject"], "cn": host})
    server.replace(dn, {"ipaConfigString": f"{PREFIX}{mark}"})


def check_mark(server: Directory, facts: RealmFacts, host: str, mark: str) -> None:
    """Refuse a file that was used, or that a newer one has replaced."""
    entry = server.get(_dn(facts, host), ["ipaConfigString"]) or {}
    if f"{PREFIX}{mark}".encode() not in entry.get("ipaConfigString", []):
        raise _used(host)


def use_mark(server: Directory, facts: RealmFacts, host: str, mark: str) -> None:
    """The file is used now; Refused when somebody else was faster."""
    try:
        server.remove_values(_dn(facts, host), "ipaConfigString", f"{PREFIX}{mark}")
    except (ldap.NO_SUCH_ATTRIBUTE, ldap.NO_SUCH_OBJECT) as error:
        raise _used(host) from error
    server.delete(_dn(facts, host))


def _used(host: str) -> Refused:
    return Refused(
        f"This replica file was used already, or a newer one was made for {host}: a file makes one replica.\n"
        f"Make another with: ipa-replica-prepare {host}"
    )
