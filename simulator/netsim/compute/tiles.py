"""Matrix products and attention: tiles of the output, dealt to SMs in waves.

A product of m x n over a depth k is cut into tiles of a x b. With a share of SMs, each wave takes

    overhead + ceil(k / 128) step + 2 a b k (1 + uneven) / (efficiency x peak of an SM)

where `uneven` counts for a tile width that straddles blocks of 128 scales, and overhead and step are cycles.
The tile that a library really picks matters, and each class says how it does:

* `fewest_waves`: fewest waves, then the fullest last wave, then the smaller of two tiles that share a side
  (DeepGEMM's rule, which this repeats; a class of one tile has no choice).
* `near_best`: a library with a heuristic over many tiles, and splits of the depth whose partial sums go
  through memory: half way (geometric mean) between the best and the second best of them.

Causal attention: a block of a queries meets the keys before it in blocks of b; blocks are dealt to all SMs,
and `tail` of the longest one is left uncovered at the end.

Source: NVIDIA, "Matrix multiplication background", on tile and wave quantisation; DeepGEMM at 2.1.1,
csrc/jit_kernels/heuristics/common.hpp.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from netsim.specs.profile import ClassModel
from netsim.workloads.operators import Operator

SCALE_BLOCK = 128
FP32_BYTES = 4.0


class Speed(NamedTuple):
    """How fast a device runs a class: operations a second of one SM, SMs, bytes a second, and how many times
    longer its cycles are than where the class was measured."""

    sm_flops_per_s: float
    sms: int
    bytes_per_s: float
    stretch: float = 1.0


class Product(NamedTuple):
    """`copies` products of m x n over depth k in one launch."""

    m: int
    n: int
    k: float
    copies: int = 1


def product_of(op: Operator) -> Product:
    """The product behind an operator of a GEMM class."""
    if op.kind.startswith("grouped_wgrad"):
        rows, m, n, groups = op.shape
        return Product(m, n, rows / groups, groups)
    m, n, k, *_ = op.shape
    return Product(m, n, float(k))


def product_s(op: Operator, model: ClassModel, speed: Speed, memory_s: float) -> float:
    """Seconds of a matrix product, which is never faster than its memory traffic."""
    if not model.tiles:
        return max(_smooth_s(op, model, speed), memory_s)
    product = product_of(op)
    if model.pick == "fewest_waves":
        tile = fewest_waves(product, model.tiles, speed.sms)
        return max(waves_s(product, tile, 1, model, speed), memory_s)
    times = sorted(
        max(waves_s(product, tile, split, model, speed), memory_s) + _split_s(product, split, model, speed)
        for tile in model.tiles
        for split in model.splits
    )
    return math.sqrt(times[0] * times[min(1, len(times) - 1)])


def _smooth_s(op: Operator, model: ClassModel, speed: Speed) -> float:
    """All SMs at the class's efficiency: what is left where no tile is known."""
    return op.flops / op.calls / ((model.efficiency or 1.0) * speed.sm_flops_per_s * speed.sms)


def fewest_waves(product: Product, tiles: tuple[tuple[int, ...], ...], sms: int) -> tuple[int, ...]:
    """The tile that DeepGEMM's rule picks among candidates, which are tried in their order.

    >>> fewest_waves(Product(4096, 7168, 1536), ((128, 128), (128, 192), (256, 128)), 132)
    (256, 128)
    """
    best, waves, last = tiles[0], *_waves(product, tiles[0], sms)
    for tile in tiles[1:]:
        its_waves, its_last = _waves(product, tile, sms)
        if its_waves < waves or (
            its_waves == waves and (its_last > last or (its_last == last and _simpler(product, tile, best)))
        ):
            best, waves, last = tile, its_waves, its_last
    return best


def _waves(product: Product, tile: tuple[int, ...], sms: int) -> tuple[int, int]:
    """(waves, tiles in the last of them)."""
    count = product.copies * math.ceil(product.m / tile[0]) * math.ceil(product.n / tile[1])
    return math.ceil(count / sms), count % sms or sms


def _simpler(product: Product, tile: tuple[int, ...], best: tuple[int, ...]) -> bool:
    rows, columns = tile
    if rows == best[0] or columns == best[1]:
        return columns < best[1] or rows < best[0]
    return columns > best[1] and product.n % columns == 0 and product.m % rows == 0


def waves_s(product: Product, tile: tuple[int, ...], split: int, model: ClassModel, speed: Speed) -> float:
    """Seconds of all waves of a tile, with the depth cut into `split` parts."""
    rows, columns = tile
    tiles = product.copies * math.ceil(product.m / rows) * math.ceil(product.n / columns) * split
    depth = product.k / split
    ragged = columns % 64 and 64 % columns
    products = 2.0 * rows * columns * depth / ((model.efficiency or 1.0) * speed.sm_flops_per_s)
    steps = math.ceil(depth / SCALE_BLOCK) * model.step
    tile_s = (model.tile_overhead + steps) * speed.stretch + products * (
        1.0 + (model.uneven if ragged else 0.0)
    )
    return math.ceil(tiles / speed.sms) * tile_s


def _split_s(product: Product, split: int, model: ClassModel, speed: Speed) -> float:
    """A second launch that adds the partial sums, written and read in FP32."""
    if split == 1:
        return 0.0
    moved = 2.0 * split * product.copies * product.m * product.n * FP32_BYTES
    return model.call + moved / (model.hbm_efficiency * speed.bytes_per_s)


def attention_s(op: Operator, model: ClassModel, speed: Speed) -> float:
    """Seconds of causal attention in the tensor cores."""
    if not model.tiles:
        return _smooth_s(op, model, speed)
    sequences, heads, length, *_ = op.shape
    queries, keys = model.tiles[0]
    pair_flops = op.context * op.flops / op.calls / (sequences * heads * length**2 / 2)
    pair_s = pair_flops * queries * keys / ((model.efficiency or 1.0) * speed.sm_flops_per_s)
    overhead = model.tile_overhead * speed.stretch
    blocks = math.ceil(length / queries)
    met = sum(math.ceil(min((i + 1) * queries, length) / keys) for i in range(blocks))
    work = sequences * heads * (blocks * overhead + met * pair_s) / op.context
    return work / speed.sms + model.tail * (overhead + math.ceil(length / keys) * pair_s)
