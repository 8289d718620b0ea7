"""Number formats of matrix products: bytes of a value with its share of scales, and which peak they run at.

    word        value    scales                                              who does it
    bf16        2 bytes  none                                                everybody
    fp8         1 byte   FP32 for 128 values (tokens), 128 x 128 (weights)   DeepSeek-V3
    fp8_tensor  1 byte   one a tensor, delayed or current                    TransformerEngine
    mxfp8       1 byte   1 byte for 32 values                                OCP MX; Blackwell, CDNA 4
    nvfp4       4 bits   1 byte for 16 values, FP32 a tensor                 Blackwell

Left out: the scale of a whole tensor.

Source: DeepSeek-V3, arXiv 2412.19437, section 3.3.2; OCP Microscaling Formats 1.0, table 1; NVIDIA, "Pretraining large
language models with NVFP4", arXiv 2509.25149, section 2.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

Products = Literal["bf16", "fp8", "fp8_tensor", "mxfp8", "nvfp4"]
PRODUCTS: tuple[Products, ...] = get_args(Products)


class Format(NamedTuple):
    """Bytes of a value of an activation and of a weight, and the peak of a GPU that its products run at."""

    activation_bytes: float
    weight_bytes: float
    peak: Literal["bf16", "fp8", "fp4"]


FORMATS: dict[Products, Format] = {
    "bf16": Format(2.0, 2.0, "bf16"),
    "fp8": Format(1.0 + 4.0 / 128, 1.0, "fp8"),
    "fp8_tensor": Format(1.0, 1.0, "fp8"),
    "mxfp8": Format(1.0 + 1.0 / 32, 1.0 + 1.0 / 32, "fp8"),
    "nvfp4": Format(0.5 + 1.0 / 16, 0.5 + 1.0 / 16, "fp4"),
}


def format_of(kind: str) -> Products:
    """The format of a kernel class: what its name ends with; BF16 where it names none.

    >>> format_of("wgrad_fp8_tensor"), format_of("grouped_gemm_mxfp8"), format_of("attention_fwd")
    ('fp8_tensor', 'mxfp8', 'bf16')
    """
    # the longest name first: fp8 ends mxfp8
    for name in sorted(PRODUCTS, key=len, reverse=True):
        if kind.endswith(f"_{name}"):
            return name
    return "bf16"


def role_of(kind: str) -> str:
    """What a kernel class does, whatever the format.

    >>> role_of("grouped_wgrad_fp8_tensor"), role_of("attention_fwd")
    ('grouped_wgrad', 'attention_fwd')
    """
    return kind.removesuffix(f"_{format_of(kind)}")
