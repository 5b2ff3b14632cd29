"""An upgrade that broke off half-way on a server that stands alone, undone by the full backup from before."""

import pytest

from lab.host import Host
from scenarios.checks import Outline
from scenarios.deeds import CONFIGURATION, back_up, restore

SERVICE = "ipa-upgraded.service"

_UNIT = """\
[Unit]
Description=What the upgrade added

[Service]
Type=oneshot
ExecStart=/bin/true

[Install]
WantedBy=multi-user.target
"""

_SCHEMA = """\
dn: cn=schema
attributeTypes: ( 2.25.1 NAME 'half' SYNTAX 1.3.6.1.4.1.1466.115.121.1.15
"""


def _half_an_upgrade(host: Host) -> str:
    """Change configuration, schema, a service and data, as far as the upgrade came; returns the schema file's path."""
    schema = f"/etc/dirsrv/slapd-{host.instance}/schema/98upgrade.ldif"
    with host.ldap() as directory:
        import ldap

        users = f"cn=users,cn=accounts,{host.topology.suffix}"
        directory.modify_s(f"uid=admin,{users}", [(ldap.MOD_REPLACE, "sn", [b"Half upgraded"])])
        directory.modify_s("cn=config", [(ldap.MOD_REPLACE, "nsslapd-sizelimit", [b"7"])])
    host.run(["ipactl", "stop"])
    host.write_file(schema, _SCHEMA)
    host.run(["chown", "dirsrv:dirsrv", schema])
    host.run(["sed", "-i", "s/^realm *=.*/realm = HALF.UPGRADED/", CONFIGURATION])
    host.run(["rm", "/etc/krb5.conf"])
    host.write_file(f"/etc/systemd/system/{SERVICE}", _UNIT)
    host.run(["systemctl", "daemon-reload"])
    host.run(["systemctl", "enable", SERVICE])
    broken = host.run(["ipactl", "start"], check=False)
    assert broken.status != 0, "the upgrade has not broken the server"
    return schema


@pytest.mark.row("T16", "R16", "R1")
def test_a_failed_upgrade_is_undone_and_what_it_added_is_named(master: Host) -> None:
    outline = Outline.note(master)
    backup = back_up(master)
    schema = _half_an_upgrade(master)

    result = restore(master, backup, "-v")

    outline.assert_unchanged()
    assert not master.testinfra.file(schema).exists
    assert f"{schema}, which the backup does not have" in result.stdout
    assert f"{SERVICE} is started at boot here, and was not" in result.stdout
