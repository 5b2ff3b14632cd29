"""Run by certmonger after it has renewed the agent's certificate: the authority must know the new one."""

from __future__ import annotations

import shutil
import sys

from cryptography import x509

from lab.node.ca.agents import set_agent
from lab.node.ca.client import AGENT_CERTIFICATE, AGENT_KEY
from lab.node.facts import read_facts
from lab.node.ldapi import directory


def main() -> int:
    certificate = x509.load_pem_x509_certificate(AGENT_CERTIFICATE.read_bytes())
    with directory(read_facts().authority_directory.ldapi_uri) as server:
        set_agent(server, certificate)
    for path in (AGENT_CERTIFICATE, AGENT_KEY):
        path.chmod(0o440)
        shutil.chown(path, "root", "ipaapi")
    return 0


if __name__ == "__main__":
    sys.exit(main())
