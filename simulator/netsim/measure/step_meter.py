"""What the GPU does while a step runs: SM clock and power as NVML tells them, energy, and the kernels of a trace.

Modelled: the clock as the median of samples every 20 ms; mean power as the energy counter's difference over time
(the power reading itself is a mean over a second). Left out: GPUs without NVML, where all is NaN.
"""

from __future__ import annotations

import importlib
import json
import math
import statistics
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_EVERY_S = 0.02


class Meter:
    """Samples one GPU, by its UUID as the driver tells it (none: nothing to read), from `start` to `stop`."""

    def __init__(self, uuid: str) -> None:
        try:
            self.nvml: Any = importlib.import_module("pynvml")
            self.nvml.nvmlInit()
            self.handle = self.nvml.nvmlDeviceGetHandleByUUID(uuid)
        except Exception:  # no module, no driver, no such GPU: all of them mean that nothing can be read
            self.nvml = None
        self._clocks: list[float] = []
        self._began = (0.0, 0.0)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin sampling."""
        self._clocks, self._stop = [], threading.Event()
        self._began = (time.monotonic(), self._energy_j())
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> tuple[float, float]:
        """SM clock in MHz and mean power in watts since `start`."""
        if self._thread is None:
            return math.nan, math.nan
        self._stop.set()
        self._thread.join()
        seconds, joules = time.monotonic() - self._began[0], self._energy_j() - self._began[1]
        return (statistics.median(self._clocks) if self._clocks else math.nan), joules / max(seconds, 1e-9)

    def _energy_j(self) -> float:
        if self.nvml is None:
            return math.nan
        try:
            return float(self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle)) * 1e-3
        except Exception:  # cards without the counter
            return math.nan

    def _sample(self) -> None:
        while self.nvml is not None and not self._stop.wait(_EVERY_S):
            self._clocks.append(float(self.nvml.nvmlDeviceGetClockInfo(self.handle, self.nvml.NVML_CLOCK_SM)))


#: kernels by parts of their names, first match; the rest is "elementwise"
_RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("communication", ("nccl",)),
    ("attention", ("sdpa", "flash", "fmha", "cudnn_generated_fort_native", "attention")),
    ("optimizer", ("adam", "multi_tensor_apply")),
    ("product", ("nvjet", "gemm", "cutlass", "sm90_xmma", "cublas", "xmma", "splitk")),
    ("copy", ("memcpy", "memset", "copy")),
)
CLASSES = ("product", "attention", "elementwise", "copy", "optimizer", "communication")


def class_of(kernel: str) -> str:
    """What a kernel does, by its name.

    >>> class_of("nvjet_tst_256x128_64x4_2x1_v_bz_coopA_NNT"), class_of("triton_red_fused__to_copy_3")
    ('product', 'elementwise')
    """
    name = kernel.lower()
    if name.startswith("triton_"):
        return "elementwise"
    return next((kind for kind, parts in _RULES if any(part in name for part in parts)), "elementwise")


def uuid_of(torch: Any, index: int) -> str:
    """The UUID of torch's device `index`, as NVML wants it."""
    uuid = str(torch.cuda.get_device_properties(index).uuid)
    return uuid if uuid.startswith("GPU-") else f"GPU-{uuid}"


@dataclass(frozen=True)
class Traced:
    """Of the steps of a trace: time that any kernel ran, all their time, launches, and time by class; a step each."""

    busy_ms: float
    span_ms: float
    launches: int
    by_class_ms: Mapping[str, float]
    by_kernel_ms: Mapping[str, float]


def read_trace(path: Path, steps: int) -> Traced:
    """Sum up the device events of a Kineto trace of `steps` equal steps.

    >>> import tempfile
    >>> event = {"ph": "X", "cat": "kernel", "name": "nvjet_a", "ts": 0.0, "dur": 1000.0}
    >>> with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
    ...     _ = file.write(json.dumps({"traceEvents": [event, {**event, "ts": 3000.0}]}))
    ...     file.flush()
    ...     found = read_trace(Path(file.name), 2)
    >>> found.busy_ms, found.span_ms, found.launches
    (1.0, 2.0, 1)
    """
    events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    device = sorted(
        (float(e["ts"]), float(e["dur"]), str(e["name"]))
        for e in events
        if e.get("ph") == "X" and e.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")
    )
    busy = end = 0.0
    classes = dict.fromkeys(CLASSES, 0.0)
    kernels: dict[str, float] = {}
    for begin, duration, name in device:
        busy += max(0.0, begin + duration - max(begin, end))
        end = max(end, begin + duration)
        classes[class_of(name)] += duration * 1e-3 / steps
        kernels[name] = kernels.get(name, 0.0) + duration * 1e-3 / steps
    span = end - device[0][0] if device else 0.0
    return Traced(busy * 1e-3 / steps, span * 1e-3 / steps, len(device) // steps, classes, kernels)
