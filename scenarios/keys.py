"""Keys to encrypt backups for."""

from __future__ import annotations

from lab.host import Host

_PARAMETERS = """\
%no-protection
Key-Type: RSA
Key-Length: 2048
Subkey-Type: RSA
Subkey-Length: 2048
Name-Real: IPA Backup
Name-Email: backup@example.test
Expire-Date: {expires}
%commit
"""


def make_key(host: Host, home: str, expires: str = "0") -> None:
    """Make a key without a passphrase in a GnuPG home of its own; ``expires`` is in GnuPG's words."""
    host.run(["install", "-d", "-m", "700", home])
    host.write_file("/root/keygen", _PARAMETERS.format(expires=expires))
    host.run(["gpg", "--homedir", home, "--batch", "--generate-key", "/root/keygen"])
