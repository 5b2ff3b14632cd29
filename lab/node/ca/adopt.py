"""Records that a restore has put below o=ipaca, and the authority of an installation that is younger than they are.

The records bring the accounts of the old installation with them: the daemon's password and the agent's certificate do
not fit any more. Adopting gives both accounts what this host has. The records stay as they are: they tell of
certificates that the old key has signed, and new ones get the serial numbers after theirs.
"""

from __future__ import annotations

from cryptography import x509

from lab.node.ca.agents import set_agent
from lab.node.ca.layout import DATABASE_USER
from lab.node.ca.records import Repository
from lab.node.ldapi import Directory


def adopt(server: Directory, password: str, agent: x509.Certificate) -> None:
    """Let the daemon with this password, and the agent with this certificate, use what is there."""
    server.replace(DATABASE_USER, {"userPassword": password})
    set_agent(server, agent)


def foreign(repository: Repository, signing: x509.Certificate) -> str:
    """What has to be said about the records, or "" when they are this authority's own. Raises NoSuchCertificate."""
    if repository.get(signing.serial_number).certificate == signing:
        return ""
    return (
        "the records below o=ipaca are of an authority with another key: certificates that they list were not signed "
        "by this one, and this one's first certificates are not among them"
    )
