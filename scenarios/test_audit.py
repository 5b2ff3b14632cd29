"""The inventory against what an installation and a day of use really touch."""

from __future__ import annotations

import pytest

from lab.host import Host
from scenarios.audit import Ignored, changed, compare, ignored, inventory, look
from scenarios.conftest import RealmMaker
from scenarios.deeds import back_up, install, restore

LISTS = "/etc/ipabackup/inventory.d"


def a_day_of_use(host: Host) -> None:
    """What happens on a server after its installation: entries, keys, certificates, restarts, rotated logs."""
    host.kinit()
    for command in (
        ["ipa", "user-add", "daily", "--first", "Day", "--last", "User"],
        ["ipa", "group-add", "daily-group", "--desc", "daily"],
        ["ipa", "group-add-member", "daily-group", "--users", "daily"],
        ["ipa", "host-add", "client9.example.test", "--force"],
        ["ipa", "dnsrecord-add", "example.test", "daily", "--a-rec", "192.0.2.7"],
        ["ipa-getkeytab", "-s", host.fqdn, "-p", "host/client9.example.test", "-k", "/tmp/client9.keytab"],
        ["id", "daily"],
        ["ipactl", "restart"],
        ["systemctl", "restart", "certmonger", "sssd"],
        ["update-ca-certificates"],
    ):
        host.run(command)
    host.wait_ready()
    for command in (["ipa", "user-show", "daily"], ["ipa", "cert-find"], ["host", "daily.example.test", "localhost"]):
        host.kinit()
        host.run(command)


@pytest.mark.needs("ca", "dns")
@pytest.mark.row("F1", "F2")
def test_every_path_that_an_installation_and_a_day_of_use_touch_is_known(make_realm: RealmMaker) -> None:
    host = make_realm("single", installed=False).master
    before = look(host)
    install(host)
    host.wait_ready()
    a_day_of_use(host)
    paths = changed(host, before)
    ignoring = ignored()
    assert len(paths) > 200, "an installation touches more than this: the comparison is broken"

    findings = compare(paths, inventory(host), ignoring)
    assert not findings.unknown, "neither in the inventory nor ignored:\n" + "\n".join(findings.unknown)
    assert not findings.idle, "ignored, but nothing of it changes any more:\n" + "\n".join(findings.idle)

    # The audit can fail: a line too many is idle, and without one of our lists the paths in it are unknown.
    needless = Ignored(("/etc/krb5.keytab", "/etc/nothing-of-this-name"), "a mutant")
    assert compare(paths, inventory(host), (*ignoring, needless)).idle == needless.patterns
    host.run(["mkdir", "-p", LISTS])
    host.write_file(f"{LISTS}/kerberos.toml", 'service = "kerberos"\n')
    without = compare(paths, inventory(host), ignoring)
    assert {"/etc/krb5.keytab", "/etc/krb5kdc/kdc.conf"} <= set(without.unknown)


@pytest.mark.row("F3", "B5")
def test_an_administrator_adds_paths_without_editing_the_shipped_lists(master: Host) -> None:
    master.run(["mkdir", "-p", LISTS, "/srv/site/cache"])
    site = """
service = "site"
[[entry]]
paths = ["/srv/site"]
kind = "directory"
exclude = ["/srv/site/cache"]
reason = "Hooks of our own."
[[entry]]
paths = ["/etc/site-{realm}.conf"]
"""
    master.write_file(f"{LISTS}/site.toml", site)
    kept, lost, conf = "/srv/site/hook", "/srv/site/cache/copy", f"/etc/site-{master.topology.realm}.conf"
    for path in (kept, lost, conf):
        master.write_file(path, f"{path} as it was\n", mode=0o640)
    master.run(["chown", "www-data", kept])
    listed = {one.path: one for one in inventory(master)}
    assert listed["/srv/site"].exclude == ("/srv/site/cache",)
    assert conf in listed

    backup = back_up(master)
    master.run(["rm", "-r", "/srv/site", conf, LISTS])
    restore(master, backup)
    assert master.read_file(kept) == f"{kept} as it was\n"
    assert master.read_file(conf) == f"{conf} as it was\n"
    assert master.run(["stat", "-c", "%U %a", kept]).stdout.strip() == "www-data 640"
    assert not master.testinfra.file(lost).exists
    assert master.read_file(f"{LISTS}/site.toml") == site, "the administrator's lists belong to the server, too"

    master.write_file(f"{LISTS}/site.toml", "[[entry]]\npaths = ['relative']\n")
    refused = master.run(["ipa-backup"], check=False)
    assert refused.status == 2, refused.describe()
    assert "site.toml" in refused.stderr
    assert "relative" in refused.stderr
