"""The time of operators and blocks: measured table first, class model second, and the result says which.

Modelled: two contexts, with and without transfers beside the compute (`compute.table` defines them); a
measured kernel at another shape, by the ratio of the class model's times at both; the
idle gap after each kernel; a GPU or an SM clock other than the measured one, by the ratio of the class model's
times on both (`compute.device`). Left out: drift between layers, kernels of one stream that overlap (measured
ones are timed as a whole).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from netsim.compute.device import Device, measured_device, target_device
from netsim.compute.roofline import AXES, Bound, estimate, floor_s, inside_domain, overlap_factor
from netsim.compute.stand_in import for_each_expert, stand_in
from netsim.compute.table import alone_s, lookup, measured_operator
from netsim.errors import DomainError, NetsimError, did_you_mean
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
    """Answers for one profile on one GPU. Overlapped context: `beside_transfer=True`.

    clock_hz : SM clock to answer for; None is the clock that each class was measured at
    communication_sms : SMs that matrix products leave to communication kernels; None is as measured
    """

    profile: ProfileSpec
    hardware: HardwareSpec
    clock_hz: float | None = None
    communication_sms: int | None = None

    @cached_property
    def _rows(self) -> dict[str, OperatorRow]:
        return {row.name: row for row in self.profile.operators}

    @cached_property
    def _free_rows(self) -> dict[tuple[str, tuple[int, ...]], OperatorRow]:
        """Rows measured outside a job, where class and shape say what a kernel does."""
        return {
            (row.kind, row.shape): row for row in self.profile.operators if not row.block and row.kind in AXES
        }

    @cached_property
    def _measured(self) -> Device:
        return measured_device(self.profile)

    @cached_property
    def _target(self) -> Device:
        return target_device(self.profile, self.hardware, self.communication_sms)

    @property
    def _elsewhere(self) -> bool:
        """Whether the question is about another GPU or clock than the measured one."""
        return self._measured != self._target or self.clock_hz is not None

    def operator_time(self, op: Operator, beside_transfer: bool) -> OperatorTime:
        """Time of an operator: from the table where name and shape are known, else by its class model.

        A kernel measured at another shape keeps its distance from the class model.
        """
        key = op, beside_transfer
        if key not in self._answered:
            self._answered[key] = self._time(op, beside_transfer)
        return self._answered[key]

    @cached_property
    def _answered(self) -> dict[tuple[Operator, bool], OperatorTime]:
        """Operators that were asked before: a step asks for each several times."""
        return {}

    def _time(self, op: Operator, beside_transfer: bool) -> OperatorTime:
        op = for_each_expert(op, self.profile.classes)
        row = self._rows.get(op.name) or self._free_rows.get((op.kind, op.shape))
        if row is None or row.kind != op.kind:
            return self.model_time(op, beside_transfer)
        found = self._from_table(row, op, beside_transfer)
        return found or self._carried(row, op, beside_transfer) or self.model_time(op, beside_transfer)

    def model_time(self, op: Operator, beside_transfer: bool, share: float | None = None) -> OperatorTime:
        """Time of an operator by the model of its class, whatever the table says.

        share : of its time with a transfer resident, where that is known better than from the profile
        """
        op = for_each_expert(op, self.profile.classes)
        model = self._class(op)
        share = self._share(model, beside_transfer) if share is None else share
        seconds, bound = estimate(op, model, self._target, share, self.clock_hz)
        known = not self._elsewhere and op.kind in self.profile.classes and inside_domain(op, model)
        return OperatorTime(seconds, "model" if known else "extrapolated", bound)

    def block_time(
        self,
        ops: Sequence[Operator],
        beside_transfer: bool,
        stretch: float | Callable[[Operator], float] = 1.0,
    ) -> BlockTime:
        """Time of operators that run one after the other on a stream, each with the gap behind it.

        stretch : what they take longer than measured, such as at the power limit: all alike, or each
        """
        by_origin = {"table": 0.0, "model": 0.0, "extrapolated": 0.0}
        busy = gaps = 0.0
        for op in ops:
            time, gap = self.operator_time(op, beside_transfer), self.profile.gap * op.calls
            seconds = time.seconds * (stretch(op) if callable(stretch) else stretch)
            by_origin[time.origin] += seconds + gap
            busy += seconds
            gaps += gap
        return BlockTime(busy, gaps, by_origin)

    def class_clock_hz(self, op: Operator) -> float | None:
        """The SM clock that the class of an operator was measured at."""
        return self._class(for_each_expert(op, self.profile.classes)).clock

    def require_known(self, ops: Sequence[Operator]) -> None:
        """For `--strict`: refuse operators that neither the table nor a class model has seen.

        Raises DomainError (exit status 3) that names the first of them and the dimension it leaves.
        """
        outside = {op.name: op for op in ops if self.operator_time(op, True).origin == "extrapolated"}
        if outside:
            name, op = min(outside.items())
            more = f" (and {len(outside) - 1} more)" if len(outside) > 1 else ""
            raise DomainError(
                f"profile {self.profile.name}: operator {name} {list(op.shape)}{more}: {self._why(op)}"
            )

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
        kind = stand_in(op.kind, self.profile.classes)
        if kind is None:
            hint = did_you_mean(op.kind, self.profile.classes)
            raise NetsimError(f"operator {op.name}: kernel class {op.kind!r} is not in the profile: {hint}")
        return self.profile.classes[kind]

    def _share(self, model: ClassModel, beside_transfer: bool) -> float:
        if not beside_transfer:
            return 0.0
        return self.profile.transport_share if model.transport_share is None else model.transport_share

    def missing_classes(self, ops: Iterable[Operator]) -> dict[str, str]:
        """Kernel classes that the profile does not have, and the one that answers in place of each."""
        kinds = {for_each_expert(op, self.profile.classes).kind for op in ops} - set(self.profile.classes)
        return {kind: stand_in(kind, self.profile.classes) or "none" for kind in sorted(kinds)}

    def _why(self, op: Operator) -> str:
        for kind, other in self.missing_classes([op]).items():
            return f"the profile has no class {kind}, class {other} answers for it"
        if self.clock_hz is not None:
            return f"measured at another SM clock than {self.clock_hz / 1e9:g} GHz"
        same = replace(self._target, gemm_sms=self._measured.gemm_sms)
        if self._elsewhere and self._measured == same:
            measured, asked = self._measured.gemm_sms, self._target.gemm_sms
            return f"measured with products on {measured} SMs, asked for {asked} (communication.sms)"
        if self._elsewhere:
            return f"measured on {self.profile.device}, asked for {self.hardware.gpu.name}"
        return f"outside what was measured of class {op.kind}"

    def _scale(self, row: OperatorRow, known: Operator, beside_transfer: bool) -> float:
        """From the overlapped time of a row to its time in a context, on the measured device."""
        if beside_transfer:
            return 1.0
        model = self._class(known)
        share = self._share(model, True) if row.transport_share is None else row.transport_share
        beside, overlapped = (overlap_factor(known, model, self._measured, s) for s in (1.0, share))
        return alone_s(row, beside, overlapped) / row.overlapped

    def _carried(self, row: OperatorRow, op: Operator, beside_transfer: bool) -> OperatorTime | None:
        known = measured_operator(row, op)
        if known is None:
            return None
        model, here = self._class(op), self.model_time(op, beside_transfer)
        there = estimate(known, model, self._measured, self._share(model, beside_transfer)).seconds
        measured = row.overlapped * op.calls * self._scale(row, known, beside_transfer)
        return replace(here, seconds=max(here.seconds * measured / there, self._floor(op, model)))

    def _from_table(self, row: OperatorRow, op: Operator, beside_transfer: bool) -> OperatorTime | None:
        model = self._class(op)
        found = lookup(row, op, self._scale(row, measured_operator(row, op) or op, beside_transfer))
        if found is None:
            return None
        here, ratio = self.model_time(op, beside_transfer), 1.0
        if self._elsewhere:
            share = self._share(model, beside_transfer)
            ratio = here.seconds / estimate(op, model, self._measured, share).seconds
        seconds = max(found.seconds * op.calls * ratio, self._floor(op, model))
        known = found.inside and not self._elsewhere
        return OperatorTime(seconds, "table" if known else "extrapolated", here.bound)

    def _floor(self, op: Operator, model: ClassModel) -> float:
        return floor_s(op, self._target, self.clock_hz or model.clock)
