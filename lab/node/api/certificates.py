"""Certificates: FreeIPA's cert_*. The authority signs for this host's agent; who may ask is decided here."""

from __future__ import annotations

import base64
from typing import Any

from cryptography import x509

from lab.node.api.caller import Attributes, Caller, Options, Result
from lab.node.api.errors import AccessDenied, CertificateTrouble, Invalid, Missing, NotFound
from lab.node.api.hosts import HOST, SERVICE, create_service
from lab.node.api.objects import Kind, found_result
from lab.node.api.registry import argument, command, optional
from lab.node.api.users import USER
from lab.node.ca.authority import BadRequest, common_name, der, dns_names, read_request
from lab.node.ca.client import AuthorityClient, AuthorityRefused, AuthorityUnreachable
from lab.node.ca.profiles import DEFAULT_PROFILE

CERTIFICATE = "userCertificate;binary"
TIME = "%a %b %d %H:%M:%S %Y UTC"


def _has_authority(caller: Caller) -> bool:
    """Whether any master of the realm runs the authority."""
    masters = f"cn=masters,cn=ipa,cn=etc,{caller.facts.basedn}"
    return bool(caller.directory.search(masters, "(&(cn=CA)(ipaConfigString=enabledService))", ["1.1"]))


def _authority(caller: Caller) -> AuthorityClient:
    """Raises NotFound in a realm without one, as FreeIPA does."""
    if not _has_authority(caller):
        raise NotFound("CA is not configured")
    return AuthorityClient(caller.facts.authority_host)


def _asked(deed: Any, *arguments: Any, **options: Any) -> Any:
    """Do something with the authority; its refusals become the API's."""
    try:
        return deed(*arguments, **options)
    except AuthorityUnreachable as error:
        raise CertificateTrouble(f"Unable to communicate with CMS ({error})") from error
    except AuthorityRefused as error:
        if error.status == 404:
            raise NotFound(str(error)) from error
        raise CertificateTrouble(str(error)) from error


def plainly(certificate: x509.Certificate) -> Attributes:
    """What a certificate says of itself."""
    serial = certificate.serial_number
    found: Attributes = {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "valid_not_before": certificate.not_valid_before_utc.strftime(TIME),
        "valid_not_after": certificate.not_valid_after_utc.strftime(TIME),
        "serial_number": str(serial),
        "serial_number_hex": f"0x{serial:X}",
    }
    names = dns_names(certificate.extensions)
    if names:
        found["san_dnsname"] = names
    return found


def _kept(caller: Caller, subject: str) -> list[Attributes]:
    """The certificates that entries of the realm keep, which is all that is known without an authority."""
    entries = caller.directory.search(f"cn=accounts,{caller.facts.basedn}", "(userCertificate=*)", [CERTIFICATE])
    held = dict.fromkeys(value for _, entry in entries for name in entry for value in entry[name])
    found = (plainly(x509.load_der_x509_certificate(value)) for value in held)
    return [entry for entry in found if subject.lower() in entry["subject"].lower()]


def shown(record: dict[str, Any], *, whole: bool) -> Attributes:
    """A record as it goes over the wire; `whole` with the certificate itself."""
    certificate = x509.load_pem_x509_certificate(record["pem"].encode())
    found: Attributes = {
        "cacn": "ipa",
        **plainly(certificate),
        "status": record["status"],
        "revoked": record["status"] == "REVOKED",
    }
    if found["revoked"]:
        found["revocation_reason"] = record["revocationReason"]
    if whole:
        found["certificate"] = base64.b64encode(der(certificate)).decode()
        found["certificate_chain"] = [record["pem"]]
    return found


def serial_number(given: str) -> int:
    """Decimal, or hexadecimal with 0x. Raises Invalid."""
    try:
        return int(given, 0)
    except ValueError:
        raise Invalid("serial_number", "must be an integer") from None


@command("cert_find")
def cert_find(caller: Caller, arguments: list[Any], options: Options) -> Result:
    subject = str(options.get("subject") or optional(arguments, 0))
    if not _has_authority(caller):
        return found_result(_kept(caller, subject), "certificate", "certificates")
    records = _asked(_authority(caller).search, subject, str(options.get("status") or ""))
    entries = [shown(record, whole=False) for record in records]
    for entry in entries:
        entry.pop("revocation_reason", None)
    return found_result(entries, "certificate", "certificates")


@command("cert_show")
def cert_show(caller: Caller, arguments: list[Any], _options: Options) -> Result:
    serial = serial_number(argument(arguments, 0, "serial_number"))
    entry = shown(_asked(_authority(caller).show, serial), whole=True)
    entry.pop("status")
    return {"result": entry, "value": str(serial), "summary": None}


@command("cert_request")
def cert_request(caller: Caller, arguments: list[Any], options: Options) -> Result:
    csr = argument(arguments, 0, "csr")
    principal = str(options.get("principal") or "")
    if not principal:
        raise Missing("principal")
    if "@" not in principal:
        principal = f"{principal}@{caller.facts.realm}"
    try:
        request = read_request(csr)
        subject = common_name(request.subject)
        names = dns_names(request.extensions)
    except BadRequest as error:
        raise Invalid("csr", str(error)) from error
    kind, key = _owner(principal)
    if kind is not USER:
        host = principal.partition("/")[2].partition("@")[0]
        for name in (subject, *names):
            if name.lower() != host.lower():
                raise AccessDenied(
                    f"hostname in subject of request '{name}' does not match principal hostname '{host}'"
                )
    dn = kind.dn(caller, key)
    if not caller.directory.exists(dn):
        if kind is not SERVICE or not options.get("add"):
            raise NotFound(f"The principal for this request doesn't exist: {principal}")
        create_service(caller, principal)
    if not _may_store(caller, dn):
        raise AccessDenied(f"Insufficient 'write' privilege to the 'userCertificate' attribute of entry '{dn}'.")
    profile = str(options.get("profile_id") or DEFAULT_PROFILE)
    record = _asked(_authority(caller).request, csr, profile)
    caller.directory.ensure_values(dn, CERTIFICATE, der(x509.load_pem_x509_certificate(record["pem"].encode())))
    entry = shown(record, whole=True)
    for name in ("status", "revoked"):
        entry.pop(name)
    return {"result": entry, "value": "", "summary": None}


@command("cert_revoke")
def cert_revoke(caller: Caller, arguments: list[Any], options: Options) -> Result:
    serial = serial_number(argument(arguments, 0, "serial_number"))
    reason = int(options.get("revocation_reason") or 0)
    if reason not in (0, 1, 2, 3, 4, 5, 6, 8, 9, 10):
        raise Invalid("revocation_reason", f"{reason} is not a valid revocation reason")
    _admins_only(caller, "certificate revocation")
    _asked(_authority(caller).revoke, serial, reason)
    return {"result": {"revoked": True}, "value": str(serial), "summary": None}


@command("cert_remove_hold")
def cert_remove_hold(caller: Caller, arguments: list[Any], _options: Options) -> Result:
    serial = serial_number(argument(arguments, 0, "serial_number"))
    _admins_only(caller, "certificate remove hold")
    _asked(_authority(caller).release, serial)
    return {"result": {"unrevoked": True}, "value": str(serial), "summary": None}


def _owner(principal: str) -> tuple[Kind, str]:
    """Which kind of entry a principal has, and by which name."""
    name = principal.partition("@")[0]
    if "/" not in name:
        return USER, name
    service, host = name.split("/", 1)
    return (HOST, host.lower()) if service == "host" else (SERVICE, principal)


def _may_store(caller: Caller, dn: str) -> bool:
    """Whether the caller may write to that entry: its own, one of a host that it manages, or any for admins."""
    if caller.is_admin() or caller.dn.lower() == dn.lower():
        return True
    entry = caller.directory.get(dn, ["managedBy"]) or {}
    return caller.dn.lower() in (value.decode().lower() for value in entry.get("managedBy", []))


def _admins_only(caller: Caller, what: str) -> None:
    if not caller.is_admin():
        raise AccessDenied(f"not allowed to perform operation: {what}")
