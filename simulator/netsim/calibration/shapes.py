"""From a recorded operator call to netsim's operator: dimensions, operations and bytes of `Input Dims` and types.

    products      aten mm, addmm, bmm, linear, _scaled_mm, _grouped_mm: m x n over k; phase and groups make the class
    attention     (sequences, heads, length, qk, v) of query, key and value; causal, where the call says so
    the rest      bytes of every tensor touched once: what is read, and what the operator writes by its kind

A fusion of inductor lists inputs and outputs; of a tensor larger than its loop only the loop's part counts (a row of
a table). A multi-tensor kernel does not record its lists: its grid does (blocks of 65,536 values).

Left out: attention that is not causal and calls without recorded dimensions (no operator: class totals only);
caches; strides (a transposed read moves what it names). 32-bit products are no class of a profile.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

from netsim.calibration.kineto import Kernel, Span
from netsim.specs.formats import Products, format_of, role_of
from netsim.specs.profile import KINDS, Kind
from netsim.workloads import kernels
from netsim.workloads.kernels import BF16_BYTES, FP32_BYTES
from netsim.workloads.operators import Operator

#: bytes of a value by the type's name as PyTorch records it
SIZES = {"double": 8, "float": 4, "int": 4, "long int": 8, "long": 8, "c10::bfloat16": 2, "c10::half": 2, "bool": 1,
         "unsigned char": 1, "signed char": 1, "char": 1, "short": 2, "c10::complex<float>": 8}  # fmt: skip
HALVES = ("c10::bfloat16", "c10::half")
#: tokens of a sequence: more are no attention that anybody runs, and each block of them is counted
LONGEST_SEQUENCE = 1 << 22
#: values of a block; ATen/native/cuda/MultiTensorApply.cuh, kChunkSize
CHUNK = 65536
_PRODUCT = re.compile(
    r"^aten::(_?scaled_mm|mm|addmm|bmm|baddbmm|matmul|linear|_grouped_mm|_scaled_grouped_mm)(\.out)?$"
)
_ATTENTION = re.compile(r"attention|flash|sdpa|fmha", re.IGNORECASE)
_MULTI = re.compile(r"TensorListMetadata<(\d+)>")
_SCALAR = re.compile(r"Functor<(c10::BFloat16|c10::Half|float|double)")
_INTEGERS = ("long int", "long", "int")
#: one value of each row
_PICKS = ("nll_loss_forward", "nll_loss_backward", "nll_loss")
#: aten operators that only read, only write, or touch the rows that an index names
_READS = ("sum", "mean", "norm", "amax", "linalg_vector_norm", "item", "_local_scalar_dense", "all")
_WRITES = ("fill_", "zero_", "arange", "normal_", "uniform_", "random_")
_ROWS = ("index_select", "embedding", "gather", "index", "index_put_", "embedding_dense_backward")


class Tensor(NamedTuple):
    """Dimensions and bytes of a value."""

    dims: tuple[int, ...]
    size: int
    type: str

    @property
    def values(self) -> int:
        """How many values."""
        return math.prod(self.dims)


def is_product(kind: str) -> bool:
    """Whether a class is of matrix products or attention."""
    return "gemm" in kind or "wgrad" in kind or kind.startswith("attention")


def tensors(call: Span) -> list[Tensor]:
    """Inputs of a call that are tensors, with dimensions and types that were recorded."""
    dims, types = call.args.get("Input Dims"), call.args.get("Input type")
    if not isinstance(dims, list) or not isinstance(types, list):
        return []
    found: list[Tensor] = []
    for shape, name in zip(dims, types, strict=False):
        if name == "TensorList" and isinstance(shape, list):
            found += [Tensor(tuple(s), 2, "list") for s in shape if _is_shape(s)]
        elif isinstance(name, str) and _is_shape(shape) and (size := _size(name)):
            found.append(Tensor(tuple(shape), size, name.lower()))
    return found


def _is_shape(value: Any) -> bool:
    return (
        isinstance(value, list) and all(type(v) is int and 0 <= v < 2**40 for v in value) and len(value) <= 8
    )


def _size(name: str) -> int:
    return 1 if "float8" in name.lower() else SIZES.get(name.lower(), 0)


def is_weight_gradient(call: Span | None) -> bool:
    """Whether a product contracts over the tokens: its first factor is read transposed, or groups share its depth."""
    if call is None or not _PRODUCT.match(call.name):
        return False
    found, strides = tensors(call), call.args.get("Input Strides")
    if len(found) < 2:
        return False
    if "grouped" in call.name:
        return len(found[0].dims) == len(found[1].dims) == 2
    position = 1 if "addmm" in call.name else 0
    stride = strides[position] if isinstance(strides, list) and len(strides) > position else None
    if stride is None or not _is_shape(stride) or len(stride) < 2 or len(found) <= position:
        return False
    dims = found[position].dims
    return len(dims) > 1 and bool(stride[-2] == 1 and stride[-1] > 1) and dims[-1] > 1


def operator_of_call(
    launched: Sequence[Kernel], kind: str, groups: Mapping[tuple[int, int], int]
) -> Operator | None:
    """The operator behind the kernels of a call, of which the class is known; None without recorded dimensions.

    groups : (k, n) of the matrices of grouped products -> how many there are
    """
    if kind not in KINDS:
        return None
    call = launched[0].call
    if lists := [kernel for kernel in launched if _MULTI.search(kernel.name)]:
        return _multi_tensor(lists, kind)
    if call is None:
        return None
    found = tensors(call)
    if not found:
        return None
    if is_product(kind):
        return (
            _attention(kind, call, found)
            if kind.startswith("attention")
            else _product(kind, call, found, groups)
        )
    return _moved(kind, call, found)


def _product(
    kind: str, call: Span, found: list[Tensor], groups: Mapping[tuple[int, int], int]
) -> Operator | None:
    match = _PRODUCT.match(call.name)
    if match is None or len(found) < 2:
        return None
    name = match.group(1)
    a, b = found[1:3] if name in ("addmm", "baddbmm") and len(found) > 2 else found[:2]
    products = _format(kind, a)
    if products is None or not a.values or not b.values or len(a.dims) < 2 or len(b.dims) < 2:
        return None
    if "grouped" in name:
        return _grouped(a, b, products, groups)
    k = a.dims[-1]
    copies = math.prod(a.dims[:-2]) if len(b.dims) > 2 else 1
    rows = a.values // k // copies
    columns = b.dims[0] if name == "linear" else b.values // k // copies
    one = kernels.gemm("", rows, columns, k, products)
    made = cast(Kind, f"{role_of(kind)}_{products}" if "gemm" in kind or "wgrad" in kind else one.kind)
    return replace(one, kind=made, flops=one.flops * copies, bytes=one.bytes * copies, calls=copies)


def _format(kind: str, a: Tensor) -> Products | None:
    """The number format of a product: that of its class, unless the type of its factor says otherwise."""
    said = format_of(kind)
    if a.type in HALVES:
        return "bf16"
    if a.size != 1:
        return None
    return "fp8_tensor" if said == "bf16" else said


def _grouped(
    a: Tensor, b: Tensor, products: Products, groups: Mapping[tuple[int, int], int]
) -> Operator | None:
    """Rows of all groups by the matrix of each; or (m x rows) by (rows x n), over as many groups as the products of
    that matrix have elsewhere in the trace."""
    if len(a.dims) == 2 and len(b.dims) == 3:
        count, k, n = b.dims
        return kernels.grouped_gemm("", a.dims[0], n, k, count, products)
    if len(a.dims) != 2 or len(b.dims) != 2:
        return None
    (m, rows), n = a.dims, b.dims[1]
    known = groups.get((m, n)) or groups.get((n, m))
    if known is None:
        return None
    # PyTorch writes gradients in the format of their factors
    made = kernels.grouped_wgrad("", rows, m, n, known, products)
    spared = known * m * n * (2 * FP32_BYTES - BF16_BYTES)
    return replace(made, bytes=made.bytes - spared)


def groups_of(calls: Iterable[Span | None]) -> dict[tuple[int, int], int]:
    """(k, n) of the matrices of grouped products -> how many there are."""
    found: dict[tuple[int, int], int] = {}
    for call in calls:
        if (
            call is not None
            and "grouped" in call.name
            and len(both := tensors(call)) > 1
            and len(both[1].dims) == 3
        ):
            count, k, n = both[1].dims
            found[k, n] = count
    return found


def weight_gradient_of(kind: str) -> str:
    """The class of weight gradients beside a class of products; other classes as they are.

    >>> weight_gradient_of("grouped_gemm_bf16"), weight_gradient_of("norm")
    ('grouped_wgrad_bf16', 'norm')
    """
    made = kind.replace("gemm_", "wgrad_")
    return made if made in KINDS else kind


def _attention(kind: str, call: Span, found: list[Tensor]) -> Operator | None:
    """Causal attention. Backward calls begin with the gradient of the output."""
    four = [t for t in found if len(t.dims) == 4]
    if not _ATTENTION.search(call.name) or "True" not in _words(call) or len(four) < 3:
        return None
    q, k, v = four[1:4] if kind == "attention_bwd" and len(four) > 3 else four[:3]
    if q.size != BF16_BYTES:
        return None
    # (sequences, heads, length, width) from scaled_dot_product; flash_attn's own calls swap heads and length
    swapped = "flash_attn" in call.name
    heads, length = (q.dims[2], q.dims[1]) if swapped else (q.dims[1], q.dims[2])
    batch, width, v_width = q.dims[0], q.dims[3], v.dims[3]
    keys = k.dims[1] if swapped else k.dims[2]
    if keys != length or not q.values or length > LONGEST_SEQUENCE:
        return None
    pairs = batch * heads * length * length
    forward = kind == "attention_fwd"
    flops = pairs * (width + v_width if forward else 3 * width + 2 * v_width)
    moved = (2.0 if forward else 4.0) * BF16_BYTES * (
        q.values + k.values + v.values
    ) / 2 + BF16_BYTES * q.values
    return Operator("", kind, float(flops), moved, (batch, heads, length, width, v_width))  # type: ignore[arg-type]


def _words(call: Span) -> list[str]:
    words = call.args.get("Concrete Inputs")
    return [str(word) for word in words] if isinstance(words, list) else []


def _multi_tensor(launched: Sequence[Kernel], kind: str) -> Operator:
    """Every list read, all but the last written (a list alone is written too)."""
    first = launched[0].name
    match, scalar = _MULTI.search(first), _SCALAR.search(first)
    lists = int(match.group(1)) if match else 1
    size = SIZES.get(scalar.group(1).lower(), 4) if scalar else 4
    values = CHUNK * sum(max(1, k.grid[0]) for k in launched)
    return Operator("", kind, 0.0, float(values * size * (lists + max(1, lists - 1))), (values, 1))  # type: ignore[arg-type]


def _moved(kind: str, call: Span, found: list[Tensor]) -> Operator:
    if kind in ("small", "index"):
        rows, columns = _plane(max(found, key=lambda t: t.values).dims)
        return Operator("", kind, 0.0, 0.0, (rows, columns))  # type: ignore[arg-type]
    name = call.name.removeprefix("aten::")
    if call.name.startswith("triton_"):
        loop = math.prod(int(w) for w in _words(call) if w.isdigit() and 0 < int(w) < 2**48) or 1
        moved = sum(min(t.values, loop) * t.size for t in found)
        largest = max(found, key=lambda t: min(t.values, loop))
    else:
        largest = max(found, key=lambda t: t.values)
        moved = _aten_bytes(name, found, largest)
    rows, columns = _plane(largest.dims)
    return Operator("", kind, 0.0, float(moved), (rows, columns))  # type: ignore[arg-type]


def _aten_bytes(name: str, found: list[Tensor], largest: Tensor) -> int:
    every = sum(t.values * t.size for t in found)
    if name == "copy_" or name in _READS:
        return every
    if name in _WRITES:
        return largest.values * largest.size
    if name in _ROWS:
        index = next((t for t in found if t.type in _INTEGERS), largest)
        width = largest.dims[-1] if len(index.dims) < len(largest.dims) else 1
        return 2 * min(index.values * width, largest.values) * largest.size
    if name in _PICKS:
        return 2 * largest.dims[0] * largest.size if largest.dims else largest.size
    return every + largest.values * largest.size


def _plane(dims: Sequence[int]) -> tuple[int, int]:
    return (max(1, math.prod(dims[:-1])), max(1, dims[-1])) if dims else (1, 1)
