"""Triton kernels over rows: norms, FP8 casts, SwiGLU, rotary embedding, gathers, the optimizer.

Each function takes `triton.language` and returns the kernel's source, so that this module imports without Triton;
`Gpu.jit` compiles it. Float32 inside, one pass over memory, one program a row or a block of it.
"""

from collections.abc import Callable
from typing import Any

#: Triton tells compile-time arguments by the word in the annotation, and evaluates names there: hence the quotes
constexpr = Any
Kernel = Callable[..., None]


def rmsnorm(tl: Any) -> Kernel:
    """y = x / rms(x) * w."""

    def kernel(x: "Any", w: "Any", y: "Any", n: "Any", WIDTH: "constexpr") -> None:
        at = tl.program_id(0).to(tl.int64) * n
        c = tl.arange(0, WIDTH)
        v = tl.load(x + at + c, mask=c < n, other=0.0).to(tl.float32)
        scale = 1.0 / tl.sqrt(tl.sum(v * v, axis=0) / n + 1e-6)
        g = tl.load(w + c, mask=c < n, other=0.0).to(tl.float32)
        tl.store(y + at + c, (v * scale * g).to(y.dtype.element_ty), mask=c < n)

    return kernel


def add_rmsnorm(tl: Any) -> Kernel:
    """s = x + r, y = s / rms(s) * w."""

    def kernel(x: "Any", r: "Any", w: "Any", s: "Any", y: "Any", n: "Any", WIDTH: "constexpr") -> None:
        at = tl.program_id(0).to(tl.int64) * n
        c = tl.arange(0, WIDTH)
        v = tl.load(x + at + c, mask=c < n, other=0.0).to(tl.float32)
        v += tl.load(r + at + c, mask=c < n, other=0.0).to(tl.float32)
        tl.store(s + at + c, v.to(s.dtype.element_ty), mask=c < n)
        scale = 1.0 / tl.sqrt(tl.sum(v * v, axis=0) / n + 1e-6)
        g = tl.load(w + c, mask=c < n, other=0.0).to(tl.float32)
        tl.store(y + at + c, (v * scale * g).to(y.dtype.element_ty), mask=c < n)

    return kernel


def rmsnorm_bwd(tl: Any) -> Kernel:
    """The gradient of the input of rmsnorm."""

    def kernel(x: "Any", w: "Any", dy: "Any", dx: "Any", n: "Any", WIDTH: "constexpr") -> None:
        at = tl.program_id(0).to(tl.int64) * n
        c = tl.arange(0, WIDTH)
        v = tl.load(x + at + c, mask=c < n, other=0.0).to(tl.float32)
        g = tl.load(w + c, mask=c < n, other=0.0).to(tl.float32)
        g *= tl.load(dy + at + c, mask=c < n, other=0.0).to(tl.float32)
        scale = 1.0 / tl.sqrt(tl.sum(v * v, axis=0) / n + 1e-6)
        inner = tl.sum(g * v, axis=0) / n * scale * scale
        tl.store(dx + at + c, ((g - v * inner) * scale).to(dx.dtype.element_ty), mask=c < n)

    return kernel


def quant(tl: Any) -> Kernel:
    """FP8 with a scale for each 128 values of a row."""

    def kernel(
        x: "Any", q: "Any", s: "Any", n: "Any", per_row: "Any", groups: "Any", GROUPS: "constexpr"
    ) -> None:
        g = tl.program_id(0).to(tl.int64) * GROUPS + tl.arange(0, GROUPS)
        c = (g % per_row)[:, None] * 128 + tl.arange(0, 128)[None, :]
        at = (g // per_row)[:, None] * n + c
        inside = (g < groups)[:, None] & (c < n)
        v = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        scale = tl.maximum(tl.max(tl.abs(v), axis=1), 1e-12) / 448.0
        tl.store(s + g, scale, mask=g < groups)
        tl.store(q + at, (v / scale[:, None]).to(q.dtype.element_ty), mask=inside)

    return kernel


def dequant(tl: Any) -> Kernel:
    """Back from FP8 with a scale for each 128 values."""

    def kernel(
        q: "Any", s: "Any", y: "Any", n: "Any", per_row: "Any", groups: "Any", GROUPS: "constexpr"
    ) -> None:
        g = tl.program_id(0).to(tl.int64) * GROUPS + tl.arange(0, GROUPS)
        c = (g % per_row)[:, None] * 128 + tl.arange(0, 128)[None, :]
        at = (g // per_row)[:, None] * n + c
        inside = (g < groups)[:, None] & (c < n)
        scale = tl.load(s + g, mask=g < groups, other=0.0)
        v = tl.load(q + at, mask=inside, other=0.0).to(tl.float32) * scale[:, None]
        tl.store(y + at, v.to(y.dtype.element_ty), mask=inside)

    return kernel


def swiglu(tl: Any) -> Kernel:
    """silu(gate) * up; gate and up stand side by side in a row of 2n."""

    def kernel(x: "Any", y: "Any", n: "Any", WIDTH: "constexpr") -> None:
        row = tl.program_id(0).to(tl.int64)
        c = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
        gate = tl.load(x + row * 2 * n + c, mask=c < n, other=0.0).to(tl.float32)
        up = tl.load(x + row * 2 * n + n + c, mask=c < n, other=0.0).to(tl.float32)
        tl.store(y + row * n + c, (gate * tl.sigmoid(gate) * up).to(y.dtype.element_ty), mask=c < n)

    return kernel


def swiglu_quant(tl: Any) -> Kernel:
    """silu(gate) * up, written as FP8 with a scale for each 128 values."""

    def kernel(
        x: "Any", q: "Any", s: "Any", n: "Any", per_row: "Any", groups: "Any", GROUPS: "constexpr"
    ) -> None:
        g = tl.program_id(0).to(tl.int64) * GROUPS + tl.arange(0, GROUPS)
        c = (g % per_row)[:, None] * 128 + tl.arange(0, 128)[None, :]
        row = (g // per_row)[:, None]
        inside = (g < groups)[:, None] & (c < n)
        gate = tl.load(x + row * 2 * n + c, mask=inside, other=0.0).to(tl.float32)
        up = tl.load(x + row * 2 * n + n + c, mask=inside, other=0.0).to(tl.float32)
        v = gate * tl.sigmoid(gate) * up
        scale = tl.maximum(tl.max(tl.abs(v), axis=1), 1e-12) / 448.0
        tl.store(s + g, scale, mask=g < groups)
        tl.store(q + row * n + c, (v / scale[:, None]).to(q.dtype.element_ty), mask=inside)

    return kernel


def swiglu_bwd(tl: Any) -> Kernel:
    """Gradients of gate and up."""

    def kernel(x: "Any", dy: "Any", dx: "Any", n: "Any", WIDTH: "constexpr") -> None:
        row = tl.program_id(0).to(tl.int64)
        c = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
        gate = tl.load(x + row * 2 * n + c, mask=c < n, other=0.0).to(tl.float32)
        up = tl.load(x + row * 2 * n + n + c, mask=c < n, other=0.0).to(tl.float32)
        d = tl.load(dy + row * n + c, mask=c < n, other=0.0).to(tl.float32)
        sig = tl.sigmoid(gate)
        dgate = d * up * sig * (1.0 + gate * (1.0 - sig))
        tl.store(dx + row * 2 * n + c, dgate.to(dx.dtype.element_ty), mask=c < n)
        tl.store(dx + row * 2 * n + n + c, (d * gate * sig).to(dx.dtype.element_ty), mask=c < n)

    return kernel


def rope(tl: Any) -> Kernel:
    """Rotary embedding of heads of 64 values, halves paired; one angle a row and pair."""

    def kernel(x: "Any", cos: "Any", sin: "Any", y: "Any", n: "Any", HEADS: "constexpr") -> None:
        row = tl.program_id(0).to(tl.int64)
        head = tl.program_id(1) * HEADS + tl.arange(0, HEADS)
        i = tl.arange(0, 32)[None, :]
        at = row * n + head[:, None] * 64 + i
        inside = (head[:, None] * 64 + i) < n
        a = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        b = tl.load(x + at + 32, mask=inside, other=0.0).to(tl.float32)
        c = tl.load(cos + row * 32 + i)
        s = tl.load(sin + row * 32 + i)
        tl.store(y + at, (a * c - b * s).to(y.dtype.element_ty), mask=inside)
        tl.store(y + at + 32, (b * c + a * s).to(y.dtype.element_ty), mask=inside)

    return kernel


def gather(tl: Any) -> Kernel:
    """Rows of x in the order of an index."""

    def kernel(x: "Any", index: "Any", y: "Any", n: "Any", WIDTH: "constexpr") -> None:
        row = tl.program_id(0).to(tl.int64)
        c = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
        source = tl.load(index + row).to(tl.int64)
        tl.store(y + row * n + c, tl.load(x + source * n + c, mask=c < n), mask=c < n)

    return kernel


def combine(tl: Any) -> Kernel:
    """Weighted sum of the K rows of each token."""

    def kernel(
        x: "Any", index: "Any", w: "Any", y: "Any", n: "Any", K: "constexpr", WIDTH: "constexpr"
    ) -> None:
        token = tl.program_id(0).to(tl.int64)
        c = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
        total = tl.zeros([WIDTH], dtype=tl.float32)
        for j in tl.static_range(K):
            source = tl.load(index + token * K + j).to(tl.int64)
            weight = tl.load(w + token * K + j)
            total += weight * tl.load(x + source * n + c, mask=c < n, other=0.0).to(tl.float32)
        tl.store(y + token * n + c, total.to(y.dtype.element_ty), mask=c < n)

    return kernel


def adam(tl: Any) -> Kernel:
    """AdamW with BF16 moments, FP32 master weight and gradient, and the BF16 weight written."""

    def kernel(p: "Any", g: "Any", m: "Any", v: "Any", low: "Any", count: "Any", WIDTH: "constexpr") -> None:
        i = tl.program_id(0).to(tl.int64) * WIDTH + tl.arange(0, WIDTH)
        inside = i < count
        grad = tl.load(g + i, mask=inside, other=0.0)
        first = 0.9 * tl.load(m + i, mask=inside, other=0.0).to(tl.float32) + 0.1 * grad
        second = 0.95 * tl.load(v + i, mask=inside, other=0.0).to(tl.float32) + 0.05 * grad * grad
        old = tl.load(p + i, mask=inside, other=0.0)
        new = old - 1e-3 * (first / (tl.sqrt(second) + 1e-8) + 0.1 * old)
        tl.store(m + i, first.to(m.dtype.element_ty), mask=inside)
        tl.store(v + i, second.to(v.dtype.element_ty), mask=inside)
        tl.store(p + i, new, mask=inside)
        tl.store(low + i, new.to(low.dtype.element_ty), mask=inside)

    return kernel


def transpose(tl: Any) -> Kernel:
    """out[c, r] = x[index[r], c] for bytes, in square tiles; without an index when INDEXED is 0."""

    def kernel(
        x: "Any", index: "Any", out: "Any", m: "Any", n: "Any", INDEXED: "constexpr", TILE: "constexpr"
    ) -> None:
        r = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
        c = tl.program_id(1).to(tl.int64) * TILE + tl.arange(0, TILE)
        inside = (r < m)[:, None] & (c < n)[None, :]
        source = r
        if INDEXED:
            source = tl.load(index + r, mask=r < m, other=0).to(tl.int64)
        tile = tl.load(x + source[:, None] * n + c[None, :], mask=inside, other=0)
        tl.store(out + c[:, None] * m + r[None, :], tl.trans(tile), mask=tl.trans(inside))

    return kernel


def quant_transpose(tl: Any) -> Kernel:
    """FP8 of the transpose, with a scale for 128 rows of each column: what a weight gradient reads."""

    def kernel(x: "Any", q: "Any", s: "Any", m: "Any", n: "Any", TILE: "constexpr") -> None:
        block = tl.program_id(0).to(tl.int64)
        r = block * 128 + tl.arange(0, 128)
        c = tl.program_id(1).to(tl.int64) * TILE + tl.arange(0, TILE)
        inside = (r < m)[:, None] & (c < n)[None, :]
        v = tl.load(x + r[:, None] * n + c[None, :], mask=inside, other=0.0).to(tl.float32)
        scale = tl.maximum(tl.max(tl.abs(v), axis=0), 1e-12) / 448.0
        tl.store(s + c * tl.cdiv(m, 128) + block, scale, mask=c < n)
        tile = tl.trans((v / scale[None, :]).to(q.dtype.element_ty))
        tl.store(q + c[:, None] * m + r[None, :], tile, mask=tl.trans(inside))

    return kernel
