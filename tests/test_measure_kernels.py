"""Operands and references of the measured kernels on a CPU, where torch is installed; the GPU is not needed for these.

A kernel is checked against float32 before it is timed; here that check passes, and fails when the result is spoilt.
"""

import dataclasses
from typing import Any

import pytest

from netsim.measure import shapes
from netsim.measure.device import Gpu
from netsim.measure.kernels import BUILDERS

torch = pytest.importorskip("torch")


class Cpu(Gpu):
    """The CPU in the place of a GPU: no streams, no clocks."""

    def __init__(self) -> None:
        self.torch, self.device = torch, "cpu"
        self.random = torch.Generator()
        self.random.manual_seed(0)
        self._jitted = {}


RUNNABLE = [
    shapes.gemm("bf16", 128, 256, 384),
    shapes.gemm("fp8_tensor", 128, 256, 384),
    shapes.gemm("fp8_row", 128, 256, 384),
    shapes.wgrad("fp8_tensor", 128, 256, 384),
    shapes.grouped_gemm("bf16", (64, 48, 16), 128, 256),
    shapes.grouped_wgrad("bf16", (64, 48, 16), 128, 256),
    *(
        shapes.memory(name, 200, 320)
        for name in ("slice_copy", "residual_add", "cast_bf16_fp32", "sort_by_expert")
    ),
    shapes.memory("topk_gate", 200, 256, 8),
    *(shapes.memory(name, 5000) for name in ("memset", "read_sum", "grad_accum", "adamw_fused")),
]


@pytest.mark.parametrize("shape", RUNNABLE, ids=lambda s: s.name)
def test_result_agrees_with_float32(shape: shapes.Shape) -> None:
    built = BUILDERS[shape.kernel](Cpu(), shape)
    assert built.error() <= built.tolerance


def test_a_wrong_product_is_seen() -> None:
    cpu: Any = Cpu()
    mm = torch.mm
    cpu.torch = type("Spoilt", (), {"__getattr__": lambda self, name: getattr(torch, name)})()
    cpu.torch.mm = lambda x, y: mm(x, y) * 1.02
    built = BUILDERS["gemm"](cpu, shapes.gemm("bf16", 64, 64, 64))
    assert built.error() > built.tolerance


def test_block_scales_need_whole_blocks_along_k() -> None:
    with pytest.raises(RuntimeError, match="multiples of 128"):
        BUILDERS["gemm"](Cpu(), shapes.gemm("fp8_block", 64, 128, 576))


def test_attention_reference_against_torch() -> None:
    from netsim.measure import attention

    cpu = Cpu()
    q, k, v = (torch.randn(1, 2, 48, width) for width in (24, 24, 16))
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)[0, 1]
    rows = torch.arange(48)
    assert cpu.relative_error(attention._reference(torch, q[0, 1], k[0, 1], v[0, 1], rows), expected) < 1e-5


def test_nan_is_as_wrong_as_can_be() -> None:
    assert Cpu().relative_error(torch.tensor([float("nan")]), torch.tensor([1.0])) == float("inf")
    assert dataclasses.is_dataclass(shapes.Shape)
