"""Whether masters are one realm: from what they say to troubles in sentences, each with what mends it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ipabackup.directory.agreements import Agreement, Replica, status_code
from ipabackup.directory.vectors import seconds_of
from ipabackup.realm.state import RealmState

CA_SUFFIX = "o=ipaca"
_SHOWN = 5
# The number of every replica that takes no changes from clients.
_READ_ONLY = 65535
# What an agreement says when its consumer has another generation: Error (19).
_OTHER_GENERATION = 19


@dataclass(frozen=True)
class Trouble:
    """One way in which masters are not one realm.

    `kind` is a word for programs; `passing` says that it may go away by itself while replication works.
    """

    kind: str
    suffix: str
    hosts: tuple[str, ...]
    message: str
    remedy: str
    passing: bool = False


def tool(suffix: str) -> str:
    """The command that looks after the agreements of `suffix`."""
    return "ipa-csreplica-manage" if suffix == CA_SUFFIX else "ipa-replica-manage"


def judge(state: RealmState, away: Collection[str] = (), silent: Collection[str] = ()) -> list[Trouble]:
    """Every trouble that `state` shows, the worst first.

    It is none that agreements with masters that are `away` are switched off, nor that others lack what those have
    changed that are `silent`: they send nothing yet.
    """
    troubles = [
        Trouble("unreachable", "", (host,), reason, f"Check again when {host} answers, or name it in what you decide.")
        for host, reason in sorted(state.unreachable.items())
    ]
    troubles += [_empty(host) for host, one in sorted(state.masters.items()) if one.empty]
    for suffix in state.suffixes():
        replicas = state.with_suffix(suffix)
        troubles += _numbers(suffix, replicas)
        split = list(_split(suffix, replicas))
        troubles += split
        troubles += _agreements(suffix, replicas, state, away, silent)
        if not split:
            troubles += _unsaved(suffix, replicas, state)
            troubles += _behind(suffix, replicas, silent)
            troubles += _unheard(suffix, replicas, silent)
            troubles += _counts(suffix, state)
        troubles += _conflicts(suffix, state)
    return troubles


def _empty(host: str) -> Trouble:
    told = f"{host} has none of the domain's data, as one has that stopped while it was filled or its data imported."
    filled = f"On a master that has it run: ipa-restore --reinitialize-peers --peer {host}; then here: ipactl restart"
    return Trouble("empty", "", (host,), told, f"{filled}. Or restore a backup")


def _numbers(suffix: str, replicas: Mapping[str, Replica]) -> Iterator[Trouble]:
    holders: dict[int, list[str]] = {}
    for host, replica in replicas.items():
        holders.setdefault(replica.number, []).append(host)
    for number, hosts in sorted(holders.items()):
        if len(hosts) > 1 and number != _READ_ONLY:
            yield Trouble(
                "number",
                suffix,
                tuple(hosts),
                f"{suffix}: {_listed(hosts)} have the same replica number {number}.",
                "Uninstall all but one of them and install them again.",
            )


def _split(suffix: str, replicas: Mapping[str, Replica]) -> Iterator[Trouble]:
    camps: dict[str, list[str]] = {}
    for host, replica in replicas.items():
        camps.setdefault(replica.vector.generation, []).append(host)
    if len(camps) > 1:
        told = "; ".join(
            f"{generation or 'none'} on {_listed(sorted(hosts))}" for generation, hosts in sorted(camps.items())
        )
        yield Trouble(
            "generation",
            suffix,
            tuple(sorted(replicas)),
            f"{suffix}: the masters have different replication generations, so that no change passes between them: "
            f"{told}.",
            f"Decide whose data is right, and on each master of another generation run: {tool(suffix)} re-initialize "
            "--from=HOST",
        )


def _unsaved(suffix: str, replicas: Mapping[str, Replica], state: RealmState) -> Iterator[Trouble]:
    for host, replica in sorted(replicas.items()):
        content = state.masters[host].contents.get(suffix)
        stored = content.generation if content is not None else None
        if stored not in (None, replica.vector.generation):
            yield Trouble(
                "unsaved",
                suffix,
                (host,),
                f"{suffix}: {host} has the replication generation {replica.vector.generation}, and {stored} in its "
                "database: with that one it would begin again, and no change would pass any more.",
                f"It should write what it has within half a minute. If it stays so, {_from(suffix, host, 'HOST')}",
                passing=True,
            )


def _agreements(
    suffix: str,
    replicas: Mapping[str, Replica],
    state: RealmState,
    away: Collection[str],
    silent: Collection[str],
) -> Iterator[Trouble]:
    for host, replica in sorted(replicas.items()):
        for agreement in sorted(replica.agreements, key=lambda one: one.consumer):
            to = f"{suffix}: the agreement of {host} with {agreement.consumer}"
            hosts = (host, agreement.consumer)
            if agreement.consumer not in state.listed:
                remedy = (
                    f"Install {agreement.consumer} again, or remove it: ipa-replica-manage del {agreement.consumer}"
                )
                yield Trouble("stranger", suffix, hosts, f"{to}, which is no master of the realm, is left.", remedy)
            elif not agreement.enabled and agreement.consumer in away:
                continue
            elif not agreement.enabled:
                remedy = _switch_on(suffix, host, agreement, replica, replicas, state)
                yield Trouble("off", suffix, hosts, f"{to} is switched off.", remedy)
            elif (
                agreement.failing
                and host not in silent
                and agreement.consumer in state.masters
                and not _mended(agreement, replica, replicas)
            ):
                remedy = f"On {agreement.consumer} run: {tool(suffix)} force-sync --from={host}"
                yield Trouble("failing", suffix, hosts, f"{to} fails: {agreement.updated}.", remedy, passing=True)
    yield from _cut_off(suffix, replicas, state)


def _switch_on(
    suffix: str,
    host: str,
    agreement: Agreement,
    replica: Replica,
    replicas: Mapping[str, Replica],
    state: RealmState,
) -> str:
    """How an agreement is switched on that has nothing else against it; a consumer of another generation is filled."""
    if not _one_generation(agreement, replica, replicas):
        return _from(suffix, agreement.consumer, host)
    name = re.sub(r"^cn=([^,]+).*", r"\1", agreement.dn)
    instance = state.instances.get(suffix, "INSTANCE")
    return f"On {host} run: dsconf {instance} repl-agmt enable --suffix={suffix} {name}"


def _one_generation(agreement: Agreement, replica: Replica, replicas: Mapping[str, Replica]) -> bool:
    consumer = replicas.get(agreement.consumer)
    return consumer is not None and consumer.vector.generation == replica.vector.generation


def _mended(agreement: Agreement, replica: Replica, replicas: Mapping[str, Replica]) -> bool:
    """Whether an agreement says that generations differ, which they do no more: it tries again only minutes later."""
    return _one_generation(agreement, replica, replicas) and status_code(agreement.updated) == _OTHER_GENERATION


def _cut_off(suffix: str, replicas: Mapping[str, Replica], state: RealmState) -> Iterator[Trouble]:
    """Masters that changes do not reach, over others if need be; one that is not reached now may lead on."""
    ways = {host: {one.consumer for one in replica.agreements} for host, replica in replicas.items()}
    for host in state.listed - set(state.masters):
        ways[host] = set(replicas)
    for start in sorted(replicas):
        reached = _reached_from(start, ways)
        for missed in sorted(set(replicas) - reached):
            yield Trouble(
                "cut-off",
                suffix,
                (start, missed),
                f"{suffix}: no agreement leads from {start} to {missed}, over others neither.",
                f"On {start} run: {tool(suffix)} connect {missed}",
            )


def _reached_from(start: str, ways: Mapping[str, Iterable[str]]) -> set[str]:
    reached, waiting = {start}, [start]
    while waiting:
        for following in ways.get(waiting.pop(), ()):
            if following not in reached:
                reached.add(following)
                waiting.append(following)
    return reached


def due_levels(replicas: Mapping[str, Replica]) -> dict[int, str]:
    """For each replica number, the newest change that every master of the suffix should have."""
    due: dict[int, str] = {}
    own = {replica.number: replica.due() for replica in replicas.values()}
    for replica in replicas.values():
        for number, newest in replica.vector.newest.items():
            due[number] = own[number] if number in own else max(due.get(number, ""), newest)
    return due


def lag(replica: Replica, due: Mapping[int, str]) -> dict[int, str]:
    """What of `due` a replica does not have: number → the newest change that it has instead."""
    have = replica.vector.newest
    return {number: have.get(number, "") for number, wanted in due.items() if have.get(number, "") < wanted}


def _behind(suffix: str, replicas: Mapping[str, Replica], silent: Collection[str]) -> Iterator[Trouble]:
    origins = {replica.number: host for host, replica in replicas.items()}
    due = {number: newest for number, newest in due_levels(replicas).items() if origins.get(number) not in silent}
    for host, replica in sorted(replicas.items()):
        missing = lag(replica, due)
        if not missing:
            continue
        told = "; ".join(
            f"{_origin(number, origins)} up to {due[number]}, it has {have or 'none'}{_seconds(have, due[number])}"
            for number, have in sorted(missing.items())
        )
        source = next((origins[number] for number in sorted(missing) if origins.get(number, host) != host), "")
        remedy = f"On {host} run: {tool(suffix)} force-sync --from={source or 'HOST'}"
        message = f"{suffix}: {host} lacks changes of {told}."
        yield Trouble(
            "behind", suffix, (host,), message, f"{remedy}; if that does not help: re-initialize", passing=True
        )


def _unheard(suffix: str, replicas: Mapping[str, Replica], silent: Collection[str]) -> Iterator[Trouble]:
    """Masters that know nothing of one that supplies them, or its changes only from others.

    389 DS shows no element of a replica before it knows that one's address, which its own first session tells.  It then
    forgets how far it had that one's changes, until the next of them arrives.  Were it restarted in between, its
    changelog, which has them, would contradict its vector, and be thrown away.
    """
    due = due_levels(replicas)
    for host, replica in sorted(replicas.items()):
        if host in silent or replica.number not in replica.vector.newest:
            continue
        for agreement in sorted(replica.agreements, key=lambda one: one.consumer):
            consumer = replicas.get(agreement.consumer)
            if consumer is None or not agreement.enabled or agreement.failing:
                continue
            if replica.number not in {*consumer.vector.newest, *lag(consumer, due)}:
                yield Trouble(
                    "unheard",
                    suffix,
                    (agreement.consumer, host),
                    f"{suffix}: {agreement.consumer} has not heard from {host}, which supplies it.",
                    f"On {agreement.consumer} run: {tool(suffix)} force-sync --from={host}",
                    passing=True,
                )


def _origin(number: int, origins: Mapping[int, str]) -> str:
    return f"{origins[number]} (replica {number})" if number in origins else f"replica {number}, which nobody is,"


def _seconds(have: str, wanted: str) -> str:
    return f" ({seconds_of(wanted) - seconds_of(have)} s older)" if have else ""


def _counts(suffix: str, state: RealmState) -> Iterator[Trouble]:
    counts = {
        host: content.entries
        for host, one in state.masters.items()
        if (content := one.contents.get(suffix)) is not None and content.entries is not None
    }
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{count} on {host}" for host, count in sorted(counts.items()))
        yield Trouble(
            "entries",
            suffix,
            tuple(sorted(counts)),
            f"{suffix}: the masters have different numbers of entries: {told}.",
            f"If it stays so, decide whose data is right. On the others run: {tool(suffix)} re-initialize --from=HOST",
            passing=True,
        )


def _conflicts(suffix: str, state: RealmState) -> Iterator[Trouble]:
    found: dict[str, list[str]] = {}
    for host, one in sorted(state.masters.items()):
        for dn in one.contents[suffix].conflicts if suffix in one.contents else ():
            found.setdefault(dn, []).append(host)
    if found:
        named = [f"{dn} (on {_listed(hosts)})" for dn, hosts in sorted(found.items())]
        more = f", and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
        yield Trouble(
            "conflict",
            suffix,
            tuple(sorted({host for hosts in found.values() for host in hosts})),
            f"{suffix}: replication could not bring these entries together: {', '.join(named[:_SHOWN])}{more}.",
            "Compare each with the entry whose name it wanted, keep one and delete the other "
            "(dsconf INSTANCE repl-conflict).",
        )


def _from(suffix: str, consumer: str, supplier: str) -> str:
    return f"On {consumer} run: {tool(suffix)} re-initialize --from={supplier} (it switches the agreement on, too)"


def _listed(hosts: Iterable[str]) -> str:
    names = list(hosts)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
