"""The header of a backup: the clear-text description beside the payload.

Two notations are read: plain ``name = value`` lines with the time as Generalized Time (the format of the
FreeIPA V3 design, and ours for format 2), and the INI file with one section ``[ipa]`` that FreeIPA's own
tools write (format 1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from enum import Enum
from typing import Callable, TypeVar

from ipabackup.errors import DamagedBackup, NotABackup, UnsupportedFormat

STOCK_FORMAT = 1
CURRENT_FORMAT = 2
STOCK_TIME = "%Y-%m-%dT%H:%M:%S"
GENERALIZED_TIME = "%Y%m%d%H%M%SZ"

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_LONGEST = 64 * 1024
_T = TypeVar("_T")


class BackupType(str, Enum):
    """Whether a backup holds a whole server or only its directory data."""

    FULL = "FULL"
    DATA = "DATA"


@dataclass(frozen=True)
class InstanceSummary:
    """A directory instance in the backup (``EXAMPLE-TEST``) and its backends (``userRoot``, ``ipaca``)."""

    name: str
    backends: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}:{','.join(self.backends)}"


@dataclass(frozen=True)
class Header:
    """What the header says.  Sizes are bytes; ``time`` has a zone and whole seconds.

    The fields from ``realm`` on are empty or None in a header of format 1.  ``extra`` holds names that this
    version does not know; they are kept when the header is rendered in format 2 and do no harm.
    """

    type: BackupType
    time: datetime
    host: str
    ipa_version: str
    version: int = CURRENT_FORMAT
    services: tuple[str, ...] = ()
    realm: str = ""
    product_version: str = ""
    instances: tuple[InstanceSummary, ...] = ()
    payload: str = ""
    payload_size: int | None = None
    payload_sha256: str = ""
    uncompressed_size: int | None = None
    compression: str = ""
    encryption: str = "none"
    recipients: tuple[str, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        """True for a full backup."""
        return self.type is BackupType.FULL

    @property
    def encrypted(self) -> bool:
        """True when the header says that the payload is encrypted; format 1 tells by the payload's name
        alone.
        """
        return self.encryption not in ("", "none")

    def sealed(self, *, payload: str, size: int, sha256: str, uncompressed_size: int) -> Header:
        """This header with what is known only once the payload has been written."""
        return replace(
            self,
            payload=payload,
            payload_size=size,
            payload_sha256=sha256,
            uncompressed_size=uncompressed_size,
        )

    @classmethod
    def parse(cls, text: str) -> Header:
        """Read a header in either notation.

        Raises NotABackup when a needed name is missing, DamagedBackup when a value makes no sense or a name
        is given twice, and UnsupportedFormat when the format version is unknown.
        """
        values = _lines(text)

        def take(name: str, read: Callable[[str], _T]) -> _T:
            if name not in values:
                raise NotABackup(f"the header has no line '{name} = …'")
            return _read(name, values[name], read)

        def maybe(name: str, read: Callable[[str], _T], otherwise: _T) -> _T:
            return _read(name, values[name], read) if values.get(name) else otherwise

        version = take("version", _whole)
        if version not in (STOCK_FORMAT, CURRENT_FORMAT):
            raise UnsupportedFormat(
                f"the backup has format version {version}; this program reads {STOCK_FORMAT} and {CURRENT_FORMAT}"
            )
        header = cls(
            type=take("type", lambda text: BackupType(text.upper())),
            time=take("time", _moment),
            host=take("host", _not_empty),
            ipa_version=take("ipa_version", _not_empty),
            version=version,
            services=maybe("services", _listed, ()),
            realm=values.get("realm", ""),
            product_version=values.get("product_version", ""),
            instances=maybe("instances", _summaries, ()),
            payload=maybe("payload", _file_name, ""),
            payload_size=maybe("payload_size", _whole, None),
            payload_sha256=maybe("payload_sha256", _digest, ""),
            uncompressed_size=maybe("uncompressed_size", _whole, None),
            compression=values.get("compression", ""),
            encryption=values.get("encryption", "") or "none",
            recipients=maybe("recipients", _listed, ()),
            extra={name: value for name, value in values.items() if name not in _KNOWN},
        )
        if version != STOCK_FORMAT and (not header.payload or header.payload_size is None or not header.payload_sha256):
            raise DamagedBackup("the header does not name its payload, the payload's size and its SHA-256")
        return header

    def render(self, format_version: int | None = None) -> str:
        """The header's text, in the notation of ``format_version`` (by default its own).

        Raises ValueError for a value that would not come back as it is: one with a line break, a ``#``,
        white space at its ends, or a comma within a list.
        """
        version = self.version if format_version is None else format_version
        if version == STOCK_FORMAT:
            pairs = [
                ("type", self.type.value),
                ("time", self.time.astimezone(timezone.utc).strftime(STOCK_TIME)),
                ("host", self.host),
                ("ipa_version", self.ipa_version),
                ("version", str(version)),
                ("services", _join(self.services)),
            ]
            return "[ipa]\n" + "".join(_line(name, value) for name, value in pairs) + "\n"
        if version != CURRENT_FORMAT:
            raise ValueError(f"no such format version: {version}")
        optional = [
            ("realm", self.realm),
            ("product_version", self.product_version),
            ("instances", ";".join(str(instance) for instance in self.instances)),
            ("payload", self.payload),
            ("payload_size", "" if self.payload_size is None else str(self.payload_size)),
            ("payload_sha256", self.payload_sha256),
            ("uncompressed_size", "" if self.uncompressed_size is None else str(self.uncompressed_size)),
            ("compression", self.compression),
            ("encryption", self.encryption),
            ("recipients", _join(self.recipients)),
            *sorted(self.extra.items()),
        ]
        return "".join(
            [
                "# IPA backup\n",
                _line("type", self.type.value),
                _line("time", self.time.astimezone(timezone.utc).strftime(GENERALIZED_TIME)),
                _line("host", self.host),
                _line("ipa_version", self.ipa_version),
                _line("version", str(version)),
                _line("services", _join(self.services)),
                *(_line(name, value) for name, value in optional if value),
            ]
        )


_KNOWN = {name for name in Header.__dataclass_fields__ if name != "extra"}


def _lines(text: str) -> dict[str, str]:
    """The name/value pairs of a header; raises NotABackup or DamagedBackup."""
    if len(text) > _LONGEST:
        raise NotABackup("the header is too long to be one")
    values: dict[str, str] = {}
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip()
        # A '#' opens a comment only at the start of a line or after white space, so that values may hold one.
        line = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
        if not line or (line == "[ipa]" and not values):
            continue
        name, equals, value = line.partition("=")
        name = name.strip().lower()
        if not equals or not _NAME.match(name):
            raise NotABackup(f"line {number} of the header is not 'name = value': {raw.strip()[:60]!r}")
        if name in values:
            raise DamagedBackup(f"line {number} of the header gives '{name}' a second time")
        values[name] = value.strip()
    return values


def _read(name: str, text: str, read: Callable[[str], _T]) -> _T:
    try:
        return read(text)
    except ValueError as error:
        raise DamagedBackup(f"the header's {name} makes no sense: {text[:80]!r}") from error


def _line(name: str, value: str) -> str:
    if not _NAME.match(name) or name != name.lower():
        raise ValueError(f"not a header name: {name!r}")
    if any(
        ord(sign) < 32 or ord(sign) in (127, 0x85, 0x2028, 0x2029) or 0xD800 <= ord(sign) < 0xE000 for sign in value
    ):
        raise ValueError(f"{name} holds a line break or a control character: {value!r}")
    if value != value.strip() or re.search(r"(?:^|\s)#", value):
        raise ValueError(f"{name} would not be read back as it is: {value!r}")
    return f"{name} = {value}\n"


def _join(items: tuple[str, ...]) -> str:
    for item in items:
        if not item or "," in item or item != item.strip():
            raise ValueError(f"not an item of a comma-separated list: {item!r}")
    return ",".join(items)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _not_empty(text: str) -> str:
    if not text:
        raise ValueError("empty")
    return text


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        raise ValueError("not a whole number")
    return int(text)


def _digest(text: str) -> str:
    if not _SHA256.match(text):
        raise ValueError("not a SHA-256 in hexadecimal")
    return text


def _file_name(text: str) -> str:
    # The payload lies beside the header; a header must not be able to point anywhere else.
    if "/" in text or text in (".", ".."):
        raise ValueError("not a plain file name")
    return text


def _summaries(text: str) -> tuple[InstanceSummary, ...]:
    found: list[InstanceSummary] = []
    for part in text.split(";"):
        name, colon, backends = part.strip().partition(":")
        if not name or not colon:
            raise ValueError("not INSTANCE:BACKEND,BACKEND")
        found.append(InstanceSummary(name, _listed(backends)))
    return tuple(found)


def _moment(text: str) -> datetime:
    for layout in (GENERALIZED_TIME, STOCK_TIME):
        try:
            return datetime.strptime(text, layout).replace(tzinfo=timezone.utc)
        except ValueError:
            continue
    # Generalized Time may carry a fraction and an offset (X.680); the design asks for GMT, others are
    # converted.
    matched = re.fullmatch(r"(\d{14})(?:[.,]\d+)?(Z|[+-]\d{4})", text, re.ASCII)
    if not matched:
        raise ValueError("neither Generalized Time nor an ISO date and time")
    zone = "+0000" if matched[2] == "Z" else matched[2]
    return datetime.strptime(matched[1] + zone, "%Y%m%d%H%M%S%z").astimezone(timezone.utc)
