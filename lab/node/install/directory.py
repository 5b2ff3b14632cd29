"""The directory server: instance, schema, plug-ins, the domain's tree, and replication's state on both
suffixes.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.node import services
from lab.node.component import Install, Step
from lab.node.facts import DirectoryInstance, RealmFacts
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
port = ${port}
secure_port = ${secure_port}
self_sign_cert = False
db_lib = ${library}
${more}
"""
BACKEND_INF = """
[backend-${name}]
suffix = ${suffix}
create_suffix_entry = True
"""
AUTHORITY_BACKEND = {"ipaca": "o=ipaca"}
ENVIRONMENT = """\
KRB5_KTNAME=/etc/dirsrv/ds.keytab
KRB5_CLIENT_KTNAME=/etc/dirsrv/ds.keytab
KRB5CCNAME=MEMORY:dirsrv-${instance}
"""


class DirectoryServer:
    """The instance slapd-REALM with the domain's suffix and, unless that is in an instance of its own or there is none,
    the certificate authority's.
    """

    name = "directory"
    title = "directory server (dirsrv). Estimated time: 30 seconds"

    def configure(self, install: Install) -> None:
        install.run_steps(
            self.title,
            [
                *self._creation(install),
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
        remove_instance(facts.directory)
        remove_file("/etc/dirsrv/ds.keytab")
        install.sysrestore.restore(f"/etc/default/dirsrv-{facts.instance}")
        install.sysrestore.pop_state("dirsrv", "serverid")
        install.sysrestore.pop_state("dirsrv", "enabled")

    def _creation(self, install: Install) -> list[Step]:
        """What makes the instance, with the changes of its dse.ldif that were asked for."""
        file = install.options.dirsrv_config_file
        changes = dse.read_changes_file(file) if file else []
        steps: list[Step] = [("creating directory server instance", lambda: self._create(install, changes))]
        if changes:
            steps.append(("changing dse.ldif", lambda: change_dse(install.facts.directory, changes)))
        return steps

    @staticmethod
    def _create(install: Install, changes: Sequence[dse.Change]) -> None:
        facts = install.facts
        install.sysrestore.set_state("dirsrv", "serverid", facts.instance)
        install.sysrestore.set_state("dirsrv", "enabled", True)
        backends = {"userRoot": facts.basedn}
        if not install.options.ca_less and facts.authority_directory == facts.directory:
            backends |= AUTHORITY_BACKEND
        library = "bdb" if install.options.upgraded_layout else dse.database_library(changes)
        create_instance(install, facts.directory, backends, library)
        install.put_file(f"/etc/default/dirsrv-{facts.instance}", render(ENVIRONMENT, instance=facts.instance))

    @staticmethod
    def _add_schema(install: Install) -> None:
        add_schema(install.facts.directory)

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


def create_instance(install: Install, instance: DirectoryInstance, backends: Mapping[str, str], library: str) -> None:
    """Create an instance, not yet started: `backends` leads from their names to their suffixes, `library` is bdb or
    mdb.
    """
    with tempfile.TemporaryDirectory(dir="/run") as name:
        folder, more = Path(name), ""
        if library == "bdb":
            small = dse.read_changes(dse.SMALL_BDB, "the settings of a small database")
            more = f"data_dir = {dse.changed_templates(folder / 'share', small)}\n"
        # dscreate reads its answers with interpolation, where a percent sign has to be doubled.
        content = render(
            INSTANCE_INF,
            hostname=install.facts.hostname,
            instance=instance.name,
            port=instance.port,
            secure_port=instance.secure_port,
            password=install.dm_password.replace("%", "%%"),
            library=library,
            more=more,
        )
        content += "".join(render(BACKEND_INF, name=name, suffix=suffix) for name, suffix in backends.items())
        write_file(folder / "answers.inf", content, mode=0o600)
        run(["dscreate", "from-file", str(folder / "answers.inf")], secrets=install.secrets)
    change_dse(instance, dse.quick_passwords(install.dm_password))


def add_schema(instance: DirectoryInstance) -> None:
    """Give a stopped instance the schema of an identity server."""
    for source in sorted(SCHEMA.glob("*.ldif")):
        target = instance.config / "schema" / source.name
        shutil.copyfile(source, target)
        target.chmod(0o640)
        shutil.chown(target, "dirsrv", "dirsrv")


def remove_instance(instance: DirectoryInstance) -> None:
    """Take an instance away: what dsctl remove does, but complete, and for a half-made one or none as well."""
    if instance.config.exists():
        services.stop(instance.unit)
        services.disable(instance.unit)
    remove_tree(instance.config)
    for folder in ("/var/lib/dirsrv", "/var/log/dirsrv", "/run/lock/dirsrv", "/run/dirsrv"):
        remove_tree(Path(folder) / f"slapd-{instance.name}")
    remove_tree(f"/dev/shm/slapd-{instance.name}")
    remove_file(instance.socket)
    remove_file(f"/etc/tmpfiles.d/dirsrv-{instance.name}.conf")
    services.daemon_reload()
    services.reset_failed(instance.unit)


def change_dse(instance: DirectoryInstance, changes: Sequence[dse.Change]) -> None:
    """Change the configuration of an instance that was created, and is stopped."""
    path = instance.config / "dse.ldif"
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
