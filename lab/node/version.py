"""The one place that says which FreeIPA this server is laid out like."""

from __future__ import annotations

VERSION = "4.12.0"
API_VERSION = "2.254"
BANNER = f"VERSION: {VERSION}, API_VERSION: {API_VERSION}"
