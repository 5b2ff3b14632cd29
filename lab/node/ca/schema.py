"""The attributes and object classes of certificate records, under Dogtag's names.

The definitions are written for this lab; names and the textual object identifiers are Dogtag's, so that its tools read
the records.
"""

from __future__ import annotations

from lab.node.ldapi import Directory

_STRING = "1.3.6.1.4.1.1466.115.121.1.15"

_SINGLE = [
    "serialno",
    "certStatus",
    "issuedBy",
    "revokedBy",
    "revokedOn",
    "revInfo",
    "dateOfCreate",
    "dateOfModify",
    "notBefore",
    "notAfter",
    "duration",
    "subjectName",
    "issuerName",
    "version",
    "signingAlgorithmId",
    "autoRenew",
    "nextRange",
    "publishingStatus",
]
_MULTIPLE = ("metaInfo",)

ATTRIBUTE_TYPES = [
    f"( {name}-oid NAME '{name}' EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX {_STRING}{single} "
    "X-ORIGIN 'user defined' )"
    for names, single in ((_SINGLE, " SINGLE-VALUE"), (_MULTIPLE, ""))
    for name in names
]
OBJECT_CLASSES = [
    "( certificateRecord-oid NAME 'certificateRecord' SUP top STRUCTURAL MUST cn MAY ( serialno $ subjectName $ issuerName $ "
    "notBefore $ notAfter $ duration $ userCertificate $ version $ signingAlgorithmId $ metaInfo $ certStatus $ autoRenew $ "
    "issuedBy $ revokedBy $ revokedOn $ revInfo $ dateOfCreate $ dateOfModify ) X-ORIGIN 'user defined' )",
    "( repository-oid NAME 'repository' SUP top STRUCTURAL MUST ou MAY ( serialno $ description $ nextRange $ "
    "publishingStatus ) X-ORIGIN 'user defined' )",
]


def add_schema(directory: Directory) -> None:
    """Add what the server's schema lacks; a second call changes nothing."""
    present = directory.get("cn=schema", ["attributeTypes", "objectClasses"]) or {}
    for attribute, definitions in (("attributeTypes", ATTRIBUTE_TYPES), ("objectClasses", OBJECT_CLASSES)):
        known = b"\n".join(present.get(attribute, []))
        lacking = [text for text in definitions if f"NAME {text.split()[3]} ".encode() not in known]
        if lacking:
            directory.ensure_values("cn=schema", attribute, lacking)
