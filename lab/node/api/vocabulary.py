"""The client's commands: their words, options and what their answers look like."""

from __future__ import annotations

from dataclasses import dataclass

from lab.node.api import output


@dataclass(frozen=True)
class Option:
    """An option: its flag, the name that the API knows, and how its value is read.

    `kind` is text, flag, list (may be repeated or comma-separated), file, or secret (asked for, never an argument).
    """

    flag: str
    name: str
    kind: str = "text"
    help: str = ""


@dataclass(frozen=True)
class Verb:
    """A command: positional words (a trailing ? is optional, + takes several), options, labels of its answer."""

    name: str
    help: str
    words: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    labels: output.Labels = ()
    deed: str = ""


ALL = Option("--all", "all", "flag", "Retrieve and print all attributes from the server.")
FORCE = Option("--force", "force", "flag", "force, even if not in DNS")
PERSON = (
    Option("--first", "givenname", help="First name"),
    Option("--last", "sn", help="Last name"),
    Option("--cn", "cn", help="Full name"),
    Option("--displayname", "displayname", help="Display name"),
    Option("--initials", "initials", help="Initials"),
    Option("--homedir", "homedirectory", help="Home directory"),
    Option("--gecos", "gecos", help="GECOS"),
    Option("--shell", "loginshell", help="Login shell"),
    Option("--email", "mail", "list", "Email address"),
    Option("--uid", "uidnumber", help="User ID Number (system will assign one if not provided)"),
    Option("--gidnumber", "gidnumber", help="Group ID Number"),
    Option("--phone", "telephonenumber", "list", "Telephone Number"),
    Option("--title", "title", help="Job Title"),
    Option("--password-expiration", "krbpasswordexpiration", "time", "User password expiration"),
    Option("--principal-expiration", "krbprincipalexpiration", "time", "Kerberos principal expiration"),
)
SECRET = (
    Option("--password", "userpassword", "secret", "Prompt to set the user password"),
    Option("--random", "random", "flag", "Generate a random user password"),
)
MEMBERS = (
    Option("--users", "user", "list", "users to add or remove"),
    Option("--groups", "group", "list", "groups to add or remove"),
)
RECORDS = tuple(
    Option(f"--{kind}-rec", f"{kind}record", "list", f"Raw {kind.upper()} records")
    for kind in ("a", "aaaa", "cname", "dname", "mx", "ns", "ptr", "srv", "sshfp", "txt", "uri")
)

_VERBS = (
    Verb("user-add", "Add a new user.", ("login",), (*PERSON, *SECRET, ALL), output.USER),
    Verb("user-mod", "Modify a user.", ("login",), (*PERSON, *SECRET, ALL), output.USER),
    Verb("user-show", "Display information about a user.", ("login?",), (ALL,), output.USER),
    Verb("user-find", "Search for users.", ("criteria?",), (ALL, Option("--login", "uid"), *PERSON[:2]), output.USER),
    Verb("user-del", "Delete a user.", ("login+",)),
    Verb("user-disable", "Disable a user account.", ("login",)),
    Verb("user-enable", "Enable a user account.", ("login",)),
    Verb("passwd", "Set a user's password.", ("principal?",)),
    Verb(
        "group-add",
        "Create a new group.",
        ("group-name",),
        (
            Option("--desc", "description", help="Group description"),
            Option("--gid", "gidnumber", help="GID (use this option to set it manually)"),
            Option("--nonposix", "nonposix", "flag", "Create as a non-POSIX group"),
            ALL,
        ),
        output.GROUP,
    ),
    Verb("group-show", "Display information about a named group.", ("group-name",), (ALL,), output.GROUP),
    Verb("group-find", "Search for groups.", ("criteria?",), (ALL,), output.GROUP),
    Verb("group-del", "Delete group.", ("group-name+",)),
    Verb("group-add-member", "Add members to a group.", ("group-name",), MEMBERS, output.GROUP, "added"),
    Verb("group-remove-member", "Remove members from a group.", ("group-name",), MEMBERS, output.GROUP, "removed"),
    Verb(
        "host-add",
        "Add a new host.",
        ("hostname",),
        (
            FORCE,
            Option("--ip-address", "ip_address", help="Add the host to DNS with this IP address"),
            Option("--desc", "description", help="A description of this host"),
            Option("--location", "l", help="Host location"),
            ALL,
        ),
        output.HOST,
    ),
    Verb("host-show", "Display information about a host.", ("hostname",), (ALL,), output.HOST),
    Verb("host-find", "Search for hosts.", ("criteria?",), (ALL,), output.HOST),
    Verb("host-del", "Delete a host.", ("hostname+",)),
    Verb("service-add", "Add a new IPA service.", ("canonical-principal",), (FORCE, ALL), output.SERVICE),
    Verb("service-show", "Display information about a service.", ("canonical-principal",), (ALL,), output.SERVICE),
    Verb("service-find", "Search for IPA services.", ("criteria?",), (ALL,), output.SERVICE),
    Verb("service-del", "Delete an IPA service.", ("canonical-principal+",)),
    Verb(
        "cert-request",
        "Submit a certificate signing request.",
        ("csr-file",),
        (
            Option("--principal", "principal", help="Principal for this certificate (e.g. HTTP/test.example.com)"),
            Option("--add", "add", "flag", "automatically add the principal if it doesn't exist (service only)"),
            Option("--profile-id", "profile_id", help="Certificate Profile to use"),
            Option("--certificate-out", "out", "file", "Write certificate to file"),
        ),
        output.CERTIFICATE,
    ),
    Verb(
        "cert-show",
        "Retrieve an existing certificate.",
        ("serial-number",),
        (Option("--certificate-out", "out", "file", "File to store the certificate in."),),
        output.CERTIFICATE,
    ),
    Verb(
        "cert-find",
        "Search for existing certificates.",
        ("criteria?",),
        (Option("--subject", "subject", help="Match cn attribute in subject"), Option("--status", "status")),
        output.CERTIFICATE,
    ),
    Verb(
        "cert-revoke",
        "Revoke a certificate.",
        ("serial-number",),
        (Option("--revocation-reason", "revocation_reason", help="Reason for revoking the certificate (0-10)"),),
        output.CERTIFICATE,
    ),
    Verb("cert-remove-hold", "Take a revoked certificate off hold.", ("serial-number",), (), output.CERTIFICATE),
    Verb(
        "dnszone-add",
        "Create new DNS zone (SOA record).",
        ("name?",),
        (
            Option("--name-from-ip", "name_from_ip", help="IP network to create reverse zone name from"),
            Option("--admin-email", "idnssoarname", help="Administrator e-mail address"),
            ALL,
        ),
        output.ZONE,
    ),
    Verb("dnszone-show", "Display information about a DNS zone (SOA record).", ("name",), (ALL,), output.ZONE),
    Verb("dnszone-find", "Search for DNS zones (SOA records).", ("criteria?",), (ALL,), output.ZONE),
    Verb("dnszone-del", "Delete DNS zone (SOA record).", ("name+",)),
    Verb("dnsrecord-add", "Add new DNS resource record.", ("dnszone", "name"), RECORDS, output.RECORD),
    Verb("dnsrecord-show", "Display DNS resource.", ("dnszone", "name"), (), output.RECORD),
    Verb("dnsrecord-find", "Search for DNS resources.", ("dnszone", "criteria?"), (), output.RECORD),
    Verb(
        "dnsrecord-del",
        "Delete DNS resource record.",
        ("dnszone", "name"),
        (Option("--del-all", "del_all", "flag", "Delete all associated records"), *RECORDS),
        output.RECORD,
    ),
    Verb("config-show", "Show the current configuration.", (), (ALL,), output.SETTINGS),
    Verb("ping", "Ping a remote server."),
    Verb("whoami", "Describe currently authenticated identity."),
    Verb("env", "Show environment variables.", ("variable?",)),
)
VERBS = {verb.name: verb for verb in _VERBS}
