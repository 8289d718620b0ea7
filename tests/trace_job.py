"""A made-up PyTorch trace of a training step, with every number chosen: what a reader must find is known.

A step: embedding, `layers` forward (norm, product, attention, product, all-reduce), head and loss; backward by the
autograd thread in reverse (gradients of inputs and weights of each product); clipping, optimizer. The host launches all
of a step early except where `late_us` holds it back, and the GPU waits `gap_us` between kernels.
"""

import gzip
import json
from pathlib import Path
from typing import Any

TOKENS, HIDDEN, HEADS, VOCABULARY = 2048, 1024, 8, 4096
MAIN, ENGINE = 100, 200
BF16 = "c10::BFloat16"
ADAM = "multi_tensor_apply_kernel<FusedOptimizerTensorListMetadata<4>, FusedAdamMathFunctor<c10::BFloat16>>"


class Job:
    """Events of a trace, launched in order; the GPU runs kernels one after the other on stream 7, transfers on 20."""

    def __init__(
        self, layers: int = 3, steps: int = 2, shapes: bool = True, marked: bool = False, gap_us: float = 2.0,
        device: str = "NVIDIA H200", sms: int = 132, scale: float = 1.0, late_us: float = 0.0, operators: bool = True,
    ) -> None:  # fmt: skip
        self.events: list[dict[str, Any]] = []
        self.host, self.gpu, self.ids = 1000.0, 5000.0, 0
        self.shapes, self.gap_us, self.scale, self.operators = shapes, gap_us, scale, operators
        self.device, self.sms, self.layers = device, sms, layers
        for step in range(steps):
            began = self.host
            self._step(layers, late_us)
            if marked:
                self.span("user_annotation", f"ProfilerStep#{step + 7}", began, self.host - began, MAIN)

    def span(
        self,
        category: str,
        name: str,
        start: float,
        took: float,
        thread: int,
        args: dict[str, Any] | None = None,
    ) -> None:
        self.events.append(
            {
                "ph": "X",
                "cat": category,
                "name": name,
                "ts": start,
                "dur": took,
                "tid": thread,
                "args": args or {},
            }
        )

    def call(
        self, op: str, kernels: list[tuple[str, float]], dims: list[list[int]] | None = None, thread: int = MAIN,
        transposed: bool = False, outer: str = "", words: list[str] | None = None, stream: int = 7,
        message: dict[str, Any] | None = None, type_: str = BF16,
    ) -> None:  # fmt: skip
        """An operator that launches kernels, a microsecond apart."""
        self.ids += 1
        number, start = self.ids, self.host
        args: dict[str, Any] = {"External id": number, **(message or {})}
        if self.shapes and dims is not None:
            strides = [[1, d[-2]] if transposed and i == 0 else [*d[1:], 1] for i, d in enumerate(dims)]
            args |= {"Input Dims": dims, "Input type": [type_] * len(dims), "Input Strides": strides,
                     "Concrete Inputs": words or [""] * len(dims)}  # fmt: skip
        for name, took in kernels:
            self.host += 1
            self.ids += 1
            took = took if stream != 7 else took * self.scale
            began = max(self.gpu + self.gap_us, self.host) if stream == 7 else self.gpu
            self.span("cuda_runtime", "cudaLaunchKernel", self.host, 0.5, thread, {"correlation": self.ids})
            self.span(
                "kernel" if not name.startswith("Mem") else "gpu_memset", name, began, took, stream,
                {"External id": number, "correlation": self.ids, "stream": stream, "device": 0, "grid": [128, 1, 1],
                 "block": [128, 1, 1], **(message or {})},
            )  # fmt: skip
            if stream == 7:
                self.gpu = began + took
        self.host += 1
        if self.operators:
            self.span("cpu_op", op, start, self.host - start, thread, args)
            if outer:
                self.span("cpu_op", f"autograd::engine::evaluate_function: {outer}", start - 0.2,
                          self.host - start + 0.4, thread)  # fmt: skip
        self.host += 1

    def product(self, m: int, n: int, k: int, phase: str) -> None:
        name = "nvjet_sm90_tst_256x128_64x4_1x2_h_bz_coopA_TNT"
        took = 2.0 * m * n * k / 600e12 * 1e6
        if phase == "F":
            self.call("aten::mm", [("Memset (Device)", 1.0), (name, took)], [[m, k], [k, n]])
        else:
            self.call("aten::mm", [(name, took)], [[m, k], [k, n]], ENGINE, phase == "W", "MmBackward0")

    def _step(self, layers: int, late_us: float) -> None:
        t, h, heads = TOKENS, HIDDEN, [1, HEADS, TOKENS, HIDDEN // HEADS]
        self.call(
            "aten::embedding",
            [("void at::native::vectorized_gather_kernel<16, long>", 5.0)],
            [[VOCABULARY, h], [t]],
        )
        for _ in range(layers):
            self.call("aten::rms_norm", [("void rms_norm_kernel<bf16>", 4.0)], [[t, h]])
            self.product(t, 3 * h, h, "F")
            self.call("aten::_scaled_dot_product_cudnn_attention", [("cudnn_sdpa_sm90_flash_fprop_wgmma", 20.0)],
                      [heads] * 3, words=["", "", "", "True"])  # fmt: skip
            self.product(t, h, h, "F")
            self.call("record_param_comms", [("ncclDevKernel_AllReduce_Sum_bf16_RING_LL", 30.0)], stream=20,
                      message=MESSAGE)  # fmt: skip
            self.gpu += 10  # a part of the transfer is exposed
        self.host += late_us
        self.product(t, VOCABULARY, h, "F")
        self.call(
            "aten::_log_softmax", [("void cunn_SoftMaxForward<4>", 12.0)], [[t, VOCABULARY]], type_="float"
        )
        self.product(t, h, VOCABULARY, "B")
        self.product(VOCABULARY, h, t, "W")
        for _ in range(layers):
            self.product(t, h, h, "B")
            self.product(h, h, t, "W")
            self.call("aten::_scaled_dot_product_cudnn_attention_backward",
                      [("cudnn_sdpa_sm90_flash_bprop_wgmma", 50.0), ("void cudnn::fusion::convert_dq_to_16bits", 2.0)],
                      [heads] * 4, ENGINE, outer="CompiledFunctionBackward", words=["", "", "", "True"])  # fmt: skip
            self.product(t, h, 3 * h, "B")
            self.product(3 * h, h, t, "W")
            self.call("aten::rms_norm_backward", [("void rms_norm_bwd_kernel<bf16>", 9.0)], [[t, h], [t, h]], ENGINE,
                      outer="NormBackward")  # fmt: skip
        self.call("aten::_foreach_norm", [("void at::native::lpnorm_cleanup_elementwise_kernel", 3.0)], [[h]])
        began = self.host
        self.call("aten::_fused_adamw_", [(ADAM, 40.0)])
        self.span("user_annotation", "Optimizer.step#AdamW.step", began - 1, self.host - began + 1, MAIN)

    def document(self) -> dict[str, Any]:
        events = self.events if self.operators else [e for e in self.events if e["cat"] != "user_annotation"]
        return {
            "deviceProperties": [{"id": 0, "name": self.device, "numSms": self.sms}],
            "traceEvents": events,
        }

    def write(self, path: Path) -> Path:
        text = json.dumps(self.document()).encode()
        path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
        return path


MESSAGE = {
    "Collective name": "allreduce", "dtype": "BFloat16", "In msg nelems": TOKENS * HIDDEN,
    "Out msg nelems": TOKENS * HIDDEN, "Group size": 4, "Process Group Name": "3", "Process Group Description": "tp",
}  # fmt: skip
