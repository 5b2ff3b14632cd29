"""The outline can fail: break one thing on a restored server, and the check that looks at it says so."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lab.host import Host
from scenarios.checks import Outline
from scenarios.deeds import back_up, restore, uninstall


@dataclass(frozen=True)
class Canary:
    """One thing to break and to mend, in shell, and the checks that have to notice it."""

    thing: str
    breaking: str
    mending: str
    noticed_by: frozenset[str]


def _moved(thing: str, path: str, unit: str, *checks: str) -> Canary:
    return Canary(
        thing,
        f"mv {path} {path}.away; systemctl restart {unit} || true",
        f"mv {path}.away {path}; systemctl restart {unit}",
        frozenset(checks),
    )


def _stopped(thing: str, units: str, *checks: str) -> Canary:
    return Canary(thing, f"systemctl stop {units}", f"systemctl start {units}", frozenset(checks))


#: `{instance}` is the directory server's, `{suffix}` the domain's, `{admin}` the administrator's entry.
CANARIES = (
    _moved("httpd's keytab", "/var/lib/ipa/gssproxy/http.keytab", "apache2", "ipa user-show admin"),
    _moved("httpd's key", "/var/lib/ipa/private/httpd.key", "apache2", "ipa user-show admin"),
    _moved("the directory's keytab", "/etc/dirsrv/ds.keytab", "dirsrv@{instance}", "search with a ticket"),
    _stopped("the KDC", "krb5-kdc", "kinit admin", "ipactl status"),
    _stopped("the authority", "pki-tomcatd@pki-tomcat", "ipa cert-find", "ipactl status"),
    _stopped("the name server", "named", "host lookup", "ipactl status"),
    Canary(
        "SSSD",
        "systemctl stop sssd; rm -f /var/lib/sss/mc/*",
        "systemctl start sssd",
        frozenset({"id admin"}),
    ),
    Canary(
        "an attribute of the administrator",
        "printf 'dn: {admin}\\nchangetype: modify\\nreplace: loginShell\\nloginShell: /bin/false\\n' | {modify}",
        "printf 'dn: {admin}\\nchangetype: modify\\nreplace: loginShell\\nloginShell: /bin/bash\\n' | {modify}",
        frozenset({"entry of admin", "ipa user-show admin"}),
    ),
)


def _shell(host: Host, script: str) -> None:
    socket = f"ldapi://%2Frun%2Fslapd-{host.instance}.socket"
    host.run(
        [
            "sh",
            "-c",
            script.format(
                instance=host.instance,
                admin=f"uid=admin,cn=users,cn=accounts,{host.topology.suffix}",
                modify=f"ldapmodify -Q -Y EXTERNAL -H {socket}",
            ),
        ]
    )


@pytest.mark.row("T1")
@pytest.mark.needs("ca", "dns")
def test_what_is_broken_after_a_restore_is_noticed_by_the_check_that_looks_at_it(master: Host) -> None:
    outline = Outline.note(master)
    backup = back_up(master)
    uninstall(master)
    restore(master, backup)
    outline.assert_unchanged()
    for canary in CANARIES:
        _shell(master, canary.breaking)
        noticed = set(outline.differences())
        assert canary.noticed_by <= noticed, f"{canary.thing} is broken, and only {noticed or 'nothing'} tells"
        _shell(master, canary.mending)
        outline.assert_unchanged()
