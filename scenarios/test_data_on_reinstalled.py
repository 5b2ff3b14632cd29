"""The directory's data alone onto a server that was installed again: users come back, services get new keys."""

import pytest

from lab.host import Host
from scenarios.deeds import back_up, install, restore, uninstall

#: Where FreeIPA keeps httpd's keytab, today's path first.
HTTP_KEYTABS = ("/var/lib/ipa/gssproxy/http.keytab", "/etc/httpd/conf/ipa.keytab")
#: Where BIND has its own, on Debian and elsewhere; a server without DNS has none.
DNS_KEYTABS = ("/etc/bind/named.keytab", "/etc/named.keytab")
USERS = ("tuser1", "tuser2")


def _new_keys(host: Host, principal: str, keytab: str) -> None:
    """New keys for a service, as Directory Manager: nobody has a ticket yet."""
    password = host.topology.passwords.directory_manager
    argv = ["ipa-getkeytab", "-k", keytab, "-p", principal, "-s", host.fqdn]
    host.run([*argv, "-D", "cn=directory manager", "-w", password])


@pytest.mark.row("T13", "R1")
def test_data_alone_brings_users_back_to_a_reinstalled_server(master: Host) -> None:
    master.kinit()
    for name in USERS:
        master.run(["ipa", "user-add", name, "--first", "Test", "--last", name])
    numbers = {name: master.run(["id", "-u", name]).stdout for name in USERS}
    backup = back_up(master, "--data")
    uninstall(master)
    install(master)

    restore(master, backup)

    _new_keys(master, f"ldap/{master.fqdn}", "/etc/dirsrv/ds.keytab")
    master.run(["systemctl", "restart", f"dirsrv@{master.instance}.service"])
    for service, keytabs in (("HTTP", HTTP_KEYTABS), ("DNS", DNS_KEYTABS)):
        for keytab in (path for path in keytabs if master.testinfra.file(path).exists):
            _new_keys(master, f"{service}/{master.fqdn}", keytab)
    _new_keys(master, f"host/{master.fqdn}", "/etc/krb5.keytab")
    master.run(["ipactl", "restart"])
    master.run(["systemctl", "restart", "sssd"])

    master.run(["kdestroy", "-A"])
    master.kinit()
    assert "User login: admin" in master.run(["ipa", "user-show", "admin"]).stdout
    found = master.run(["ipa", "user-find"]).stdout
    for name in USERS:
        assert f"User login: {name}" in found
        assert master.run(["id", "-u", name]).stdout == numbers[name]
