"""The time of operators and blocks: measured table first, class model second, and the result says which.

Modelled: two contexts, with and without transfers beside the compute (`compute.table` defines them); a
measured kernel at another shape, by the ratio of the class model's times at both; the
idle gap after each kernel; a GPU other than the measured one, by the ratio of the class model's times on
both. Left out: drift between layers, the clock, kernels of one stream that overlap (measured ones are timed
as a whole).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from netsim.compute.roofline import (
    Bound,
    Device,
    Estimate,
    estimate,
    floor_s,
    inside_domain,
    measured_device,
    target_device,
)
from netsim.compute.table import alone_s, lookup, measured_operator, overlap_factor
from netsim.errors import NetsimError, did_you_mean
from netsim.specs.hardware import HardwareSpec
from netsim.specs.profile import ClassModel, OperatorRow, ProfileSpec, TransferKernel
from netsim.workloads.operators import Operator

Origin = Literal["table", "model", "extrapolated"]


@dataclass(frozen=True)
class OperatorTime:
    """Seconds of all calls of an operator; `bound` names what the class model says they went into."""

    seconds: float
    origin: Origin
    bound: Bound


@dataclass(frozen=True)
class BlockTime:
    """Seconds of a block: kernels (`busy_s`) and the gaps after them; `by_origin` adds up to `seconds`."""

    busy_s: float
    gap_s: float
    by_origin: dict[str, float]

    @property
    def seconds(self) -> float:
        """Time on the compute stream."""
        return self.busy_s + self.gap_s


@dataclass(frozen=True)
class ComputeModel:
    """Answers for one profile on one GPU. Overlapped context: `beside_transfer=True`."""

    profile: ProfileSpec
    hardware: HardwareSpec

    @cached_property
    def _rows(self) -> dict[str, OperatorRow]:
        return {row.name: row for row in self.profile.operators}

    @cached_property
    def _measured(self) -> Device:
        return measured_device(self.profile)

    @cached_property
    def _target(self) -> Device:
        return target_device(self.profile, self.hardware)

    def operator_time(self, op: Operator, beside_transfer: bool) -> OperatorTime:
        """Time of an operator: from the table where name and shape are known, else by its class model.

        A kernel measured at another shape keeps its distance from the class model.
        """
        row = self._rows.get(op.name)
        if row is None or row.kind != op.kind:
            return self.model_time(op, beside_transfer)
        found = self._from_table(row, op, beside_transfer)
        return found or self._carried(row, op, beside_transfer) or self.model_time(op, beside_transfer)

    def model_time(self, op: Operator, beside_transfer: bool) -> OperatorTime:
        """Time of an operator by the model of its class, whatever the table says."""
        model = self._class(op)
        seconds, bound = self._estimate(op, model, self._target, beside_transfer)
        known = self._measured == self._target and inside_domain(op, model)
        return OperatorTime(seconds, "model" if known else "extrapolated", bound)

    def block_time(self, ops: Sequence[Operator], beside_transfer: bool) -> BlockTime:
        """Time of operators that run one after the other on a stream, each with the gap behind it."""
        by_origin = {"table": 0.0, "model": 0.0, "extrapolated": 0.0}
        busy = gaps = 0.0
        for op in ops:
            time, gap = self.operator_time(op, beside_transfer), self.profile.gap * op.calls
            by_origin[time.origin] += time.seconds + gap
            busy += time.seconds
            gaps += gap
        return BlockTime(busy, gaps, by_origin)

    def transfer_rate(self, kind: str, beside_compute: bool) -> float:
        """Wire bytes per second that a GPU's kernel moves at most; infinite if the profile has none."""
        kernel = self.profile.transfers.get(kind)
        if kernel is None:
            return math.inf
        return kernel.beside_compute if beside_compute else kernel.alone

    def transfer_setup_s(self, kind: str, beside_compute: bool = True) -> float:
        """Time of what the communication stream runs before a transfer; none if the profile has none."""
        kernel: TransferKernel | None = self.profile.transfers.get(kind)
        if kernel is None:
            return 0.0
        steps = kernel.prework
        return sum(s.overlapped if beside_compute or s.alone is None else s.alone for s in steps)

    def _class(self, op: Operator) -> ClassModel:
        try:
            return self.profile.classes[op.kind]
        except KeyError:
            hint = did_you_mean(op.kind, self.profile.classes)
            raise NetsimError(
                f"operator {op.name}: kernel class {op.kind!r} is not in the profile: {hint}"
            ) from None

    def _estimate(self, op: Operator, model: ClassModel, device: Device, beside_transfer: bool) -> Estimate:
        seconds, bound = estimate(op, model, device)
        if not beside_transfer:
            seconds = max(seconds / overlap_factor(model, self.profile.transport_share), floor_s(op, device))
        return Estimate(seconds, bound)

    def _carried(self, row: OperatorRow, op: Operator, beside_transfer: bool) -> OperatorTime | None:
        known = measured_operator(row, op)
        if known is None:
            return None
        model, here = self._class(op), self.model_time(op, beside_transfer)
        there = estimate(known, model, self._measured).seconds
        distance = row.overlapped * op.calls / there
        if not beside_transfer:
            share = self.profile.transport_share
            distance *= overlap_factor(model, share) * alone_s(row, model, share) / row.overlapped
        return replace(here, seconds=max(here.seconds * distance, floor_s(op, self._target)))

    def _from_table(self, row: OperatorRow, op: Operator, beside_transfer: bool) -> OperatorTime | None:
        model = self._class(op)
        found = lookup(row, op, model, self.profile.transport_share, beside_transfer)
        if found is None:
            return None
        here = self._estimate(op, model, self._target, beside_transfer)
        ratio = 1.0
        if self._target != self._measured:
            ratio = here.seconds / self._estimate(op, model, self._measured, beside_transfer).seconds
        seconds = max(found.seconds * op.calls * ratio, floor_s(op, self._target))
        known = found.inside and self._target == self._measured
        return OperatorTime(seconds, "table" if known else "extrapolated", here.bound)
