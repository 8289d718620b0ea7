"""Mistakes in a cabling, by comparing each node with most of its kind: nothing is known of the plan but its regularity.

    missing NIC    a host without a NIC that most hosts have
    wrong rail     a NIC at a leaf that holds another NIC of nearly all its hosts; a NIC in another plane than usual
    missing link   a switch with fewer cables up than its like, and between which switches they are missing
    slow link      a cable that runs below its port's speed, or below that of most of its kind
    uneven leaf    a leaf with more or fewer NICs than most

Left out: mistakes that more than half of a kind shares, which look like the plan.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, TypeVar

from netsim.importers.cables import Cable, Found, tiers
from netsim.importers.words import natural, rate_text

T = TypeVar("T", bound=Hashable)
#: a line on each up to so many of a kind
MOST = 50
#: share of a leaf's NICs that must be alike for it to be a rail, and of all NICs for the fabric to have rails
RAIL = 0.75


def most_common(values: Iterable[T]) -> T | None:
    """The commonest; the first of equals."""
    counted = Counter(values).most_common(1)
    return counted[0][0] if counted else None


def planes(found: Found) -> dict[str, int]:
    """Part of the fabric that each switch is in, numbered by the first NIC that reaches it."""
    above: dict[str, str] = {name: name for name in found.switches}

    def top(name: str) -> str:
        while above[name] != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    for one, two in found.between():
        above[top(one)] = top(two)
    number: dict[str, int] = {}
    for nics in found.nics().values():
        for cables in nics.values():
            for cable in cables:
                number.setdefault(top(cable.b.node), len(number))
    for name in sorted(found.switches, key=natural):
        number.setdefault(top(name), len(number))
    return {name: number[top(name)] for name in found.switches}


def findings(found: Found) -> list[dict[str, Any]]:
    """Every mistake, as {"kind", "where", "line"}."""
    rows = [
        *_missing_nics(found),
        *_wrong_places(found),
        *_missing_links(found),
        *_slow(found),
        *_uneven(found),
    ]
    rows += [_row("dead link", _ends(c), f"{_ends(c)} carries nothing") for c in found.cables if c.dead]
    return rows


def lines_of(rows: list[dict[str, Any]]) -> list[str]:
    """Lines for people, at most `MOST` of a kind."""
    count: Counter[str] = Counter()
    lines = []
    for row in rows:
        count[row["kind"]] += 1
        if count[row["kind"]] <= MOST:
            lines.append(f"{row['kind']}: {row['line']}")
    return lines + [f"{kind}: {n - MOST} more" for kind, n in count.items() if n > MOST]


def _row(kind: str, where: str, line: str) -> dict[str, Any]:
    return {"kind": kind, "where": where, "line": line}


def _ends(cable: Cable) -> str:
    return " - ".join(f"{end.node}/{end.port}" if end.port else end.node for end in (cable.a, cable.b))


def usual_nics(found: Found) -> tuple[str, ...]:
    """The NICs that most hosts have, of those with more than half of the most."""
    nics = found.nics()
    most = max((len(names) for names in nics.values()), default=0)
    return most_common(tuple(names) for names in nics.values() if 2 * len(names) > most) or ()


def _missing_nics(found: Found) -> list[dict[str, Any]]:
    usual = usual_nics(found)
    rows: list[dict[str, Any]] = []
    if not usual:
        return rows
    for host, nics in found.nics().items():
        lacking = [nic for nic in usual if nic not in nics]
        if lacking and 2 * len(nics) > len(usual):
            rows += [_row("missing NIC", f"{host}/{nic}", f"{host}/{nic} is not cabled") for nic in lacking]
    cabled = found.nics()
    rows += [
        _row("missing NIC", host, f"{host} has no cable at all")
        for host in sorted(found.hosts - cabled.keys(), key=natural)
    ]
    return rows


def _wrong_places(found: Found) -> list[dict[str, Any]]:
    seats = [
        (host, nic, c.b.node) for host, nics in found.nics().items() for nic, cs in nics.items() for c in cs
    ]
    plane = planes(found)
    by_nic: dict[str, Counter[int]] = defaultdict(Counter)
    by_leaf: dict[str, Counter[str]] = defaultdict(Counter)
    for _, nic, leaf in seats:
        by_nic[nic][plane[leaf]] += 1
        by_leaf[leaf][nic] += 1
    railed = sum(max(count.values()) for count in by_leaf.values()) > RAIL * len(seats)
    rows = []
    for host, nic, leaf in seats:
        where, count = f"{host}/{nic}", by_leaf[leaf]
        home, share = by_nic[nic].most_common(1)[0]
        mine = max(count, key=lambda name: count[name])
        if plane[leaf] != home and share > RAIL * by_nic[nic].total():
            line = (
                f"{where} is cabled to {leaf} in plane {plane[leaf]}; {nic} of other hosts is in plane {home}"
            )
            rows.append(_row("wrong rail", where, line))
        elif railed and len(by_nic) > 1 and nic != mine and count[mine] > RAIL * count.total():
            line = f"{where} is cabled to {leaf}, which holds {mine} of other hosts"
            rows.append(_row("wrong rail", where, line))
    return rows


def _missing_links(found: Found) -> list[dict[str, Any]]:
    tier, plane = tiers(found), planes(found)
    up: dict[str, Counter[str]] = {name: Counter() for name in tier}
    for (one, two), cables in found.between().items():
        low, high = (one, two) if tier[one] <= tier[two] else (two, one)
        if tier[low] != tier[high]:
            up[low][high] += len(cables)
    rows = []
    kinds = {
        name: tier[name] for name in tier if tier[name] and (up[name] or tier[name] < max(tier.values()))
    }
    for level in sorted(set(kinds.values())):
        mine = {name: up[name] for name in kinds if kinds[name] == level}
        usual = most_common(count.total() for count in mine.values())
        for name, count in mine.items():
            if usual and count.total() < usual:
                rows += _lacking(name, count, mine, plane, usual)
    return rows


def _lacking(
    name: str, count: Counter[str], alike: Mapping[str, Counter[str]], plane: Mapping[str, int], usual: int
) -> list[dict[str, Any]]:
    """Between which switches cables are missing: those of the like that has most in common with this one."""
    whole = [peer for peer in alike if alike[peer].total() == usual and plane[peer] == plane[name]]
    total = usual - count.total()
    if not whole:
        return [_row("missing link", name, f"{name} has {count.total()} cables up, others have {usual}")]
    model = alike[max(whole, key=lambda peer: (alike[peer] & count).total())]
    gone = dict((model - count).items())
    if sum(gone.values()) != total:
        return [_row("missing link", name, f"{name} has {count.total()} cables up, others have {usual}")]
    return [
        _row("missing link", f"{name} - {upper}",
             f"{name} - {upper}: {n} of {model[upper]} cables {'is' if n == 1 else 'are'} missing")
        for upper, n in gone.items()
    ]  # fmt: skip


def _slow(found: Found) -> list[dict[str, Any]]:
    tier = tiers(found)
    kinds: dict[tuple[int, int], list[Cable]] = defaultdict(list)
    for cable in found.live:
        one, two = sorted(
            tier.get(end.node, 0) if end.node not in found.hosts else 0 for end in (cable.a, cable.b)
        )
        kinds[one, two].append(cable)
    rows = []
    for cables in kinds.values():
        usual = most_common(cable.rate for cable in cables) or 0.0
        for cable in cables:
            able = max(usual, found.full_rate.get(frozenset((cable.a, cable.b)), 0.0))
            if cable.rate < 0.99 * able:
                line = f"{_ends(cable)} runs at {rate_text(cable.rate)}, not at {rate_text(able)}"
                rows.append(_row("slow link", _ends(cable), line))
    return rows


def _uneven(found: Found) -> list[dict[str, Any]]:
    held = Counter(c.b.node for nics in found.nics().values() for cables in nics.values() for c in cables)
    usual = most_common(held.values())
    return [
        _row("uneven leaf", leaf, f"{leaf} holds {n} NICs, most leaves hold {usual}")
        for leaf, n in sorted(held.items(), key=lambda item: natural(item[0]))
        if usual and n != usual and len(held) > 2
    ]
