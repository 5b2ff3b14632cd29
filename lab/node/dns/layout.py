"""Where zones are kept for BIND, and the names of what is involved."""

from __future__ import annotations

from pathlib import Path

from lab.node.facts import RealmFacts

ACCOUNT = "bind"
KEYTAB = Path("/etc/bind/named.keytab")
ZONES = Path("/var/cache/bind/ipa")
ZONE_LIST = ZONES / "zones.conf"
NAMED = "named.service"
FOLLOWER = "ipa-dnssyncd.service"


def principal(facts: RealmFacts) -> str:
    """Who follows the zones on this host."""
    return f"DNS/{facts.host}@{facts.realm}"


def zone_file(zone: str, folder: Path = ZONES) -> Path:
    """The file of a zone; slashes of classless reverse zones do not make folders."""
    return folder / (zone.rstrip(".").replace("/", "%") + ".db")
