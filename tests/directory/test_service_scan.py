"""Services found in an export that comes in pieces of any size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipabackup.directory.service_scan import ServiceScan

HOST = "ipa1.example.test"
BELOW = f"cn={HOST},cn=masters,cn=ipa,cn=etc,dc=example,dc=test"
EXPORT = f"""version: 1

# entry-id: 1
dn: dc=example,dc=test
objectClass: domain
description: cn=KRA,{BELOW}

dn: cn=KDC,{BELOW}
cn: KDC
ipaConfigString: startOrder 10
ipaConfigString: enabledService

dn: cn=ipa-long-name-of-a-service-that-is-folded,cn=ipa1.example.test,cn=masters,c
 n=ipa,cn=etc,dc=example,dc=test
cn: ipa-long-name-of-a-service-that-is-folded
ipaConfigString;adcsn-6920e3b1000000040000;vucsn-6920e3b1000000040000: enabledServ
 ice

dn: cn=CA,{BELOW}
cn: CA
ipaconfigstring: hiddenService

dn: cn=DNS,{BELOW}
cn: DNS
ipaConfigString: configuredService

dn: cn=NTP,{BELOW.replace("ipa1", "ipa2")}
cn: NTP
ipaConfigString: enabledService

dn: nsuniqueid=1-2-3-4,cn=KPASSWD,{BELOW}
cn: KPASSWD
ipaConfigString: enabledService

""".encode()


@pytest.mark.row("B8")
@given(st.lists(st.integers(0, len(EXPORT)), max_size=40).map(sorted))
def test_services_are_found_wherever_the_export_is_cut(cuts: list[int]) -> None:
    scan = ServiceScan(HOST)
    for start, end in zip([0, *cuts], [*cuts, len(EXPORT)]):
        scan.feed(EXPORT[start:end])
    assert scan.close() == ["CA", "KDC", "ipa-long-name-of-a-service-that-is-folded"]


def test_an_export_that_begins_anew_forgets_the_first() -> None:
    scan = ServiceScan(HOST)
    scan.feed(EXPORT)
    scan.begin()
    assert scan.close() == []
