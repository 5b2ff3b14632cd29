"""What a certificate may be used for, by the profile it was asked for under (names: FreeIPA's)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose


@dataclass(frozen=True)
class Profile:
    """Lifetime and purposes of the certificates of one profile.

    `subject_from_realm`: only the common name of the request counts, the rest of the subject is the realm's.
    """

    name: str
    lifetime: timedelta
    purposes: tuple[x509.ObjectIdentifier, ...]
    subject_from_realm: bool = True
    needs_dns_name: bool = True


class UnknownProfile(Exception):
    """There is no profile by that name."""


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("caIPAserviceCert", timedelta(days=731), (Purpose.SERVER_AUTH, Purpose.CLIENT_AUTH)),
        Profile("caServerCert", timedelta(days=720), (Purpose.SERVER_AUTH,)),
        Profile(
            "caSubsystemCert",
            timedelta(days=720),
            (Purpose.CLIENT_AUTH,),
            needs_dns_name=False,
        ),
        Profile(
            "IECUserRoles",
            timedelta(days=731),
            (Purpose.CLIENT_AUTH, Purpose.EMAIL_PROTECTION),
            needs_dns_name=False,
        ),
    )
}
DEFAULT_PROFILE = "caIPAserviceCert"


def profile_named(name: str) -> Profile:
    """Raises UnknownProfile."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UnknownProfile(f"{name}: certificate profile not found") from None
