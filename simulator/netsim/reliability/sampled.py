"""The same long run, sampled: failure by failure, checkpoint by checkpoint, for many seeds.

What `closed_form` describes is played through: exponential times to failure while the job runs or restarts, a restart
before work goes on, work lost back to the last checkpoint, hosts in repair (exponential) and spares, waits for other
repairs, and parts that slow the job while they are away, as an independent process of starts and ends. Nothing of the
closed form is used. A run starts with every part whole, so short runs do a little better than long ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.kernels import njit

Floats = NDArray[np.float64]
RESTART, HOST, WAIT = 0, 1, 2


@dataclass(frozen=True)
class Run:
    """What a sampled run is made of, in seconds.

    stops : (rate, mean repair, RESTART or HOST or WAIT) a class; slows : (rate, mean repair, speed while away) a class
    """

    interval_s: float
    write_s: float
    restart_s: float
    spares: int
    stops: Sequence[tuple[float, float, int]]
    slows: Sequence[tuple[float, float, float]]


def sample(run: Run, marks_s: Floats, runs: int, seed: int) -> Floats:
    """(runs, marks) work done and not lost until each mark, in seconds at full speed; marks ascend.

    Each run has a random stream of its own: the same for a seed, however many runs are asked for.
    """
    stops = np.array(run.stops, dtype=np.float64).reshape(-1, 3)
    found = np.empty((runs, marks_s.size))
    for n in range(runs):
        rng = np.random.default_rng([seed, 0x600D, n])
        knots, work = speed_integral(run.slows, float(marks_s[-1]), rng)
        found[n] = _one_run(
            rng, run.interval_s, run.write_s, run.restart_s, run.spares,
            stops[:, 0], stops[:, 1], stops[:, 2].astype(np.int64), knots, work, marks_s,
        )  # fmt: skip
    return found


def speed_integral(
    slows: Sequence[tuple[float, float, float]], horizon_s: float, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Knots in time and the work that full-time running would have done until each, slowed by what is away."""
    start, end, speed = [np.zeros(0)], [np.zeros(0)], [np.zeros(0)]
    for rate, repair, slow in slows:
        begin = np.sort(rng.uniform(0.0, horizon_s, rng.poisson(rate * horizon_s)))
        start.append(begin)
        end.append(np.minimum(begin + rng.exponential(repair, begin.size), horizon_s))
        speed.append(np.full(begin.size, slow))
    begin, until, slow_to = (np.concatenate(part) for part in (start, end, speed))
    knots = np.unique(np.concatenate([[0.0, horizon_s], begin, until]))
    level = np.ones(knots.size - 1)
    for a, b, v in zip(np.searchsorted(knots, begin), np.searchsorted(knots, until), slow_to, strict=True):
        level[a:b] = np.minimum(level[a:b], v)
    return knots, np.concatenate([[0.0], np.cumsum(np.diff(knots) * level)])


@njit(cache=True)
def _work_until(knots, work, t):  # type: ignore[no-untyped-def]
    if t >= knots[-1]:
        return work[-1]
    i = np.searchsorted(knots, t, side="right") - 1
    return work[i] + (work[i + 1] - work[i]) * (t - knots[i]) / (knots[i + 1] - knots[i])


@njit(cache=True)
def _one_run(rng, interval, write, restart, spares, rate, repair, kind, knots, work, marks):  # type: ignore[no-untyped-def]
    """Work that is not lost until each mark."""
    done = np.zeros(marks.size)
    mark, saved, now, again = 0, 0.0, 0.0, False
    total = rate.sum()
    back = np.full(spares + 1, -1.0)  # when each host in repair is back
    while mark < marks.size:
        fails = now + rng.exponential(1.0 / total) if total > 0.0 else np.inf
        begin = now + restart if again else now
        while mark < marks.size:
            # work from `begin` to `work_ends`, then the checkpoint until `written`
            work_ends, written = begin + interval, begin + interval + write
            stop = min(fails, written)
            base = _work_until(knots, work, begin)
            while mark < marks.size and marks[mark] <= stop:
                at = min(max(marks[mark], begin), work_ends)
                done[mark] = saved + _work_until(knots, work, at) - base
                mark += 1
            if written > fails:
                break
            saved += _work_until(knots, work, work_ends) - base
            begin = written
        if mark == marks.size:
            break
        now, again = fails, True
        chosen, u = 0, rng.random() * total
        while chosen < rate.size - 1 and u >= rate[chosen]:
            u -= rate[chosen]
            chosen += 1
        if kind[chosen] == 1:
            place = 0
            while back[place] > now:
                place += 1
            back[place] = now + rng.exponential(repair[chosen])
            if (back > now).all():
                now = back.min()
        elif kind[chosen] == 2:
            now += rng.exponential(repair[chosen])
        while mark < marks.size and marks[mark] <= now:
            done[mark] = saved
            mark += 1
    return done
