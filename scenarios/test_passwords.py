"""A password that was given is seen by nobody: not in any command line, log or journal."""

import pytest

from lab.host import Host
from scenarios.deeds import back_up

#: Watches every command line of the host until it is told to stop.
_WATCH = """
while [ ! -e /run/watch.stop ]; do cat /proc/[0-9]*/cmdline 2>&- | tr '\\0' ' ' ; echo; done > /root/watched
"""


@pytest.mark.row("B13", "B4")
def test_a_password_shows_in_no_command_line_log_or_journal(master: Host) -> None:
    secret = master.topology.passwords.directory_manager
    master.write_file("/root/dm", f"{secret}\n", mode=0o600)
    watch = master.start(["sh", "-c", _WATCH])
    back_up(master, "--data", "--password-file", "/root/dm")
    master.run(["touch", "/run/watch.stop"])
    watch.wait()
    assert "ns-slapd db2ldif" in master.read_file("/root/watched"), "the watcher saw what was run"
    for path in ("/root/watched", "/var/log/ipabackup.log"):
        assert secret not in master.read_file(path), path
    journal = master.run(["journalctl", "--no-pager", "-o", "cat"]).stdout
    assert secret not in journal
