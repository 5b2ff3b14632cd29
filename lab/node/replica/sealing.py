"""Secrets on their way: readable only by whoever has the private key, whatever carries them.

A fresh AES-256-GCM key encrypts the content, RSA-OAEP encrypts that key; both travel as JSON.
"""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SMALLEST_KEY = 2048
NONCE_BYTES = 12
_OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


class NotSealed(ValueError):
    """Not a sealed content, or one for another key."""


def public_pem(key: rsa.RSAPrivateKey) -> str:
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return public.decode()


def seal(content: dict[str, Any], recipient: str) -> dict[str, str]:
    """Encrypt for the holder of a public key (PEM). Raises ValueError for a key that is none, or too small."""
    public = serialization.load_pem_public_key(recipient.encode())
    if not isinstance(public, rsa.RSAPublicKey) or public.key_size < SMALLEST_KEY:
        raise ValueError(f"an RSA key of {SMALLEST_KEY} bits or more is needed")
    key, nonce = AESGCM.generate_key(256), secrets.token_bytes(NONCE_BYTES)
    body = AESGCM(key).encrypt(nonce, json.dumps(content).encode(), None)
    parts = {"key": public.encrypt(key, _OAEP), "nonce": nonce, "body": body}
    return {name: base64.b64encode(value).decode() for name, value in parts.items()}


def unseal(sealed: dict[str, str], key: rsa.RSAPrivateKey) -> dict[str, Any]:
    """The content again. Raises NotSealed."""
    try:
        parts = {name: base64.b64decode(sealed[name], validate=True) for name in ("key", "nonce", "body")}
        content = json.loads(AESGCM(key.decrypt(parts["key"], _OAEP)).decrypt(parts["nonce"], parts["body"], None))
    except (KeyError, ValueError, InvalidTag) as error:
        raise NotSealed("the sealed secrets cannot be opened with this key") from error
    if not isinstance(content, dict):
        raise NotSealed("the sealed secrets are no JSON object")
    return content
