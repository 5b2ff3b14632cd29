"""What the client prints: FreeIPA's labels, order, dashes and blanks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Labels = Sequence[tuple[str, str]]

USER: Labels = (
    ("uid", "User login"),
    ("givenname", "First name"),
    ("sn", "Last name"),
    ("cn", "Full name"),
    ("displayname", "Display name"),
    ("initials", "Initials"),
    ("homedirectory", "Home directory"),
    ("gecos", "GECOS"),
    ("loginshell", "Login shell"),
    ("krbcanonicalname", "Principal name"),
    ("krbprincipalname", "Principal alias"),
    ("krbprincipalexpirationtime", "Kerberos principal expiration"),
    ("krbpasswordexpiration", "User password expiration"),
    ("mail", "Email address"),
    ("randompassword", "Random password"),
    ("uidnumber", "UID"),
    ("gidnumber", "GID"),
    ("telephonenumber", "Telephone Number"),
    ("ou", "Org. Unit"),
    ("title", "Job Title"),
    ("ipasshpubkey", "SSH public key"),
    ("usercertificate", "Certificate"),
    ("nsaccountlock", "Account disabled"),
    ("has_password", "Password"),
    ("memberof_group", "Member of groups"),
    ("has_keytab", "Kerberos keys available"),
)
GROUP: Labels = (
    ("cn", "Group name"),
    ("description", "Description"),
    ("gidnumber", "GID"),
    ("member_user", "Member users"),
    ("member_group", "Member groups"),
    ("memberof_group", "Member of groups"),
)
HOST: Labels = (
    ("fqdn", "Host name"),
    ("description", "Description"),
    ("l", "Location"),
    ("nshardwareplatform", "Platform"),
    ("nsosversion", "Operating system"),
    ("usercertificate", "Certificate"),
    ("krbcanonicalname", "Principal name"),
    ("krbprincipalname", "Principal alias"),
    ("has_password", "Password"),
    ("memberof_hostgroups", "Member of host-groups"),
    ("has_keytab", "Keytab"),
    ("managedby_host", "Managed by"),
)
SERVICE: Labels = (
    ("krbcanonicalname", "Principal name"),
    ("krbprincipalname", "Principal alias"),
    ("usercertificate", "Certificate"),
    ("has_keytab", "Keytab"),
    ("managedby_host", "Managed by"),
)
CERTIFICATE: Labels = (
    ("cacn", "Issuing CA"),
    ("certificate", "Certificate"),
    ("subject", "Subject"),
    ("san_dnsname", "Subject DNS name"),
    ("issuer", "Issuer"),
    ("valid_not_before", "Not Before"),
    ("valid_not_after", "Not After"),
    ("serial_number", "Serial number"),
    ("serial_number_hex", "Serial number (hex)"),
    ("status", "Status"),
    ("revoked", "Revoked"),
    ("revocation_reason", "Revocation reason"),
    ("unrevoked", "Unrevoked"),
)
ZONE: Labels = (
    ("idnsname", "Zone name"),
    ("idnszoneactive", "Active zone"),
    ("idnssoamname", "Authoritative nameserver"),
    ("idnssoarname", "Administrator e-mail address"),
    ("idnssoaserial", "SOA serial"),
    ("idnssoarefresh", "SOA refresh"),
    ("idnssoaretry", "SOA retry"),
    ("idnssoaexpire", "SOA expire"),
    ("idnssoaminimum", "SOA minimum"),
    ("idnsupdatepolicy", "BIND update policy"),
    ("idnsallowdynupdate", "Dynamic update"),
    ("idnsallowquery", "Allow query"),
    ("idnsallowtransfer", "Allow transfer"),
)
RECORD: Labels = (
    ("idnsname", "Record name"),
    ("dnsttl", "Time to live"),
    ("arecord", "A record"),
    ("aaaarecord", "AAAA record"),
    ("cnamerecord", "CNAME record"),
    ("dnamerecord", "DNAME record"),
    ("mxrecord", "MX record"),
    ("nsrecord", "NS record"),
    ("ptrrecord", "PTR record"),
    ("srvrecord", "SRV record"),
    ("sshfprecord", "SSHFP record"),
    ("txtrecord", "TXT record"),
    ("urirecord", "URI record"),
)
SETTINGS: Labels = (
    ("ipamaxusernamelength", "Maximum username length"),
    ("ipamaxhostnamelength", "Maximum hostname length"),
    ("ipahomesrootdir", "Home directory base"),
    ("ipadefaultloginshell", "Default shell"),
    ("ipadefaultprimarygroup", "Default users group"),
    ("ipadefaultemaildomain", "Default e-mail domain"),
    ("ipasearchtimelimit", "Search time limit"),
    ("ipasearchrecordslimit", "Search size limit"),
    ("ipausersearchfields", "User search fields"),
    ("ipagroupsearchfields", "Group search fields"),
    ("ipamigrationenabled", "Enable migration mode"),
    ("ipacertificatesubjectbase", "Certificate Subject base"),
    ("ipapwdexpadvnotify", "Password Expiration Notification (days)"),
    ("ipaconfigstring", "Password plugin features"),
    ("ipaselinuxusermaporder", "SELinux user map order"),
    ("ipaselinuxusermapdefault", "Default SELinux user"),
    ("ipakrbauthzdata", "Default PAC types"),
    ("ipa_master_server", "IPA masters"),
    ("ca_server_server", "IPA CA servers"),
    ("ca_renewal_master_server", "IPA CA renewal master"),
    ("dns_server_server", "IPA DNS servers"),
    ("ipaservicekeytypesize", "IPA Service key type:size"),
)


def value_text(value: Any) -> str:
    """Several values with commas between, binary ones in base64."""
    if isinstance(value, (list, tuple)):
        return ", ".join(value_text(one) for one in value)
    if isinstance(value, Mapping):
        return str(value.get("__base64__", value))
    return str(value)


def entry_lines(entry: Mapping[str, Any], labels: Labels, *, everything: bool = False) -> list[str]:
    """An entry's labelled attributes in order; with `everything` the others follow under their own names."""
    lines = [f"  dn: {entry['dn']}"] if everything and "dn" in entry else []
    lines += [f"  {label}: {value_text(entry[name])}" for name, label in labels if _present(entry, name)]
    if everything:
        known = {name for name, _ in labels} | {"dn"}
        lines += [f"  {name}: {value_text(entry[name])}" for name in sorted(set(entry) - known) if entry[name] != []]
    return lines


def _present(entry: Mapping[str, Any], name: str) -> bool:
    return name in entry and entry[name] not in (None, [], "")


def dashed(text: str) -> list[str]:
    """A line between dashes of its length."""
    return ["-" * len(text), text, "-" * len(text)]


def result_lines(result: Mapping[str, Any], labels: Labels, *, everything: bool = False) -> list[str]:
    """What is printed for the result of a command."""
    lines: list[str] = []
    if result.get("summary"):
        lines += dashed(str(result["summary"]))
    found = result.get("result")
    if isinstance(found, list):
        for number, entry in enumerate(found):
            lines += [""] if number else []
            lines += entry_lines(entry, labels, everything=everything)
        lines += dashed(f"Number of entries returned {result['count']}")
    elif isinstance(found, Mapping) and "failed" not in found:
        lines += entry_lines(found, labels, everything=everything)
    return lines


def member_lines(result: Mapping[str, Any], deed: str) -> Iterable[str]:
    """What follows the group after its members were changed."""
    failed = result["failed"]["member"]
    if any(failed.values()):
        yield "  Failed members: "
        for kind in ("user", "group"):
            yield f"    member {kind}: " + ", ".join(f"{name}: {why}" for name, why in failed[kind])
    yield from dashed(f"Number of members {deed} {result['completed']}")


def exit_status(result: Mapping[str, Any]) -> int:
    """0, or 1 when nothing was found or a member could not be changed."""
    if result.get("count") == 0 or (result.get("completed") == 0 and "failed" in result):
        return 1
    return 0
