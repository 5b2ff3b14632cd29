"""The directory server: instance, schema, plug-ins, the domain's tree, and replication's state on both
suffixes.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.node import services
from lab.node.component import Install
from lab.node.facts import RealmFacts
from lab.node.files import remove_file, remove_tree, render, write_file
from lab.node.install import dse
from lab.node.install.plugins import configure_indexes, configure_managed_entries, configure_plugins
from lab.node.install.tree import add_tree
from lab.node.ldapi import Directory, directory
from lab.node.replica.suffixes import DOMAIN_REPLICA_ID
from lab.node.run import run

SCHEMA = Path("/usr/share/ipa/schema.d")
ID_RANGE = 200_000

INSTANCE_INF = """\
[general]
config_version = 2
full_machine_name = ${hostname}
strict_host_checking = False
selinux = False
start = False

[slapd]
instance_name = ${instance}
root_dn = cn=Directory Manager
root_password = ${password}
port = 389
secure_port = 636
self_sign_cert = False
db_lib = ${library}
${more}
[backend-userRoot]
suffix = ${suffix}
create_suffix_entry = True
"""
CA_BACKEND_INF = """
[backend-ipaca]
suffix = o=ipaca
create_suffix_entry = True
"""
ENVIRONMENT = """\
KRB5_KTNAME=/etc/dirsrv/ds.keytab
KRB5_CLIENT_KTNAME=/etc/dirsrv/ds.keytab
KRB5CCNAME=MEMORY:dirsrv-${instance}
"""


class DirectoryServer:
    """The instance slapd-REALM with the domain's suffix and, unless CA-less, the certificate authority's."""

    name = "directory"
    title = "directory server (dirsrv). Estimated time: 30 seconds"

    def configure(self, install: Install) -> None:
        file = install.options.dirsrv_config_file
        changes = dse.read_changes_file(file) if file else []
        install.run_steps(
            self.title,
            [
                ("creating directory server instance", lambda: self._create(install, changes)),
                *[("changing dse.ldif", lambda: _change_dse(install, changes)) for _ in changes[:1]],
                ("adding default schema", lambda: self._add_schema(install)),
                ("starting directory server", lambda: services.start(install.facts.dirsrv_unit)),
                ("creating indices", lambda: self._configure(install, configure_indexes)),
                (
                    "enabling memberof, referential integrity, uniqueness and id plug-ins",
                    lambda: self._plug(install),
                ),
                ("restarting directory server", lambda: services.restart(install.facts.dirsrv_unit)),
                ("adding default layout", lambda: self._add_tree(install)),
                (
                    "configuring user private groups",
                    lambda: self._configure(install, configure_managed_entries),
                ),
                ("restarting directory server", lambda: services.restart(install.facts.dirsrv_unit)),
            ],
        )

    def unconfigure(self, install: Install) -> None:
        facts = install.facts
        if facts.instance_config.exists():
            services.stop(facts.dirsrv_unit)
            services.disable(facts.dirsrv_unit)
        # What dsctl remove does, but complete and for a half-made instance as well.
        remove_tree(facts.instance_config)
        for folder in ("/var/lib/dirsrv", "/var/log/dirsrv", "/run/lock/dirsrv", "/run/dirsrv"):
            remove_tree(Path(folder) / f"slapd-{facts.instance}")
        remove_tree(f"/dev/shm/slapd-{facts.instance}")
        remove_file(facts.ldapi_socket)
        remove_file(f"/etc/tmpfiles.d/dirsrv-{facts.instance}.conf")
        remove_file("/etc/dirsrv/ds.keytab")
        install.sysrestore.restore(f"/etc/default/dirsrv-{facts.instance}")
        install.sysrestore.pop_state("dirsrv", "serverid")
        install.sysrestore.pop_state("dirsrv", "enabled")
        services.daemon_reload()
        services.reset_failed(facts.dirsrv_unit)

    @staticmethod
    def _create(install: Install, changes: Sequence[dse.Change]) -> None:
        facts = install.facts
        install.sysrestore.set_state("dirsrv", "serverid", facts.instance)
        install.sysrestore.set_state("dirsrv", "enabled", True)
        answers = INSTANCE_INF if install.options.ca_less else INSTANCE_INF + CA_BACKEND_INF
        library = dse.database_library(changes)
        with tempfile.TemporaryDirectory(dir="/run") as name:
            folder, more = Path(name), ""
            if library == "bdb":
                small = dse.read_changes(dse.SMALL_BDB, "the settings of a small database")
                more = f"data_dir = {dse.changed_templates(folder / 'share', small)}\n"
            # dscreate reads its answers with interpolation, where a percent sign has to be doubled.
            content = render(
                answers,
                hostname=facts.hostname,
                instance=facts.instance,
                password=install.dm_password.replace("%", "%%"),
                suffix=facts.basedn,
                library=library,
                more=more,
            )
            write_file(folder / "answers.inf", content, mode=0o600)
            run(["dscreate", "from-file", str(folder / "answers.inf")], secrets=install.secrets)
        install.put_file(f"/etc/default/dirsrv-{facts.instance}", render(ENVIRONMENT, instance=facts.instance))

    @staticmethod
    def _add_schema(install: Install) -> None:
        for source in sorted(SCHEMA.glob("*.ldif")):
            target = install.facts.instance_config / "schema" / source.name
            shutil.copyfile(source, target)
            target.chmod(0o640)
            shutil.chown(target, "dirsrv", "dirsrv")

    @staticmethod
    def _configure(install: Install, deed: Callable[[Directory, RealmFacts], None]) -> None:
        with directory(install.facts.ldapi_uri) as connection:
            deed(connection, install.facts)

    @staticmethod
    def _plug(install: Install) -> None:
        with directory(install.facts.ldapi_uri) as connection:
            configure_plugins(connection, install.facts, first_id=_first_id(install), id_range=ID_RANGE)

    @staticmethod
    def _add_tree(install: Install) -> None:
        with directory(install.facts.ldapi_uri) as connection:
            add_tree(
                connection,
                install.facts,
                admin_password=install.admin_password,
                first_id=_first_id(install),
                id_range=ID_RANGE,
                subject_base=install.options.subject_base or f"O={install.facts.realm}",
                next_replica_id=DOMAIN_REPLICA_ID + 1,
            )


def _change_dse(install: Install, changes: Sequence[dse.Change]) -> None:
    """What the administrator wants otherwise; the instance was created, and is stopped."""
    path = install.facts.instance_config / "dse.ldif"
    text = dse.changed(path.read_text(encoding="utf-8"), changes)
    write_file(path, text, mode=0o600, owner="dirsrv", group="dirsrv")


def _first_id(install: Install) -> int:
    """The first uid and gid of the realm: asked for, or drawn once and kept, so that a realm's range is its
    own.
    """
    kept = install.sysrestore.state("dirsrv", "idstart")
    if kept is not None:
        return int(kept)
    first = install.options.idstart
    if first is None:
        first = random.randrange(1, 10_001) * ID_RANGE
    install.sysrestore.set_state("dirsrv", "idstart", str(first))
    return first
