"""The layer of `measure.soak` on the GPU: kernels built and checked once, a CUDA graph a block, clocks stamped between.

The resident kernel takes its SMs at the start of each block, for a share of the time that the block takes alone: a
launch on a stream of its own, which ends by itself. Products are told to leave those SMs (the carve-out of cuBLAS that
torch offers as an experiment).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from netsim.measure.plan import Side
from netsim.measure.resident import Resident
from netsim.measure.session import GpuBench
from netsim.measure.soak import BLOCKS, COLD_LAYERS, COLD_RUNS, REST_S, Block, Sample
from netsim.measure.timing import sm_clock_GHz

#: layers queued at a time; the host waits for the batch before the last one, so that the GPU never waits for it
_BATCH = 8


class Layer:
    """The kernels of a layer, ready to run block by block.

    Raises NetsimError when a kernel cannot be built, or its result is wrong.
    """

    def __init__(self, bench: GpuBench, blocks: Sequence[Block], sms: int, share: float, side: Side) -> None:
        self.gpu, self.torch = bench.gpu, bench.gpu.torch
        self.resident: Resident = bench.protocol.resident
        self.sms, self.share, self.side = sms, share, side
        if sms:
            self.torch._C._set_sm_carveout_experimental(sms)
        self.stream = self.gpu.stream
        with self.torch.cuda.stream(self.stream):
            # kept: they own the operands that the graphs read
            self.runs = {shape: bench.checked(shape) for block in blocks for shape in block.shapes}
            self.graphs = [self._graph([self.runs[shape] for shape in block.shapes]) for block in blocks]
            self.resident.stamp(self.resident.stamps(1), 0)
            self._hold(1e-4)
            self.torch.cuda.synchronize()
            self.alone_s = [self._once(graph) for graph in self.graphs]

    def _graph(self, runs: Sequence[Callable[[], Any]]) -> Any:
        for run in runs:
            run()
        self.torch.cuda.synchronize()
        graph = self.torch.cuda.CUDAGraph()
        graph.capture_begin()
        for run in runs:
            run()
        graph.capture_end()
        return graph

    def _event(self) -> Any:
        event = self.torch.cuda.Event(enable_timing=True)
        event.record(self.stream)
        return event

    def _once(self, graph: Any) -> float:
        begin = self._event()
        graph.replay()
        end = self._event()
        end.synchronize()
        return float(begin.elapsed_time(end)) * 1e-3

    def _hold(self, seconds: float) -> None:
        if self.sms and self.share:
            self.resident.hold_for(seconds, self.sms, self.side, self.stream)

    def _layers(self, count: int) -> tuple[Any, list[Any]]:
        """Queue some layers; their stamps and events, one more than blocks."""
        table, events = self.resident.stamps(len(BLOCKS) * count + 1), []
        self.resident.stamp(table, 0)
        events.append(self._event())
        for _ in range(count):
            for graph, seconds in zip(self.graphs, self.alone_s, strict=True):
                self._hold(self.share * seconds)
                graph.replay()
                self.resident.stamp(table, len(events))
                events.append(self._event())
        return table, events

    def run(self, window: str, number: int, seconds: float) -> list[Sample]:
        """Rest, then run layers for about `seconds`."""
        self.torch.cuda.synchronize()
        time.sleep(REST_S)
        queued: list[tuple[Any, list[Any]]] = []
        began = time.monotonic()
        with self.torch.cuda.stream(self.stream):
            while not queued or time.monotonic() - began < seconds:
                queued.append(self._layers(_BATCH if seconds else COLD_LAYERS))
                if len(queued) > 1:
                    queued[-2][1][-1].synchronize()
            self.torch.cuda.synchronize()
        return _samples(window, number, queued)


def _samples(window: str, number: int, queued: Sequence[tuple[Any, list[Any]]]) -> list[Sample]:
    found: list[Sample] = []
    origin = None
    for table, events in queued:
        stamps = table.cpu().numpy()
        clock = stamps[:, :, 1].max(axis=1)  # nanoseconds of the global timer
        origin = clock[0] if origin is None else origin
        for i in range(len(events) - 1):
            block, phase = BLOCKS[i % len(BLOCKS)]
            layer, began_s = len(found) // len(BLOCKS), float(clock[i] - origin) * 1e-9
            ms = float(events[i].elapsed_time(events[i + 1]))
            clock_GHz = sm_clock_GHz(stamps[i, None], stamps[i + 1, None])
            found.append(Sample(window, number, layer, began_s, f"{block}({phase})", ms, clock_GHz))
    return found


def soak(
    bench: GpuBench,
    blocks: Sequence[Block],
    seconds: float,
    sms: int,
    share: float,
    side: Side,
    progress: Callable[[int, int], None] | None = None,
) -> list[Sample]:
    """Cold windows, then one long run of `seconds`.

    Raises NetsimError when a kernel cannot be built, or its result is wrong.
    """
    layer = Layer(bench, blocks, sms, share, side)
    samples: list[Sample] = []
    for number in range(COLD_RUNS):
        samples += layer.run("cold", number, 0.0)
        if progress is not None:
            progress(number + 1, COLD_RUNS + 1)
    samples += layer.run("long", 0, seconds)
    if progress is not None:
        progress(COLD_RUNS + 1, COLD_RUNS + 1)
    return samples
