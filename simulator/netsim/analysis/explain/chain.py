"""The chain of tasks that sets the end of a step, and what each rank's time went into. Nothing is simulated again.

*Critical path.* From the last end back: what set it (the task itself, or a mark of another task), what set that task's
start, and so on to the first. The parts add up to the step, since each begins when the one before ends.

*Ranks.* A rank's time is its own compute, and gaps. A gap is explained by the chain behind the next start: the part of
it that a transfer was under way is an exposed exchange; the part in which another rank computed is `schedule` (fill,
drain, uneven stages); what is beyond the mean time of a block where ranks differ is `slower ranks`.

Of two causes that end at one instant the first is taken. Left out: that shortening a chain uncovers the next
(`analysis.explain.sensitivity` runs the graph again for that).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from netsim.analysis.explain.anatomy import Anatomy
from netsim.analysis.explain.operators import pieces
from netsim.execution.recorded import EARLY, LATE, OWN


class Cause(NamedTuple):
    """What time went into. part : compute, exchange, schedule, slower ranks; kind : class or exchange; bound : by."""

    part: str
    kind: str
    bound: str


Seconds = Mapping[Cause, float]


def critical_path(found: Anatomy) -> list[dict[str, Any]]:
    """Seconds of the chain by cause, the longest first; they add up to the step."""
    total: dict[Cause, float] = defaultdict(float)
    split = _Split(found)
    for edge, seconds in _back(found, found.last, 0.0):
        for cause, part in split(edge, seconds):
            total[cause] += part
    return _rows(total, found.step_s)


def rank_time(found: Anatomy) -> list[dict[str, Any]]:
    """Seconds of each actor by cause; those of one actor add up to the step."""
    rows = []
    for actor, seconds in enumerate(_by_actor(found)):
        rank = int(found.step.traffic.representative[actor, 0])
        head = {"pipeline_rank": rank, "groups": int(found.groups_in[actor])}
        rows += [head | row for row in _rows(seconds, found.step_s)]
    return rows


def mean_rank(found: Anatomy) -> list[dict[str, Any]]:
    """Seconds of the mean rank by cause; they add up to the step."""
    weight = found.groups_in / found.groups_in.sum()
    total: dict[Cause, float] = defaultdict(float)
    for share, seconds in zip(weight.tolist(), _by_actor(found), strict=True):
        for cause, value in seconds.items():
            total[cause] += share * value
    return _rows(total, found.step_s)


def _rows(total: Seconds, step_s: float) -> list[dict[str, Any]]:
    order = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    return [
        {"part": c.part, "kind": c.kind, "bound_by": c.bound, "seconds": s, "share_pct": 100.0 * s / step_s}
        for c, s in order
        if s != 0.0
    ]


def _by_actor(found: Anatomy) -> list[Seconds]:
    split, n = _Split(found), found.graph.tasks
    at = found.instants_s
    rows: list[Seconds] = []
    for tasks in found.in_order:
        total: dict[Cause, float] = defaultdict(float)
        now = 0.0
        for task in tasks.tolist():
            begin, done = at[task], at[task] + found.graph.own_s[task]
            _explain(found, split, task, now, total)
            for cause, part in split.own(task, done - begin):
                total[cause] += part
            _explain(found, split, task + n, done, total)  # it stood still for an exchange that it is tied to
            now = at[task + n]
        _explain(found, split, found.last, now, total)
        rows.append(total)
    return rows


def _explain(found: Anatomy, split: _Split, instant: int, since_s: float, total: dict[Cause, float]) -> None:
    """Add what filled the time from `since_s` to an instant."""
    if found.instants_s[instant] <= since_s:
        return
    for edge, seconds in _back(found, instant, since_s):
        for cause, part in split(edge, seconds):
            away = Cause("schedule", "compute of other ranks", "") if cause.part == "compute" else cause
            total[away] += part


def _back(found: Anatomy, instant: int, since_s: float) -> Iterator[tuple[int, float]]:
    """Edges behind an instant that take time, each with its seconds after `since_s`."""
    at, by, source = found.instants_s, found.set_by, found.graph.source
    while by[instant] >= 0 and at[instant] > since_s:
        edge = int(by[instant])
        before = int(source[edge])
        seconds = float(at[instant] - max(at[before], since_s))
        if seconds > 0.0:
            yield edge, seconds
        instant = before
    if at[instant] > since_s:  # an instant that nothing sets is at zero
        raise AssertionError("a chain goes back to the start of the step")


class _Split:
    """Seconds of an edge by cause."""

    def __init__(self, found: Anatomy) -> None:
        self.found = found
        self.shares = cache(self._shares)

    def __call__(self, edge: int, seconds: float) -> list[tuple[Cause, float]]:
        graph = self.found.graph
        task = int(graph.task[edge])
        kind = graph.kind[edge]
        if kind == OWN:
            return self.own(task, seconds)
        if kind in (EARLY, LATE):  # a part of the block at the other end, or of the task itself
            block = task if self.found.computes[task] else int(graph.source[edge]) % graph.tasks
            return self.own(block if self.found.computes[block] else task, seconds)
        raise AssertionError("waits take no time")

    def own(self, task: int, seconds: float) -> list[tuple[Cause, float]]:
        """Seconds of a task."""
        found = self.found
        if found.computes[task]:
            work = int(found.work[task])
            mean = found.block_s[work] if found.step.ranks is not None else seconds
            slower = [(Cause("slower ranks", "compute", ""), seconds - mean)] if seconds > mean else []
            least = min(seconds, mean)
            return [(cause, share * least) for cause, share in self.shares(work)] + slower
        name, whole = str(found.name[task]), float(found.graph.own_s[task])
        if not whole:
            return [(Cause("exchange", name, "latency"), seconds)]
        shared = float(found.shared_s[task])
        parts = {
            str(found.bound[task]): shared,
            "kernel": float(found.moved_s[task]) - shared,
            "latency": whole - float(found.moved_s[task]),
        }
        return [
            (Cause("exchange", name, bound), seconds * part / whole) for bound, part in parts.items() if part
        ]

    def _shares(self, work: int) -> list[tuple[Cause, float]]:
        by_class: dict[Cause, float] = defaultdict(float)
        one = self.found.works[work]
        for piece in pieces(self.found.step, one):
            by_class[
                Cause("optimizer" if one.name == "optimizer" else "compute", piece.op.kind, piece.bound)
            ] += piece.seconds
        total = sum(by_class.values())
        if not total:
            return [(Cause("compute", one.name, ""), 1.0)]
        return [(cause, seconds / total) for cause, seconds in by_class.items()]


def by_part(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Seconds of rows by part."""
    total: dict[str, float] = defaultdict(float)
    for row in rows:
        total[row["part"]] += row["seconds"]
    return dict(total)


def seconds_of(rows: list[dict[str, Any]]) -> float:
    """What rows add up to."""
    return float(np.sum([row["seconds"] for row in rows]))
