"""The cool and the hot protocol: repetitions of a kernel between CUDA events, with the SM clock stamped around them.

Everything is queued ahead of the GPU: while it flushes and rests, the host launches what follows, so that event
times hold the kernel and about 3 us of event and launch, and no waiting for the host.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from netsim.measure.device import Built, Gpu
from netsim.measure.plan import Measurement
from netsim.measure.resident import Resident
from netsim.measure.timing import (
    HOT_WARM_UP_S,
    Effort,
    Timing,
    launches_a_sample,
    rest_s,
    sm_clock_GHz,
    summarise,
    tightest,
)

#: time a GPU is left alone between a hot measurement and a cool one
COOL_DOWN_S = 0.5


class Protocol:
    """Times built kernels on one GPU."""

    def __init__(self, gpu: Gpu, effort: Effort) -> None:
        self.gpu, self.effort = gpu, effort
        self.resident = Resident(gpu)
        self._was_hot = False

    def time(self, m: Measurement, built: Built) -> Timing:
        """Measure under the protocol that the measurement names.

        Raises NotResident when the side kernel did not hold its SMs throughout.
        """
        if m.mode == "cool" and self._was_hot:
            time.sleep(COOL_DOWN_S)
        self._was_hot = m.mode == "hot"
        if built.samples_us is not None:
            return summarise(built.samples_us(self.effort.most))
        self._estimate_s(built.run)  # a kernel loaded for the first time waits for a resident one to end
        return tightest(lambda: self._once(m, built))

    def _once(self, m: Measurement, built: Built) -> Timing:
        with self.resident.holding(m.side, m.side_sms):
            samples, clock = (self._hot if m.mode == "hot" else self._cool)(built.run)
        return summarise(samples, clock, self.resident.side_GBps)

    def _event(self) -> Any:
        event = self.gpu.torch.cuda.Event(enable_timing=True)
        event.record(self.gpu.stream)
        return event

    def _estimate_s(self, run: Callable[[], Any]) -> float:
        """Seconds of one launch, warmed up with all that stands around it."""
        self.gpu.flush_l2()
        self.resident.stamp(self.resident.stamps(1), 0)
        run()
        self.gpu.stream.synchronize()
        self.resident.rest(SETTLE_S)
        begin = self._event()
        run()
        run()
        end = self._event()
        end.synchronize()
        return max(1e-6, float(begin.elapsed_time(end)) * 1e-3 / 2)

    def _cool(self, run: Callable[[], Any]) -> tuple[list[float], float]:
        kernel_s = self._estimate_s(run)
        repetitions = self.effort.repetitions(kernel_s)
        table = self.resident.stamps(2 * repetitions)
        events = []
        for index in range(repetitions):
            self.gpu.flush_l2()
            self.resident.rest(rest_s(kernel_s))
            self.resident.stamp(table, 2 * index)
            begin = self._event()
            run()
            events.append((begin, self._event()))
            self.resident.stamp(table, 2 * index + 1)
        self.gpu.stream.synchronize()
        stamps = table.cpu().numpy()
        return [float(b.elapsed_time(e)) * 1e3 for b, e in events], sm_clock_GHz(stamps[::2], stamps[1::2])

    def _hot(self, run: Callable[[], Any]) -> tuple[list[float], float]:
        kernel_s = self._estimate_s(run)
        count = launches_a_sample(kernel_s)
        sample = self._graph(run, count) if count > 1 else run
        repetitions = self.effort.repetitions(kernel_s * count)
        self._keep_busy(sample, kernel_s * count)
        table = self.resident.stamps(2)
        self.resident.stamp(table, 0)
        events = [self._event()]
        for _ in range(repetitions):
            sample()
            events.append(self._event())
        self.resident.stamp(table, 1)
        self.gpu.stream.synchronize()
        stamps = table.cpu().numpy()
        samples = [float(b.elapsed_time(e)) * 1e3 / count for b, e in pairwise(events)]
        return samples, sm_clock_GHz(stamps[:1], stamps[1:])

    def _keep_busy(self, sample: Callable[[], Any], sample_s: float) -> None:
        for _ in range(max(1, round(HOT_WARM_UP_S / sample_s))):
            sample()

    def _graph(self, run: Callable[[], Any], count: int) -> Callable[[], Any]:
        """`count` launches as one CUDA graph."""
        graph = self.gpu.torch.cuda.CUDAGraph()
        graph.capture_begin()
        try:
            for _ in range(count):
                run()
        finally:
            graph.capture_end()

        def replay() -> None:
            graph.replay()

        return replay


#: the host needs this long to queue two launches
SETTLE_S = 500e-6
