"""``python -m benchmarks``: compare ipa-backup and ipa-restore with the documented procedure.

Brings up a server of its own, fills its directory with users, and lets both sides do the same by turns.
Exit status: 0 all limits hold; 1 one does not; 2 usage; others as ``python -m lab`` has them.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from benchmarks import machine, peers, users
from benchmarks.cases import CASES, Case
from benchmarks.measure import GivenUp, measure
from benchmarks.plot import plot
from benchmarks.report import markdown, write_between
from benchmarks.results import Results
from benchmarks.sides import Sides
from benchmarks.summary import verdicts
from lab import owner
from lab.engine import connect
from lab.errors import LabError
from lab.product import install_product
from lab.realm import Realm
from lab.topology import Topology, load

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
PICTURE = DOCUMENT.with_suffix(".svg")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    words = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("--users", type=_numbers, metavar="N,N", help="how many (1000,10000,100000)")
    words.add_argument(
        "--repeat", type=_repeats, default=[3], metavar="N[,N]", help="runs of each; or, one for each of --users (3)"
    )
    words.add_argument(
        "--only", type=_cases, default=list(CASES), metavar="CASE,CASE", help=", ".join(case.name for case in CASES)
    )
    words.add_argument(
        "--peers", action="store_true", help="measure how long two other masters are filled (10000 users unless said)"
    )
    words.add_argument("--topology", default="single", help="the realm whose first server is measured (%(default)s)")
    words.add_argument("--json", type=Path, metavar="FILE", help="keep each run's figures in FILE, while measuring too")
    words.add_argument("--from", type=Path, metavar="FILE", dest="source", help="measure nothing, read --json's FILE")
    words.add_argument("--plot", type=Path, metavar="FILE", help="draw the medians (.svg or .png)")
    words.add_argument(
        "--write-docs", action="store_true", help=f"put the figures into {DOCUMENT.name}, and the picture"
    )
    return words


def _numbers(text: str) -> list[int]:
    numbers = sorted({int(number) for number in text.split(",")})
    if numbers[0] < 1 or any(number % users.GROUP for number in numbers):
        raise argparse.ArgumentTypeError(f"numbers of users are multiples of {users.GROUP}")
    return numbers


def _repeats(text: str) -> list[int]:
    numbers = [int(number) for number in text.split(",")]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError("each is run once at least")
    return numbers


def _cases(text: str) -> list[Case]:
    wanted = text.split(",")
    unknown = set(wanted) - {case.name for case in CASES}
    if unknown:
        raise argparse.ArgumentTypeError(f"no such case: {', '.join(sorted(unknown))}")
    return [case for case in CASES if case.name in wanted]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status."""
    words = parser()
    options = words.parse_args(arguments)
    options.users = options.users or ([peers.FULL_SIZE] if options.peers else [1_000, 10_000, 100_000])
    if len(options.repeat) not in (1, len(options.users)):
        words.error("--repeat is one number, or one for each of --users")
    signal.signal(signal.SIGTERM, _terminated)
    try:
        if options.peers:
            return _peers(options.users)
        results = Results.read(options.source) if options.source else _measured(options)
    except LabError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("benchmarks: interrupted; the lab is removed.", file=sys.stderr)
        return 130
    report = markdown(results)
    print(report)
    if options.plot:
        plot(results, options.plot)
    if options.write_docs:
        plot(results, PICTURE)
        shown = f"![The medians]({PICTURE.name})\n\n{report}"
        DOCUMENT.write_text(write_between(DOCUMENT.read_text(encoding="utf-8"), shown), encoding="utf-8")
    return 1 if verdicts(results.runs)[0] or results.given_up else 0


def _peers(counts: Sequence[int]) -> int:
    found = list(peers.measure(connect(), counts, _say))
    for one in found:
        print(one)
    return 0 if all(one.holds for one in found) else 1


def _measured(options: argparse.Namespace) -> Results:
    engine = connect()
    topology: Topology = load(options.topology)
    with Realm.up(engine, topology, owner=owner.this_process(), say=_say) as realm:
        host = realm.master
        install_product(host, say=_say)
        results = Results(time.strftime("%Y-%m-%d", time.gmtime()), machine.facts(engine, host))
        results.remarks += machine.disturbances(engine, host)
        sides = Sides(host)
        sides.prepare()
        offered = [case for case in options.only if sides.offers(case)]
        for case in options.only:
            if case not in offered:
                results.remarks.append(f"'{case.title}' was not measured: ipa-backup does not have it.")
        there = 0
        repeats = options.repeat * len(options.users) if len(options.repeat) == 1 else options.repeat
        for count, repeat in zip(options.users, repeats, strict=True):
            _say(f"Importing users {there} to {count}")
            users.add_users(host, range(there, count))
            there = count
            results.databases[count] = machine.database_bytes(host)
            # The backups of fewer users are no use from here on.
            sides.forget_all()
            for run in measure(sides, count, offered, repeat, _say):
                if isinstance(run, GivenUp):
                    results.given_up.append(str(run))
                else:
                    results.runs.append(run)
                if options.json:
                    results.write(options.json)
    return results


def _say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, flush=True)


def _terminated(number: int, frame: FrameType | None) -> None:
    """Let SIGTERM unwind like Ctrl-C, so that the lab is removed."""
    del number, frame
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
