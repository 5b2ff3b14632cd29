"""A backup that is there: opened, checked, and its record read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ipabackup.archive.extract import Destination, extract
from ipabackup.archive.gpg import Keyring, check_decryption
from ipabackup.archive.header import STOCK_FORMAT, Header
from ipabackup.archive.layout import HEADER, record_name
from ipabackup.archive.reader import PayloadReader, open_payload, payload_path, read_header
from ipabackup.errors import DamagedBackup, Incomplete, Refused
from ipabackup.host.processes import Processes
from ipabackup.inventory import Rule, load
from ipabackup.record import SERVER, ServerRecord
from ipabackup.stock_record import survey_stock


@dataclass(frozen=True)
class OpenedBackup:
    """A backup whose payload is whole: its folder, header, record and a reader of the payload."""

    path: Path
    header: Header
    record: ServerRecord
    reader: PayloadReader


def open_backup(
    path: Path, keyring: Keyring, processes: Processes, rules: Sequence[Rule] | None = None
) -> OpenedBackup:
    """Open the backup in the folder `path` and read its whole payload once to check every digest in it.

    One of format 1 has no record of its server: it is gathered from what is in it, with `rules`, the inventory's
    (default: those of this host).  Raises NotABackup, DamagedBackup, UnsupportedFormat, KeyProblem and WrongKey.
    """
    header = read_header(path)
    if header.version == STOCK_FORMAT:
        stock = _reader(path, header, keyring, processes)
        known, restorable = survey_stock(stock, load() if rules is None else rules)
        return OpenedBackup(path, header, known, restorable)
    reader = _checked_reader(path, header, keyring, processes)
    content = reader.read([record_name(SERVER)]).get(record_name(SERVER))
    if content is None:
        raise DamagedBackup(f"{path} has no record of its server.")
    record = ServerRecord.parse(content)
    for name, said, recorded in (
        ("host", header.host, record.host),
        ("type", header.type.value, record.type),
        ("time", header.time.isoformat(), record.time),
    ):
        if said != recorded:
            raise DamagedBackup(
                f"The header of {path} says {name} {said}, its payload {recorded}: one belongs to another backup."
            )
    return OpenedBackup(path, header, record, reader)


def _checked_reader(path: Path, header: Header, keyring: Keyring, processes: Processes) -> PayloadReader:
    reader = _reader(path, header, keyring, processes)
    reader.verify()
    return reader


def _reader(path: Path, header: Header, keyring: Keyring, processes: Processes) -> PayloadReader:
    payload = payload_path(path, header)
    # A header of format 1 does not tell; the payload's name does.
    if header.encrypted or payload.suffix == ".gpg":
        check_decryption(keyring, payload, processes)
    return open_payload(path, keyring)


def extract_backup(path: Path, target: Path, keyring: Keyring, processes: Processes) -> int:
    """Unpack the whole payload of the backup in `path`, with the header, into the new folder `target`.

    Files belong to the caller, with their modes kept from being readable by others.  Returns the number of members.
    Raises what `open_backup` raises, Refused when `target` exists and holds something, Incomplete when a member could
    not be written.
    """
    header = read_header(path)
    reader = _checked_reader(path, header, keyring, processes)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Refused(f"{target} exists and is not an empty folder.", remedy="Name another folder.")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    (target / HEADER).write_text(header.render(), encoding="utf-8")
    result = extract(reader, lambda member: Destination(target, member.name), _CallersOwn())
    if result.failures:
        listed = "; ".join(f"{failure.path}: {failure.reason}" for failure in result.failures[:10])
        raise Incomplete(f"{len(result.failures)} members could not be extracted: {listed}.")
    return result.restored


class _CallersOwn:
    """Owners of files that are only looked at: whoever extracts them."""

    def uid(self, name: str, number: int) -> int:
        return os.geteuid()

    def gid(self, name: str, number: int) -> int:
        return os.getegid()


def entry_counts(content: bytes) -> Mapping[str, Mapping[str, int]]:
    """Instance → backend → number of entries, from the backup's document; raises DamagedBackup."""
    try:
        return {
            str(instance): {str(backend): int(count) for backend, count in backends.items()}
            for instance, backends in json.loads(content).items()
        }
    except (ValueError, AttributeError, TypeError) as error:
        raise DamagedBackup(f"The backup's entry counts cannot be read: {error}.") from error
