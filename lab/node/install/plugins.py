"""Settings below cn=config: indexes, plug-ins, identity mappings."""

from __future__ import annotations

from lab.node.facts import RealmFacts
from lab.node.ldapi import Directory

PLUGINS = "cn=plugins,cn=config"
INDEXES = {
    "userRoot": {
        "krbPrincipalName": ["eq", "sub"],
        "krbCanonicalName": ["eq", "sub"],
        "ipaUniqueID": ["eq"],
        "fqdn": ["eq", "pres", "sub"],
        "managedBy": ["eq", "pres"],
        "idnsName": ["eq", "pres", "sub"],
        "displayName": ["eq", "sub"],
        "description": ["eq", "sub"],
    },
}


def configure_indexes(directory: Directory, facts: RealmFacts) -> None:
    """Index what is searched for; while the databases are empty this costs nothing."""
    del facts
    for backend, indexes in INDEXES.items():
        base = f"cn=index,cn={backend},cn=ldbm database,{PLUGINS}"
        if not directory.exists(base):
            continue
        for attribute, kinds in indexes.items():
            directory.add_if_missing(
                f"cn={attribute},{base}",
                {
                    "objectClass": ["top", "nsIndex"],
                    "cn": attribute,
                    "nsSystemIndex": "false",
                    "nsIndexType": kinds,
                },
            )


def configure_plugins(directory: Directory, facts: RealmFacts, *, first_id: int, id_range: int) -> None:
    """Switch on what keeps the domain's tree consistent; takes effect with the next start."""
    directory.replace(
        "cn=config",
        {
            "nsslapd-allow-hashed-passwords": "on",
            "nsslapd-anonlimitsdn": f"cn=anonymous-limits,cn=etc,{facts.basedn}",
            "nsslapd-sizelimit": "100000",
            "nsslapd-localhost": facts.hostname,
        },
    )
    directory.replace(
        f"cn=MemberOf Plugin,{PLUGINS}",
        {
            "nsslapd-pluginEnabled": "on",
            "memberofgroupattr": "member",
            "memberofattr": "memberOf",
            "memberofentryscope": facts.basedn,
        },
    )
    directory.replace(
        f"cn=referential integrity postoperation,{PLUGINS}",
        {
            "nsslapd-pluginEnabled": "on",
            "referint-update-delay": "0",
            "referint-membership-attr": [
                "member",
                "uniquemember",
                "owner",
                "seeAlso",
                "managedBy",
                "enrolledBy",
            ],
            "nsslapd-plugincontainerscope": facts.basedn,
        },
    )
    directory.replace(f"cn=7-bit check,{PLUGINS}", {"nsslapd-pluginEnabled": "off"})
    for attribute in ("krbPrincipalName", "krbCanonicalName", "ipaUniqueID", "uid"):
        base = f"cn=users,cn=accounts,{facts.basedn}" if attribute == "uid" else facts.basedn
        directory.add_if_missing(
            f"cn={attribute} uniqueness,{PLUGINS}",
            {
                "objectClass": ["top", "nsSlapdPlugin", "extensibleObject"],
                "cn": f"{attribute} uniqueness",
                "nsslapd-pluginPath": "libattr-unique-plugin",
                "nsslapd-pluginInitfunc": "NSUniqueAttr_Init",
                "nsslapd-pluginType": "preoperation",
                "nsslapd-pluginEnabled": "on",
                "nsslapd-plugin-depends-on-type": "database",
                "nsslapd-pluginId": "NSUniqueAttr",
                "nsslapd-pluginVersion": "1.1.0",
                "nsslapd-pluginVendor": "389 Project",
                "nsslapd-pluginDescription": f"Enforce unique values of {attribute}",
                "uniqueness-attribute-name": attribute,
                "uniqueness-subtrees": base,
                "uniqueness-across-all-subtrees": "on",
            },
        )
    numbers = f"cn=Distributed Numeric Assignment Plugin,{PLUGINS}"
    directory.replace(numbers, {"nsslapd-pluginEnabled": "on"})
    directory.add_if_missing(
        f"cn=Posix IDs,{numbers}",
        {
            "objectClass": ["top", "extensibleObject"],
            "cn": "Posix IDs",
            "dnaType": ["uidNumber", "gidNumber"],
            # The first three belong to admins, to a reserve and to editors.
            "dnaNextValue": first_id + 3,
            "dnaMaxValue": first_id + id_range - 1,
            "dnaMagicRegen": "-1",
            "dnaFilter": "(|(objectClass=posixAccount)(objectClass=posixGroup))",
            "dnaScope": facts.basedn,
            "dnaThreshold": 500,
            "dnaSharedCfgDN": f"cn=posix-ids,cn=dna,cn=ipa,cn=etc,{facts.basedn}",
        },
    )
    _map_kerberos_names(directory, facts)


def _map_kerberos_names(directory: Directory, facts: RealmFacts) -> None:
    """Who binds with a ticket is the entry that carries the principal's name."""
    base = "cn=mapping,cn=sasl,cn=config"
    for name, _ in directory.search(base, "(objectClass=nsSaslMapping)", ["1.1"]):
        directory.delete(name)
    for name, pattern, filter in (
        ("Full Principal", r"\(.*\)@\(.*\)", r"(krbPrincipalName=\1@\2)"),
        ("Name Only", r"^[^:@]+$", f"(krbPrincipalName=&@{facts.realm})"),
    ):
        directory.add_if_missing(
            f"cn={name},{base}",
            {
                "objectClass": ["top", "nsSaslMapping"],
                "cn": name,
                "nsSaslMapRegexString": pattern,
                "nsSaslMapBaseDNTemplate": facts.basedn,
                "nsSaslMapFilterTemplate": filter,
                "nsSaslMapPriority": 10,
            },
        )


def configure_managed_entries(directory: Directory, facts: RealmFacts) -> None:
    """A user brings a group of the same name and number; only from now on, so that admin has none."""
    managed = f"cn=Managed Entries,cn=etc,{facts.basedn}"
    template = f"cn=UPG Template,cn=Templates,{managed}"
    directory.add_if_missing(
        template,
        {
            "objectClass": ["top", "mepTemplateEntry"],
            "cn": "UPG Template",
            "mepRDNAttr": "cn",
            "mepStaticAttr": ["objectclass: posixgroup"],
            "mepMappedAttr": [
                "cn: $uid",
                "gidNumber: $uidNumber",
                "description: User private group for $uid",
            ],
        },
    )
    directory.add_if_missing(
        f"cn=UPG Definition,cn=Definitions,{managed}",
        {
            "objectClass": ["top", "extensibleObject"],
            "cn": "UPG Definition",
            "originScope": f"cn=users,cn=accounts,{facts.basedn}",
            "originFilter": "(&(objectclass=posixAccount)(!(description=__no_upg__)))",
            "managedBase": f"cn=groups,cn=accounts,{facts.basedn}",
            "managedTemplate": template,
        },
    )
    enable_managed_entries(directory, facts)


def enable_managed_entries(directory: Directory, facts: RealmFacts) -> None:
    """Switch the plug-in on, from the next start, for the definitions that the domain's tree has or will have."""
    managed = f"cn=Managed Entries,cn=etc,{facts.basedn}"
    directory.replace(
        f"cn=Managed Entries,{PLUGINS}",
        {"nsslapd-pluginEnabled": "on", "nsslapd-pluginConfigArea": f"cn=Definitions,{managed}"},
    )
