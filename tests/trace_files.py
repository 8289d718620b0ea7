"""A small made-up profiler trace: two layers of a forward and a backward block, a transfer beside them."""

import gzip
import json
from pathlib import Path
from typing import Any

GEMM = "void cutlass::device_kernel<dpsk::grouped_gemm::cuda::fp8_ptp128c::GemmKernel>"
WGRAD = "void cutlass::device_kernel<dpsk::grouped_gemm::cuda::fp8_dptp128c_acc::GemmKernel>"
DISPATCH = "void dpsk::ep::internode::dispatch<false, 8, true, 8>"


class Made:
    """Events in the order they are added; `kernel` launches inside the block that is open."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.now = 1000
        self.correlation = 0

    def block(self, name: str, duration: int = 50) -> None:
        self.now += 100
        self.events.append(
            {
                "ph": "X",
                "cat": "user_annotation",
                "name": name,
                "ts": self.now,
                "dur": duration,
                "tid": 1,
                "args": {},
            }
        )

    def kernel(
        self, name: str, start: int, duration: float, stream: int = 7, grid: tuple[int, int, int] = (112, 1, 1),
        shared: int = 0, tid: int = 1, device: int = 0, op: str = "",
    ) -> None:  # fmt: skip
        self.correlation += 1
        self.now += 2
        if op:
            self.events.append(
                {"ph": "X", "cat": "cpu_op", "name": op, "ts": self.now - 1, "dur": 3, "tid": tid, "args": {}}
            )
        self.events.append(
            {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "ts": self.now, "dur": 1, "tid": tid,
             "args": {"correlation": self.correlation}}
        )  # fmt: skip
        self.events.append(
            {"ph": "X", "cat": "kernel", "name": name, "ts": start, "dur": duration, "pid": device, "tid": stream,
             "args": {"correlation": self.correlation, "stream": stream, "device": device, "grid": list(grid),
                      "block": [128, 1, 1], "shared memory": shared}}
        )  # fmt: skip

    def document(self) -> dict[str, Any]:
        return {
            "deviceProperties": [{"id": 0, "name": "NVIDIA H800", "numSms": 132}],
            "traceEvents": self.events,
        }

    def write(self, path: Path) -> Path:
        text = json.dumps(self.document()).encode()
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
        return path


def two_layers() -> Made:
    """attn(W) of layers 1 and 0 with five weight gradients each, and q_a of a forward block, beside a dispatch."""
    made = Made()
    for layer in (0, 1):
        made.block("attn(F)")
        made.kernel(GEMM, 2000 + 500 * layer, 100 + layer, shared=218052, op="LinearFP8")
        made.block("dispatch(F)")
        made.kernel(DISPATCH, 2000 + 500 * layer, 300, stream=27)
        made.block("attn(W)")
        for number in range(5):
            made.kernel(WGRAD, 3000 + 500 * layer + 40 * number, 40, tid=2)
    return made
