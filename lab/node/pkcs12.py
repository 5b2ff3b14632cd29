"""PKCS #12 files that every reader understands.

They are openssl's: python3-cryptography 43 writes no localKeyID attributes, without which neither NSS nor openssl can
tell which certificate a key belongs to.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from lab.node.ca.authority import key_pem, pem
from lab.node.files import write_file
from lab.node.run import run


def bundle(
    key: rsa.RSAPrivateKey,
    certificate: x509.Certificate,
    password: str,
    *,
    name: str,
    issuers: Sequence[x509.Certificate] = (),
) -> bytes:
    """The key and its certificate under a friendly name, with issuers; raises CommandFailed when openssl does."""
    with tempfile.TemporaryDirectory() as place:
        # A folder that only its owner enters.
        folder = Path(place)
        write_file(folder / "key", key_pem(key), mode=0o600)
        write_file(folder / "certificate", pem(certificate))
        write_file(folder / "password", password + "\n", mode=0o600)
        words = ["-inkey", f"{place}/key", "-in", f"{place}/certificate", "-name", name]
        if issuers:
            write_file(folder / "issuers", b"".join(pem(one) for one in issuers))
            words += ["-certfile", f"{place}/issuers"]
        run(["openssl", "pkcs12", "-export", *words, "-passout", f"file:{place}/password", "-out", f"{place}/bundle"])
        return (folder / "bundle").read_bytes()
