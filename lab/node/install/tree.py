"""What the domain's suffix holds from the first day: containers, settings, access control, the first
accounts.
"""

from __future__ import annotations

import uuid

from lab.node.facts import RealmFacts
from lab.node.ldapi import Directory

CONTAINERS = (
    "cn=accounts",
    "cn=users,cn=accounts",
    "cn=groups,cn=accounts",
    "cn=services,cn=accounts",
    "cn=computers,cn=accounts",
    "cn=hostgroups,cn=accounts",
    "cn=roles,cn=accounts",
    "cn=alt",
    "cn=ng,cn=alt",
    "cn=hbac",
    "cn=sudo",
    "cn=sudorules,cn=sudo",
    "cn=dns",
    "cn=etc",
    "cn=sysaccounts,cn=etc",
    "cn=ipa,cn=etc",
    "cn=masters,cn=ipa,cn=etc",
    "cn=replicas,cn=ipa,cn=etc",
    "cn=dna,cn=ipa,cn=etc",
    "cn=posix-ids,cn=dna,cn=ipa,cn=etc",
    "cn=ca_renewal,cn=ipa,cn=etc",
    "cn=certificates,cn=ipa,cn=etc",
    "cn=ranges,cn=etc",
    "cn=Managed Entries,cn=etc",
    "cn=Templates,cn=Managed Entries,cn=etc",
    "cn=Definitions,cn=Managed Entries,cn=etc",
    "cn=ca",
    "cn=pbac",
    "cn=privileges,cn=pbac",
    "cn=permissions,cn=pbac",
)
SECRETS = "userPassword || krbPrincipalKey || krbMKey || krbPwdHistory || krbExtraData"
USER_OWN = (
    "cn || givenName || sn || displayName || initials || gecos || loginShell || mail || telephoneNumber || mobile"
)


def add_tree(
    directory: Directory,
    facts: RealmFacts,
    *,
    admin_password: str,
    first_id: int,
    id_range: int,
    subject_base: str,
    next_replica_id: int,
) -> None:
    """Add what is missing. Numbers: `first_id` is admin's uid and the gid of admins."""
    base = facts.basedn
    for container in CONTAINERS:
        directory.add_if_missing(f"{container},{base}", {"objectClass": ["top", "nsContainer"], "cn": _name(container)})
    directory.add_if_missing(
        f"cn=anonymous-limits,cn=etc,{base}",
        {
            "objectClass": ["top", "nsContainer", "extensibleObject"],
            "cn": "anonymous-limits",
            "nsSizeLimit": 5000,
            "nsLookThroughLimit": 100000,
        },
    )
    _add_accounts(directory, facts, admin_password, first_id)
    _add_settings(directory, facts, subject_base)
    directory.add_if_missing(
        f"cn={facts.realm}_id_range,cn=ranges,cn=etc,{base}",
        {
            "objectClass": ["top", "ipaIDrange", "ipaDomainIDRange"],
            "cn": f"{facts.realm}_id_range",
            "ipaBaseID": first_id,
            "ipaIDRangeSize": id_range,
            "ipaRangeType": "ipa-local",
        },
    )
    directory.add_if_missing(
        f"cn=replication,cn=etc,{base}",
        {
            "objectClass": ["top", "extensibleObject"],
            "cn": "replication",
            "nsDS5ReplicaId": next_replica_id,
        },
    )
    add_master(directory, facts)
    add_principals(directory, facts)
    _grant(directory, facts)


def _name(container: str) -> str:
    return container.split(",", 1)[0].removeprefix("cn=")


def unique_id() -> str:
    """A new ipaUniqueID."""
    return str(uuid.uuid1())


def _add_accounts(directory: Directory, facts: RealmFacts, admin_password: str, first_id: int) -> None:
    base = facts.basedn
    admin = f"uid=admin,cn=users,cn=accounts,{base}"
    directory.add_if_missing(
        admin,
        {
            "objectClass": [
                "top",
                "person",
                "posixaccount",
                "krbprincipalaux",
                "krbticketpolicyaux",
                "inetuser",
                "ipaobject",
                "ipasshuser",
                "ipaSshGroupOfPubKeys",
            ],
            "uid": "admin",
            "cn": "Administrator",
            "sn": "Administrator",
            "gecos": "Administrator",
            "uidNumber": first_id,
            "gidNumber": first_id,
            "homeDirectory": "/home/admin",
            "loginShell": "/bin/bash",
            "ipaUniqueID": unique_id(),
            "krbPrincipalName": [f"admin@{facts.realm}", f"root@{facts.realm}"],
            "krbCanonicalName": f"admin@{facts.realm}",
            "userPassword": admin_password,
        },
    )
    groups: tuple[tuple[str, str, int | None, list[str]], ...] = (
        ("admins", "Account administrators group", first_id, [admin]),
        ("ipausers", "Default group for all users", None, []),
        ("editors", "Limited admins who can edit other users", first_id + 2, []),
    )
    for name, description, gid, members in groups:
        classes = ["top", "groupofnames", "nestedgroup", "ipausergroup", "ipaobject"]
        entry: dict[str, str | int | list[str]] = {
            "cn": name,
            "description": description,
            "ipaUniqueID": unique_id(),
        }
        if gid is not None:
            classes.append("posixgroup")
            entry["gidNumber"] = gid
        if members:
            entry["member"] = members
        directory.add_if_missing(f"cn={name},cn=groups,cn=accounts,{base}", {"objectClass": classes, **entry})
    directory.add_if_missing(
        f"cn=replication managers,cn=sysaccounts,cn=etc,{base}",
        {"objectClass": ["top", "groupofnames"], "cn": "replication managers"},
    )


def _add_settings(directory: Directory, facts: RealmFacts, subject_base: str) -> None:
    directory.add_if_missing(
        f"cn=ipaConfig,cn=etc,{facts.basedn}",
        {
            "objectClass": ["top", "nsContainer", "ipaGuiConfig", "ipaConfigObject", "ipaUserAuthTypeClass"],
            "cn": "ipaConfig",
            "ipaUserSearchFields": "uid,givenname,sn,telephonenumber,ou,title",
            "ipaGroupSearchFields": "cn,description",
            "ipaSearchTimeLimit": 2,
            "ipaSearchRecordsLimit": 100,
            "ipaHomesRootDir": "/home",
            "ipaDefaultLoginShell": "/bin/sh",
            "ipaDefaultPrimaryGroup": "ipausers",
            "ipaMaxUsernameLength": 32,
            "ipaMaxHostnameLength": 64,
            "ipaPwdExpAdvNotify": 4,
            "ipaDefaultEmailDomain": facts.domain,
            "ipaMigrationEnabled": "FALSE",
            "ipaConfigString": ["AllowNThash", "KDC:Disable Last Success"],
            "ipaCertificateSubjectBase": subject_base,
            "ipaSELinuxUserMapOrder": "guest_u:s0$xguest_u:s0$user_u:s0$staff_u:s0-s0:c0.c1023"
            "$sysadm_u:s0-s0:c0.c1023$unconfined_u:s0-s0:c0.c1023",
            "ipaSELinuxUserMapDefault": "unconfined_u:s0-s0:c0.c1023",
            "ipaKrbAuthzData": ["MS-PAC", "nfs:NONE"],
        },
    )
    directory.add_if_missing(
        f"cn=Domain Level,cn=ipa,cn=etc,{facts.basedn}",
        {
            "objectClass": ["top", "nsContainer", "ipaDomainLevelConfig", "ipaConfigObject"],
            "cn": "Domain Level",
            "ipaDomainLevel": 1,
        },
    )


def add_master(directory: Directory, facts: RealmFacts, *, with_authority: bool | None = None) -> None:
    """List a host among the masters; whether it has the CA's suffix is looked up unless said."""
    suffixes = [facts.basedn]
    if with_authority or (with_authority is None and directory.exists("o=ipaca")):
        suffixes.append("o=ipaca")
    directory.add_if_missing(
        facts.master_dn,
        {
            "objectClass": [
                "top",
                "nsContainer",
                "ipaReplTopoManagedServer",
                "ipaConfigObject",
                "ipaSupportedDomainLevelConfig",
            ],
            "cn": facts.hostname,
            "ipaMinDomainLevel": 1,
            "ipaMaxDomainLevel": 1,
            "ipaReplTopoManagedSuffix": suffixes,
        },
    )


def add_principals(directory: Directory, facts: RealmFacts) -> None:
    """The entries of a master's host, directory and web server, still without keys; it may replicate."""
    host = f"fqdn={facts.hostname},cn=computers,cn=accounts,{facts.basedn}"
    directory.add_if_missing(
        host,
        {
            "objectClass": [
                "top",
                "nshost",
                "ipahost",
                "ipaobject",
                "ipasshhost",
                "ipaSshGroupOfPubKeys",
                "pkiuser",
                "krbprincipalaux",
                "krbticketpolicyaux",
            ],
            "fqdn": facts.hostname,
            "cn": facts.hostname,
            "serverHostName": facts.hostname.split(".", 1)[0],
            "managedBy": host,
            "ipaUniqueID": unique_id(),
            "krbPrincipalName": f"host/{facts.hostname}@{facts.realm}",
            "krbCanonicalName": f"host/{facts.hostname}@{facts.realm}",
            "krbTicketFlags": 128,
        },
    )
    for service in ("ldap", "HTTP"):
        principal = f"{service}/{facts.hostname}@{facts.realm}"
        directory.add_if_missing(
            f"krbprincipalname={principal},cn=services,cn=accounts,{facts.basedn}",
            {
                "objectClass": [
                    "top",
                    "ipaservice",
                    "ipaobject",
                    "pkiuser",
                    "krbprincipalaux",
                    "krbticketpolicyaux",
                ],
                "krbPrincipalName": principal,
                "krbCanonicalName": principal,
                "krbTicketFlags": 128,
                "ipaUniqueID": unique_id(),
                "managedBy": host,
            },
        )
    directory.ensure_values(
        f"cn=replication managers,cn=sysaccounts,cn=etc,{facts.basedn}",
        "member",
        f"krbprincipalname=ldap/{facts.hostname}@{facts.realm},cn=services,cn=accounts,{facts.basedn}",
    )


def _grant(directory: Directory, facts: RealmFacts) -> None:
    """Everybody reads what is not secret, users change their own particulars, members of admins do
    everything.
    """
    admins = f"ldap:///cn=admins,cn=groups,cn=accounts,{facts.basedn}"
    directory.ensure_values(
        facts.basedn,
        "aci",
        [
            f'(targetattr != "{SECRETS}")(version 3.0; acl "Read what is not secret"; '
            f'allow (read, search, compare) userdn = "ldap:///anyone";)',
            f'(targetattr != "krbMKey")(version 3.0; acl "Admins manage everything"; '
            f'allow (all) groupdn = "{admins}";)',
            f'(targetattr = "{USER_OWN}")(version 3.0; acl "Users change their own particulars"; '
            f'allow (write) userdn = "ldap:///self";)',
        ],
    )
