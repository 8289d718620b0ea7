"""Which function builds which kernel."""

from __future__ import annotations

from collections.abc import Callable

from netsim.measure import attention, flat, framework, framework_rows, launches, matmul, memory, routing
from netsim.measure.device import Built, Gpu
from netsim.measure.shapes import LAUNCH_KERNELS, Shape

Builder = Callable[[Gpu, Shape], Built]

BUILDERS: dict[str, Builder] = {
    "gemm": matmul.dense,
    "gemm_wgrad": matmul.dense,
    "grouped_gemm": matmul.grouped,
    "grouped_wgrad": matmul.grouped_wgrad,
    "attn_fwd": attention.attention,
    "attn_bwd": attention.attention,
    "rmsnorm": memory.rmsnorm,
    "add_rmsnorm": memory.add_rmsnorm,
    "rmsnorm_bwd_dx": memory.rmsnorm_bwd_dx,
    "quant_1x128": memory.quant_1x128,
    "dequant_1x128": memory.dequant_1x128,
    "quant_transpose": memory.quant_transpose,
    "rope": memory.rope,
    "slice_copy": memory.slice_copy,
    "swiglu": memory.swiglu,
    "swiglu_quant": memory.swiglu_quant,
    "swiglu_bwd": memory.swiglu_bwd,
    "residual_add": memory.residual_add,
    "cast_bf16_fp32": memory.cast_bf16_fp32,
    "permute_gather": routing.permute_gather,
    "combine_topk": routing.combine_topk,
    "gather_transpose": routing.gather_transpose,
    "transpose_fp8": routing.transpose_fp8,
    "topk_gate": routing.topk_gate,
    "sort_by_expert": routing.sort_by_expert,
    "copy_d2d": flat.copy,
    "copy_h2d": flat.copy,
    "copy_d2h": flat.copy,
    "memset": flat.memset,
    "read_sum": flat.read_sum,
    "grad_accum": flat.grad_accum,
    "adam_bf16_moments": flat.adam_bf16_moments,
    "adamw_fused": flat.adamw_fused,
    **dict.fromkeys(LAUNCH_KERNELS, launches.launch),
    **dict.fromkeys((*framework.ROWS, "fw_bmm", "fw_dgrad", "fw_wgrad"), framework_rows.build),
}
