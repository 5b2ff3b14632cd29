"""ipalab-ca-adopt: after a restore of data alone onto a new installation, let its authority use the old records.

It stands for what an administrator of FreeIPA does by hand with ldapmodify: the accounts pkidbuser and ipara below
o=ipaca, and the realm's CA certificate in the directory, become those of this host.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from cryptography import x509

from lab.node.ca.adopt import adopt, foreign
from lab.node.ca.client import AGENT_CERTIFICATE
from lab.node.ca.layout import BadConfiguration, place_of, read_configuration
from lab.node.ca.records import NoSuchCertificate, Repository
from lab.node.facts import NotConfigured, read_facts
from lab.node.install.checks import Refused, require_root
from lab.node.install.trust import publish_in_directory
from lab.node.ldapi import DirectoryError, directory


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 done, 1 not."""
    words = argparse.ArgumentParser(prog="ipalab-ca-adopt", description=str(__doc__).split(": ", 1)[1])
    words.parse_args(argv)
    try:
        require_root("run ipalab-ca-adopt")
        facts = read_facts()
        place, records = place_of(facts.dogtag_version), facts.authority_directory
        password = read_configuration(place).bind_password
        signing = x509.load_pem_x509_certificate((place.alias / "ca_signing.crt").read_bytes())
        agent = x509.load_pem_x509_certificate(AGENT_CERTIFICATE.read_bytes())
        with directory(records.ldapi_uri) as server:
            adopt(server, password, agent)
        with directory(facts.ldapi_uri) as server:
            publish_in_directory(server, facts, [signing])
        remark = foreign(Repository(lambda: directory(records.ldapi_uri)), signing)
    except (Refused, NotConfigured, BadConfiguration, NoSuchCertificate, DirectoryError, OSError, ValueError) as error:
        print(f"ipalab-ca-adopt: {error}", file=sys.stderr)
        return 1
    print("The authority of this host uses the records of the directory.")
    if remark:
        print(f"Mind that {remark}.")
    return 0
