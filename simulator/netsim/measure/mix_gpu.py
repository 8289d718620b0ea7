"""The mixes of `measure.mix` on the GPU: rest, the first rounds, a soak, and the state of the card at its end."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from netsim.measure.mix import IDLE, ROUND_S, MixPart, Part, calls
from netsim.measure.session import GpuBench
from netsim.measure.step_meter import Meter, uuid_of
from netsim.measure.timing import sm_clock_GHz

REST_S, COLD_CALLS = 1.0, 5


class Mixer:
    """Runs mixes on the current GPU."""

    def __init__(self, bench: GpuBench) -> None:
        self.bench, self.torch = bench, bench.gpu.torch
        self.stream = bench.gpu.stream
        self.meter = Meter(uuid_of(self.torch, 0))

    def _event(self) -> Any:
        event = self.torch.cuda.Event(enable_timing=True)
        event.record(self.stream)
        return event

    def _cold_s(self, run: Any) -> float:
        """Median of a few calls after a rest."""
        for _ in range(2):
            run()
        self.torch.cuda.synchronize()
        time.sleep(REST_S)
        events = [self._event()]
        for _ in range(COLD_CALLS):
            run()
            events.append(self._event())
        self.torch.cuda.synchronize()
        times = [a.elapsed_time(b) for a, b in pairwise(events)]
        return float(statistics.median(times)) * 1e-3

    def measure(self, text: str, parts: Sequence[Part], seconds: float) -> list[MixPart]:
        """One row for each kernel of the mix.

        Raises NetsimError when a kernel cannot be built, or its result is wrong.
        """
        with self.torch.cuda.stream(self.stream):
            runs = [None if p.shape is None else self.bench.checked(p.shape) for p in parts]
            cold = [0.0 if run is None else self._cold_s(run) for run in runs]
            counts = calls(parts, cold)
            self._rounds(parts, runs, counts, seconds * 2 / 3, [])
            kept: list[list[tuple[Any, Any, Any, int]]] = []
            began = time.monotonic()
            self.meter.start()
            self._rounds(parts, runs, counts, seconds / 3, kept)
            clock, power = self.meter.stop()
            lasted = time.monotonic() - began
        return [
            self._row(text, i, part, kept, counts[i], cold[i], (clock, power, lasted))
            for i, part in enumerate(parts)
            if part.shape is not None
        ]

    def _rounds(
        self,
        parts: Sequence[Part],
        runs: Sequence[Any],
        counts: Sequence[int],
        seconds: float,
        kept: list[Any],
    ) -> None:
        """Rounds for so long; the host waits for the round before the last one, and for all before a pause."""
        began = time.monotonic()
        last: list[Any] = []
        while time.monotonic() - began < seconds:
            marks: list[Any] = []
            for part, run, count in zip(parts, runs, counts, strict=True):
                if part.name == IDLE:
                    self.torch.cuda.synchronize()
                    time.sleep(part.share * ROUND_S)
                    marks.append(None)
                    continue
                table = self.bench.protocol.resident.stamps(2)
                self.bench.protocol.resident.stamp(table, 0)
                begin = self._event()
                for _ in range(count):
                    run()
                end = self._event()
                self.bench.protocol.resident.stamp(table, 1)
                marks.append((begin, end, table))
            kept.append(marks)
            if last:
                last[-1].synchronize()
            last = [mark[1] for mark in marks if mark is not None]
        self.torch.cuda.synchronize()

    def _row(
        self, text: str, index: int, part: Part, kept: Sequence[Any], count: int, cold_s: float,
        state: tuple[float, float, float],
    ) -> MixPart:  # fmt: skip
        assert part.shape is not None
        marks = [round_[index] for round_ in kept]
        times = [begin.elapsed_time(end) for begin, end, _ in marks]
        some = marks[:: max(1, len(marks) // 20)]
        clocks = []
        for _, _, table in some:
            stamps = table.cpu().numpy()
            clocks.append(sm_clock_GHz(stamps[:1], stamps[1:]))
        clock, power, lasted = state
        return MixPart(
            text, part.name, part.share, cold_s * 1e6, statistics.median(times) / count * 1e3,
            statistics.median(clocks), part.shape.flops, part.shape.bytes, clock, power, sum(times) * 1e-3 / lasted,
        )  # fmt: skip
