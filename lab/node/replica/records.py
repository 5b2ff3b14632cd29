"""The DNS records of a master that serves no DNS itself."""

from __future__ import annotations

from lab.node.component import Install
from lab.node.dns.address import add_pointer, present_addresses
from lab.node.dns.records import DEFAULT_TTL, SERVICE_RECORDS, absolute
from lab.node.facts import RealmFacts
from lab.node.install.dns import add_host_services
from lab.node.ldapi import directory
from lab.node.replica.joining import Joining


def service_lines(facts: RealmFacts) -> list[str]:
    """The records by which clients find a master, as a zone file has them."""
    return [f"{name}.{facts.domain}. {DEFAULT_TTL} IN SRV 0 100 {port} {facts.host}." for name, port in SERVICE_RECORDS]


class Records:
    """Adds the records where the realm has the zone; prints them for the administrator where it has not."""

    name = "dns-records"
    title = "DNS records"

    def __init__(self, joining: Joining) -> None:
        self.joining = joining

    def configure(self, install: Install) -> None:
        facts = install.facts
        with directory(facts.ldapi_uri) as server:
            if server.exists(f"idnsName={absolute(facts.domain)},cn=dns,{facts.basedn}"):
                install.run_steps(self.title, [("adding this master's records", lambda: self._add(install))])
                return
        install.progress("Please add records in this list to your DNS system:")
        for line in service_lines(facts):
            install.progress(line)

    def unconfigure(self, install: Install) -> None:
        """Records of a master that is gone are removed by the others: ipa-replica-manage del."""

    def _add(self, install: Install) -> None:
        addresses = list(install.options.ip_addresses) or present_addresses()
        with directory(install.facts.ldapi_uri) as server:
            add_host_services(server, install.facts, addresses, with_authority=self.joining.with_authority)
            if not install.options.no_reverse:
                for address in addresses:
                    add_pointer(server, install.facts, address)
