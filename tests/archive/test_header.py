"""The header: both notations, round trips, refusals."""

from __future__ import annotations

import configparser
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipabackup.archive.header import BackupType, Header, InstanceSummary
from ipabackup.errors import BadBackup, DamagedBackup, NotABackup, UnsupportedFormat

STOCK = """[ipa]
type = FULL
time = 2026-11-21T21:21:05
host = ipa1.example.test
ipa_version = 4.13.3
version = 1
services = KDC,KPASSWD,KEYS,OTPD,HTTP

"""
DESIGN = """
# a backup
   type=DATA
time   =   20130318150000Z   # in GMT
host = ipa.example.com
ipa_version = 3.2.0
version = 1
services = named, CA
colour = blue
"""

words = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-._:/é", min_size=1, max_size=20)
names = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-._", min_size=1, max_size=20).filter(
    lambda text: text not in (".", "..")
)
moments = st.datetimes(datetime(1970, 1, 1), datetime(9998, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=timezone.utc)
)
headers = st.builds(
    Header,
    type=st.sampled_from(BackupType),
    time=moments,
    host=words,
    ipa_version=words,
    version=st.just(2),
    services=st.lists(words, max_size=5).map(tuple),
    realm=words,
    product_version=words,
    instances=st.lists(
        st.builds(InstanceSummary, names, st.lists(names, min_size=1, max_size=3).map(tuple)), max_size=3
    ).map(tuple),
    payload=names,
    payload_size=st.integers(0, 10**15),
    payload_sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    uncompressed_size=st.none() | st.integers(0, 10**15),
    compression=st.just("zstd"),
    encryption=st.sampled_from(["none", "gpg"]),
    recipients=st.lists(words, max_size=2).map(tuple),
    extra=st.dictionaries(st.from_regex(r"x[a-z_]{0,10}", fullmatch=True), words, max_size=3),
)


@pytest.mark.row("B8")
@given(headers)
def test_a_header_comes_back_as_it_was(header: Header) -> None:
    assert Header.parse(header.render()) == header


@pytest.mark.row("B8")
@given(headers, st.integers(0, 3), st.booleans())
def test_white_space_and_comments_change_nothing(header: Header, spaces: int, comment: bool) -> None:
    gap = " \t"[: spaces % 3] * spaces
    lines = [
        line.replace(" = ", f"{gap}={gap}") + gap + (" # said by the way" if comment else "")
        for line in header.render().splitlines()
    ]
    assert Header.parse("\n\n".join(lines)) == header


@pytest.mark.row("B8")
def test_the_designs_notation_is_read() -> None:
    header = Header.parse(DESIGN)
    assert header.type is BackupType.DATA
    assert header.time == datetime(2013, 3, 18, 15, tzinfo=timezone.utc)
    assert header.services == ("named", "CA")
    assert header.extra == {"colour": "blue"}


def test_the_stock_notation_is_read_and_written_to_the_letter() -> None:
    header = Header.parse(STOCK)
    assert header.full
    assert header.time == datetime(2026, 11, 21, 21, 21, 5, tzinfo=timezone.utc)
    assert header.render() == STOCK


@given(headers)
def test_format_1_is_understood_by_a_config_parser(header: Header) -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(header.render(1))
    section = parser["ipa"]
    assert section["type"] == header.type.value
    assert section["host"] == header.host
    assert list(section) == ["type", "time", "host", "ipa_version", "version", "services"]
    assert datetime.strptime(section["time"], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc) == header.time


@given(headers, st.sampled_from(["\n", "\r", "\x00", "\x0b", "\x85", "\u2028"]), words)
def test_a_value_cannot_smuggle_in_a_line(header: Header, line_break: str, rest: str) -> None:
    bad = header.sealed(payload=f"a{line_break}{rest}", size=1, sha256=header.payload_sha256, uncompressed_size=1)
    with pytest.raises(ValueError, match="line break"):
        bad.render()


def test_times_with_an_offset_are_converted() -> None:
    text = DESIGN.replace("20130318150000Z", "20130318150000.5+0200")
    assert Header.parse(text).time == datetime(2013, 3, 18, 13, tzinfo=timezone.utc)


@given(headers)
def test_local_time_is_written_as_gmt(header: Header) -> None:
    zone = timezone(timedelta(hours=5, minutes=30))
    try:
        local = header.time.astimezone(zone)
    except OverflowError:
        return
    assert Header.parse(Header(header.type, local, "h", "1", 1).render(1)).time == header.time


@pytest.mark.row("R13")
@pytest.mark.parametrize(
    ("old", "new", "error", "words"),
    [
        ("version = 1", "version = 9", UnsupportedFormat, "version 9"),
        ("version = 1", "version = one", DamagedBackup, "version"),
        ("version = 1", "version = 2", DamagedBackup, "payload"),
        ("type = FULL", "type = HALF", DamagedBackup, "type"),
        ("type = FULL\n", "", NotABackup, "type"),
        ("host = ipa1.example.test", "host =", DamagedBackup, "host"),
        ("time = 2026-11-21T21:21:05", "time = yesterday", DamagedBackup, "time"),
        ("type = FULL", "type = FULL\ntype = DATA", DamagedBackup, "second time"),
        ("type = FULL", "full backup", NotABackup, "line 2"),
        ("type = FULL", "type = FULL\npayload = ../../etc/passwd", DamagedBackup, "payload"),
    ],
)
def test_a_bad_header_is_refused_and_the_line_named(old: str, new: str, error: type[BadBackup], words: str) -> None:
    assert old in STOCK
    with pytest.raises(error, match=words):
        Header.parse(STOCK.replace(old, new))


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        Header.parse(text)
    except BadBackup:
        return
    assert "=" in text
