"""Fixed costs: what events, a launch and a graph node cost when there is nothing to compute."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from netsim.measure.device import Built, Gpu
from netsim.measure.shapes import Shape

_MANY = 500


def _no_error() -> float:
    return 0.0


def launch(gpu: Gpu, shape: Shape) -> Built:
    """The fixed cost that the shape names."""
    one = gpu.torch.zeros(1, device=gpu.device)

    def add() -> Any:
        return one.add_(1)

    if shape.kernel == "empty_pair":
        return Built(lambda: None, _no_error, 0.0)
    if shape.kernel == "empty_kernel":
        kernel = gpu.torch.cuda._compile_kernel('extern "C" __global__ void nothing() {}', "nothing")
        return Built(lambda: kernel(grid=(gpu.sms, 1, 1), block=(128, 1, 1)), _no_error, 0.0)
    take = {"launch_cpu_cost": _cpu_cost, "launch_to_sync": _to_sync, "graph_node": _graph_node}[shape.kernel]
    return Built(add, _no_error, 0.0, lambda count: take(gpu, add, count))


def _host_us(action: Callable[[], Any]) -> float:
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1e6


def _cpu_cost(gpu: Gpu, run: Callable[[], Any], count: int) -> list[float]:
    """Host time a launch, while the GPU keeps up."""
    samples = []
    for _ in range(count):
        gpu.stream.synchronize()
        samples.append(_host_us(lambda: [run() for _ in range(_MANY)]) / _MANY)
    return samples


def _to_sync(gpu: Gpu, run: Callable[[], Any], count: int) -> list[float]:
    """Host time of one launch and waiting for it."""

    def both() -> None:
        run()
        gpu.stream.synchronize()

    both()
    return [_host_us(both) for _ in range(10 * count)]


def _graph_node(gpu: Gpu, run: Callable[[], Any], count: int) -> list[float]:
    """GPU time of one node in a graph of many."""
    graph = gpu.torch.cuda.CUDAGraph()
    graph.capture_begin()
    for _ in range(_MANY):
        run()
    graph.capture_end()
    samples = []
    for _ in range(count + 1):
        begin, end = (gpu.torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record(gpu.stream)
        graph.replay()
        end.record(gpu.stream)
        end.synchronize()
        samples.append(float(begin.elapsed_time(end)) * 1e3 / _MANY)
    return samples[1:]
