"""Kernels that move rows for the experts: gather, combine, transposes, gate and sort.

Rows are drawn as routing makes them: each token appears `_REPEATS` times among the gathered rows, in the
order of a random expert.
"""

from __future__ import annotations

from typing import Any

from netsim.measure import triton_rows
from netsim.measure.device import Built, Gpu
from netsim.measure.shapes import Shape

_REPEATS = 8
#: the gate of DeepSeek-V3: best two of each group, four groups of eight
_GATE_GROUPS, _GATE_LIMIT = 8, 4
_BF16 = 5e-3


def _bytes(gpu: Gpu, m: int, n: int) -> Any:
    return gpu.torch.randint(0, 256, (m, n), generator=gpu.random, device=gpu.device, dtype=gpu.torch.uint8)


def _token_rows(gpu: Gpu, rows: int) -> tuple[int, Any]:
    """How many tokens, and which token each row is of."""
    tokens = max(1, rows // _REPEATS)
    order = gpu.torch.argsort(gpu.normal(rows, dtype=gpu.torch.float32))
    return tokens, (order % tokens).to(gpu.torch.int32)


def _same_bytes(gpu: Gpu, out: Any, run: Any, pick: Any) -> float:
    """0 when the sampled rows are what `pick(rows)` says, 1 when not."""
    out.fill_(171)
    run()
    rows = gpu.sample(len(out))
    return 0.0 if gpu.torch.equal(out[rows], pick(rows)) else 1.0


def permute_gather(gpu: Gpu, shape: Shape) -> Built:
    """FP8 rows of tokens in the order of their experts."""
    (m, n), kernel = (shape.m, shape.n), gpu.jit(triton_rows.gather)
    tokens, index = _token_rows(gpu, m)
    x = _bytes(gpu, tokens, n)
    y = gpu.torch.empty(m, n, dtype=x.dtype, device=gpu.device)
    # four bytes an element, for wide accesses
    words, source, target = n // 4, x.view(gpu.torch.int32), y.view(gpu.torch.int32)
    width = min(2048, 1 << (words - 1).bit_length())

    def run() -> None:
        kernel[(m, -(-words // width))](source, index, target, words, WIDTH=width, num_warps=4)

    return Built(run, lambda: _same_bytes(gpu, y, run, lambda rows: x[index[rows].long()]), 0.0)


def combine_topk(gpu: Gpu, shape: Shape) -> Built:
    """Each token's k expert rows, weighted and summed."""
    (m, n, k), kernel, torch = (shape.m, shape.n, shape.k), gpu.jit(triton_rows.combine), gpu.torch
    x, w = gpu.normal(m * k, n), torch.rand(m, k, generator=gpu.random, device=gpu.device)
    index = torch.argsort(gpu.normal(m * k, dtype=torch.float32)).view(m, k).to(torch.int32)
    y, width = torch.empty(m, n, dtype=x.dtype, device=gpu.device), min(1024, 1 << (n - 1).bit_length())

    def run() -> None:
        kernel[(m, -(-n // width))](x, index, w, y, n, K=k, WIDTH=width, num_warps=4)

    def error() -> float:
        y.fill_(float("nan"))
        run()
        rows = gpu.sample(m)
        return gpu.relative_error(y[rows], (x[index[rows].long()].float() * w[rows][:, :, None]).sum(1))

    return Built(run, error, _BF16)


def transpose_fp8(gpu: Gpu, shape: Shape) -> Built:
    """Bytes of a weight transposed."""
    return _transpose(gpu, shape, None)


def gather_transpose(gpu: Gpu, shape: Shape) -> Built:
    """Rows of tokens gathered and transposed, as the weight gradient of an expert reads them."""
    return _transpose(gpu, shape, _token_rows(gpu, shape.m))


def _transpose(gpu: Gpu, shape: Shape, routed: tuple[int, Any] | None) -> Built:
    (m, n), kernel = (shape.m, shape.n), gpu.jit(triton_rows.transpose)
    tokens, index = routed or (m, gpu.torch.arange(m, device=gpu.device, dtype=gpu.torch.int32))
    x = _bytes(gpu, tokens, n)
    out = gpu.torch.empty(n, m, dtype=x.dtype, device=gpu.device)

    def run() -> None:
        grid = (-(-m // 128), -(-n // 128))
        kernel[grid](x, index, out, m, n, INDEXED=int(routed is not None), TILE=128, num_warps=8)

    return Built(
        run, lambda: _same_bytes(gpu, out, run, lambda columns: x[:, columns].t()[:, index.long()]), 0.0
    )


def topk_gate(gpu: Gpu, shape: Shape) -> Built:
    """The gate of DeepSeek-V3 in eager torch: sigmoid, bias, best groups, best experts, their weights."""
    torch, (m, n, k) = gpu.torch, (shape.m, shape.n, shape.k)
    logits, bias = gpu.normal(m, n, dtype=torch.float32), gpu.normal(n, dtype=torch.float32) * 0.01
    # without groups a model has one
    groups = _GATE_GROUPS if n % _GATE_GROUPS == 0 and k <= n * _GATE_LIMIT // _GATE_GROUPS else 1

    def run() -> Any:
        return _gate(torch, logits, bias, groups, k)

    def error() -> float:
        rows = gpu.sample(m)
        chosen, weight = _gate(torch, logits[rows].double().cpu(), bias.double().cpu(), groups, k)
        result, result_weight = run()
        same = torch.equal(result[rows].cpu().sort(1).values, chosen.sort(1).values)
        return (
            gpu.relative_error(result_weight[rows].cpu().sort(1).values, weight.sort(1).values)
            if same
            else 1.0
        )

    return Built(run, error, 1e-4)


def _gate(torch: Any, logits: Any, bias: Any, groups: int, k: int) -> tuple[Any, Any]:
    scores = logits.sigmoid()
    biased = (scores + bias).view(len(logits), groups, -1)
    if groups > 1:
        best = biased.topk(2, dim=-1).values.sum(-1).topk(min(_GATE_LIMIT, groups), dim=-1).indices
        closed = torch.ones_like(biased[..., 0], dtype=torch.bool).scatter_(1, best, False)
        biased = biased.masked_fill(closed[..., None], float("-inf"))
    chosen = biased.flatten(1).topk(k, dim=-1).indices
    weight = scores.gather(1, chosen)
    return chosen, weight / weight.sum(-1, keepdim=True)


def sort_by_expert(gpu: Gpu, shape: Shape) -> Built:
    """Rows ordered by the expert they go to."""
    expert = gpu.integers(shape.n, shape.m).to(gpu.torch.int32)

    def error() -> float:
        values, order = gpu.torch.sort(expert)
        wrong = (values.diff() < 0).sum() + (expert[order] != values).sum()
        return float(wrong)

    return Built(lambda: gpu.torch.sort(expert), error, 0.0)
