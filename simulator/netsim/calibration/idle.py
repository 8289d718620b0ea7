"""When a GPU has nothing to run, and why: the time between its kernels, phase by phase.

    busy     at least one kernel runs; compute: one that is no transfer; exposed: only transfers run
    host     nothing runs, and the launch of the next kernel began after the GPU ran dry: the host was late
    queued   nothing runs, and the next kernel was launched before: dependencies between streams, and what the GPU needs
             between two kernels

A gap belongs to the step and phase of the kernel behind it; the time before the first kernel of the trace is not seen.
The profiler itself slows the host, so host time is an upper limit.

Left out: waiting inside a transfer for other ranks, which looks like a long transfer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from netsim.calibration.kineto import Kernel
from netsim.calibration.place import Placed

US = 1e-6


@dataclass
class PhaseTime:
    """Seconds of a phase, in all steps together; `launches` counts kernels, copies and fills."""

    compute_s: float = 0.0
    exposed_s: float = 0.0
    transfer_s: float = 0.0
    host_s: float = 0.0
    queued_s: float = 0.0
    launches: int = 0


def phase_times(placed: Sequence[Placed]) -> dict[str, PhaseTime]:
    """Where the time from the first kernel to the last goes, by the phase of the kernel that ends each piece."""
    found: dict[str, PhaseTime] = defaultdict(PhaseTime)
    dry = computed = float("-inf")
    for p in sorted(placed, key=lambda p: (p.kernel.start_us, p.kernel.end_us)):
        kernel, mine = p.kernel, found[p.phase]
        mine.launches += 1
        if dry > float("-inf") and kernel.start_us > dry:
            gap = (kernel.start_us - dry) * US
            if kernel.launch_us >= dry:
                mine.host_s += gap
            else:
                mine.queued_s += gap
        if p.transfer:
            mine.transfer_s += kernel.duration_us * US
        else:
            mine.compute_s += max(0.0, kernel.end_us - max(kernel.start_us, computed)) * US
            computed = max(computed, kernel.end_us)
        dry = max(dry, kernel.end_us)
    for phase, seconds in _exposed(placed).items():
        found[phase].exposed_s = seconds
    return dict(found)


def _exposed(placed: Sequence[Placed]) -> dict[str, float]:
    """Time in which transfers run and nothing else, by the phase of the transfer."""
    compute = merged(p.kernel for p in placed if not p.transfer)
    found: dict[str, float] = defaultdict(float)
    position, until = 0, float("-inf")
    for p in sorted((p for p in placed if p.transfer), key=lambda p: p.kernel.start_us):
        start, end = max(p.kernel.start_us, until), p.kernel.end_us
        if end <= start:
            continue
        until = end
        while position < len(compute) and compute[position][1] <= start:
            position += 1
        hidden, at = 0.0, position
        while at < len(compute) and compute[at][0] < end:
            hidden += min(end, compute[at][1]) - max(start, compute[at][0])
            at += 1
        found[p.phase] += (end - start - hidden) * US
    return found


def merged(kernels: Iterable[Kernel]) -> list[tuple[float, float]]:
    """Intervals in which at least one of them runs, in order.

    >>> one = lambda start, took: Kernel("k", start, took, 0, 7, (1, 1, 1), (1, 1, 1), 0, (), "")
    >>> merged([one(4, 1), one(0, 2), one(1, 2)])
    [(0, 3), (4, 5)]
    """
    found: list[tuple[float, float]] = []
    for kernel in sorted(kernels, key=lambda k: k.start_us):
        if found and kernel.start_us <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], kernel.end_us))
        else:
            found.append((kernel.start_us, kernel.end_us))
    return found


def usual_gap_s(placed: Sequence[Placed]) -> float | None:
    """Median time between two kernels of the busiest stream where the second was waiting; None without any."""
    streams: dict[int, list[Kernel]] = defaultdict(list)
    for p in placed:
        if not p.transfer:
            streams[p.kernel.stream].append(p.kernel)
    if not streams:
        return None
    number = max(streams, key=lambda stream: len(streams[stream]))
    busiest = sorted(streams[number], key=lambda k: k.start_us)
    gaps = [
        later.start_us - earlier.end_us
        for earlier, later in pairwise(busiest)
        if later.launch_us < earlier.end_us and later.start_us > earlier.end_us
    ]
    return median(gaps) * US if gaps else None


def host_per_launch_s(placed: Sequence[Placed]) -> dict[str, float]:
    """Host time from one launch to the next where they follow each other in a step and phase: the median by phase."""
    gaps: dict[str, list[float]] = defaultdict(list)
    for earlier, later in pairwise(placed):
        if (earlier.step, earlier.phase, earlier.kernel.thread) == (
            later.step,
            later.phase,
            later.kernel.thread,
        ):
            gaps[later.phase].append(later.kernel.launch_us - earlier.kernel.launch_us)
    return {phase: median(values) * US for phase, values in gaps.items()}
