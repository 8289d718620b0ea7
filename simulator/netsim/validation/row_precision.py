"""Number formats of a published row: what its source calls them, as the words of a job.

FP8 on Hopper and on Blackwell is TransformerEngine's, with one scale a tensor (delayed or current), unless the source
says otherwise. Megatron-Bridge 25.09 prints two numbers a cell and no format: the first is current scaling, the one
in parentheses MXFP8 on Blackwell and 128-blocks on Hopper. Attention runs in FP8 where its source has a flag for it,
and in BF16 elsewhere; the output head follows the source's remark, else BF16.
"""

from __future__ import annotations

from netsim.errors import NetsimError
from netsim.specs.formats import Products
from netsim.validation.training_row import TrainingRow

_YES = ("1", "true", "fp8", "mxfp8")


def compute_tables(row: TrainingRow) -> dict[str, str]:
    """The compute table of a row's job.

    Raises NetsimError for a precision that is not published or not known.
    """
    products = format_of_row(row.precision, row.gpu)
    eight_bits = (row.attention_precision or "").lower() in _YES
    head = "mxfp8" if "LM head MXFP8" in (row.dispatcher or "") else "bf16"
    eager = {"kernels": "torchtitan_eager"} if "eager" in row.precision.lower() else {}
    return {"products": products, "attention": "fp8" if eight_bits else "bf16", "head": head, **eager}


def format_of_row(precision: str, gpu: str) -> Products:
    """The format of the matrix products of layers.

    >>> format_of_row("fp8-delayed", "H100"), format_of_row("FP8-MX", "GB300"), format_of_row("bf16 eager", "H100")
    ('fp8_tensor', 'mxfp8', 'bf16')
    """
    text = precision.lower()
    if " or " in text:
        raise NetsimError(f"not published: which precision ({precision})")
    if "nvfp4" in text:
        return "nvfp4"
    if "mxfp8" in text or "fp8-mx" in text:
        return "mxfp8"
    if "parentheses" in text:
        return "fp8" if gpu.startswith("H") else "mxfp8"
    if "block" in text or "fp8-sc" in text:
        return "fp8"
    if "fp8" in text or "float8" in text:
        return "fp8_tensor"
    if "bf16" in text:
        return "bf16"
    raise NetsimError(f"precision {precision or 'not published'}: not known")
