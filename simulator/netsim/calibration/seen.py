"""Operators of any trace: every call with its time, and the samples that class models are fitted to.

The time of a call is that of the union of its kernels. Calls of the same class, dimensions and bytes are one sample at
their mean time, beside a transfer for the share of it that one covered. A sample of a class and type that profiles do
not have, or without recorded dimensions, is left out and counted.

Left out: the spread of a call's time, which the table of operators shows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from netsim.calibration.assign import covered_us, union_us
from netsim.calibration.fit import Sample
from netsim.calibration.kineto import Kernel
from netsim.calibration.place import Placed
from netsim.calibration.shapes import groups_of, operator_of_call
from netsim.workloads.operators import Operator

US = 1e-6
#: class, shape and bytes: what makes two calls the same operator
Key = tuple[str, tuple[int, ...], float]


@dataclass(frozen=True)
class Call:
    """One call of an operator: its class, place, time, and what it worked on where that was recorded.

    name : of the framework's operator, else of its longest kernel
    share : of its time beside a transfer
    """

    name: str
    kind: str
    phase: str
    step: int
    layer: int | None
    seconds: float
    share: float
    kernels: int
    op: Operator | None

    @property
    def key(self) -> Key:
        """What makes two calls the same operator."""
        assert self.op is not None
        return self.kind, self.op.shape, self.op.bytes


def calls_of(placed: Sequence[Placed]) -> tuple[Call, ...]:
    """Calls in the order of their first launches; those of transfers are left out."""
    units: dict[int, list[Placed]] = defaultdict(list)
    for p in placed:
        if p.kind and not p.transfer:
            units[p.unit].append(p)
    beside = _Cover([p.kernel for p in placed if p.kind == "transfer"])
    groups = groups_of({id(p.kernel.call): p.kernel.call for p in placed}.values())
    made = {
        unit: operator_of_call([p.kernel for p in mine], mine[0].kind, groups) for unit, mine in units.items()
    }
    return tuple(_call(mine, made[unit], beside) for unit, mine in units.items())


def _call(mine: Sequence[Placed], op: Operator | None, beside: _Cover) -> Call:
    kernels = [p.kernel for p in mine]
    longest = max(kernels, key=lambda k: k.duration_us)
    total = sum(k.duration_us for k in kernels)
    first = mine[0]
    return Call(
        longest.operator or longest.name,
        op.kind if op else first.kind, first.phase, first.step, first.layer,
        union_us(kernels) * US,
        sum(beside.of(k) for k in kernels) / total if total else 0.0,
        len(kernels), op,
    )  # fmt: skip


class _Cover:
    """How much of a kernel runs beside transfers, found near it in the order of their starts."""

    def __init__(self, transfers: Sequence[Kernel]) -> None:
        self._ordered = sorted(transfers, key=lambda k: k.start_us)
        self._starts = [k.start_us for k in self._ordered]
        self._longest = max((k.duration_us for k in transfers), default=0.0)

    def of(self, kernel: Kernel) -> float:
        low = bisect_left(self._starts, kernel.start_us - self._longest)
        high = bisect_left(self._starts, kernel.end_us)
        return covered_us(kernel, self._ordered[low:high])


def samples_of(calls: Sequence[Call]) -> dict[str, list[Sample]]:
    """Samples by class, one for each operator of its own dimensions; calls without time or dimensions are no sample."""
    groups: dict[Key, list[Call]] = defaultdict(list)
    for call in calls:
        if call.op is not None and call.seconds > 0:
            groups[call.key].append(call)
    found: dict[str, list[Sample]] = defaultdict(list)
    for (kind, shape, _), mine in groups.items():
        name = f"{kind} {'x'.join(map(str, shape))}"
        first = mine[0].op
        assert first is not None
        op = replace(first, name=name)
        seconds, share = fmean(c.seconds for c in mine), fmean(c.share for c in mine)
        found[kind].append(Sample(op, seconds, share, None, name))
    return dict(found)
