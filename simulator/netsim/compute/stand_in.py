"""What answers for a kernel class that a profile does not have.

    asked                                answered by                                              marked
    wgrad_bf16                           gemm_bf16: the same kernels                              no
    grouped products in BF16             one product for each expert over its share of the rows   no
    a class of fp8_tensor                the class of fp8                                         yes
    a class of mxfp8                     of fp8_tensor, else of fp8                               yes
    a class of nvfp4                     of mxfp8, else as there; at the FP4 peak                 yes
    attention in fp8 or mxfp8            in the other of both, else in BF16; at the FP8 peak      yes
    attention of FlashAttention-2        the profile's own in BF16                                yes
    kernels of torch (`torch_kernels`)   the class of what moves as many bytes                    yes

A marked answer takes the same share of the peak of its own format, and counts as extrapolated: `--strict` refuses it,
and a run says so in one line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from netsim.specs.formats import format_of
from netsim.workloads.kernels import FP32_BYTES, Operator, gemm_bf16

_INSTEAD = {
    "nvfp4": ("mxfp8", "fp8_tensor", "fp8"),
    "mxfp8": ("fp8_tensor", "fp8"),
    "fp8_tensor": ("fp8",),
}
_TORCH_INSTEAD = {
    "act_bwd": "act", "loss_fwd": "elementwise", "loss_bwd": "elementwise", "embedding_bwd": "elementwise",
    "optimizer_bf16": "optimizer", "sort": "index", "dropout": "elementwise",
}  # fmt: skip
_CORE_INSTEAD = {"mxfp8": ("_fp8", ""), "fp8": ("_mxfp8", "")}


def stand_in(kind: str, classes: Mapping[str, object]) -> str | None:
    """The class that answers for one; itself where the profile has it, None where none can.

    >>> stand_in("gemm_nvfp4", {"gemm_fp8": 1, "gemm_mxfp8": 1})
    'gemm_mxfp8'
    """
    if kind in classes:
        return kind
    if kind in _TORCH_INSTEAD:
        return _TORCH_INSTEAD[kind]
    if kind.endswith("_flash2"):
        return kind.removesuffix("_flash2")
    products = format_of(kind)
    role = kind.removesuffix(f"_{products}")
    if role.startswith("attention"):
        others = [role + end for end in _CORE_INSTEAD.get(products, ())]
    elif kind == "wgrad_bf16":
        others = ["gemm_bf16"]
    else:
        others = [f"{role}_{word}" for word in _INSTEAD.get(products, ())]
    return next((other for other in others if other in classes), None)


def for_each_expert(op: Operator, classes: Mapping[str, object]) -> Operator:
    """A grouped product in BF16 as one product an expert, where the profile has no class of it; else itself."""
    if op.kind in classes:
        return op
    if op.kind == "wgrad_bf16":
        return replace(op, kind="gemm_bf16")
    if op.kind == "grouped_gemm_bf16":
        rows, n, k, groups = op.shape
        one = gemm_bf16(op.name, math.ceil(rows / groups), n, k)
    elif op.kind == "grouped_wgrad_bf16":
        rows, m, n, groups = op.shape
        one = gemm_bf16(op.name, m, n, math.ceil(rows / groups), 2 * FP32_BYTES)
    else:
        return op
    return replace(one, flops=op.flops, bytes=one.bytes * groups, calls=groups)
