"""Expert routing: how many hosts and devices a token visits, and how many bytes that moves.

The `model` gate is DeepSeek-V3's: sigmoid affinities; a group of experts (those of one host in training) scores the
sum of its two best; the best `group_limit` groups stay; the token goes to the `top_k` best experts in them. The
`deepep` gate is that of DeepEP's own tests: the groups are the hosts, each scores its best expert, and the best four
stay. Distinct hosts and devices are counted once over sampled tokens with independent random affinities (balanced in
the mean). Where there is a closed form (`netsim.workloads.distinct`), the tests hold the sampling to it.

A token crosses the NIC once for each *other* host that it visits, to the GPU of the sender's index, and is
spread there over NVLink; the own host's devices are reached over NVLink directly. Copies to the arriving GPU itself
pass through the same forwarding buffers and count as NVLink bytes, as in DeepEP's convention.

Bytes of a token: a dispatch carries FP8 values with one 4-byte scale per 128 of them (or BF16, or LogFMT values of 8 or
10 bits with a least value and a step per 128 of them, 4 bytes each; their encoding is not timed), 16 bytes of source
metadata, and expert indices and weights (4 + 4 bytes per chosen expert); a cached dispatch leaves out the indices and
weights; a combine carries BF16, the metadata and the weights.

Left out here: skewed expert load, and the imbalance between ranks within one micro-batch (`expert_load`).

Sources: arXiv 2412.19437 section 2.1.2; LogFMT: arXiv 2505.09343, section 3.2; github.com/deepseek-ai/DeepEP (message
layout, tests/test_internode.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from netsim.specs.workload import MoeSpec

Gate = Literal["model", "deepep"]

SAMPLED_TOKENS = 8192
DEEPEP_HOST_LIMIT = 4
#: MXFP8 has a byte of scale for 32 values, NVFP4 for 16; what 128 values of FP8 have together is left out of storage
_VALUE_BYTES: dict[str, float] = {"nvfp4": 0.5 + 1 / 16, "mxfp8": 1 + 1 / 32, "fp8": 1, "bf16": 2, "fp32": 4}
#: bits of a value, and bytes that 128 of them have together
_WIRE = {
    "fp8": (8, 4), "mxfp8": (8, 4), "nvfp4": (4, 8), "bf16": (16, 0), "fp32": (32, 0), "logfmt8": (8, 8),
    "logfmt10": (10, 8),
}  # fmt: skip
_SCALE_BLOCK = 128
_SOURCE_BYTES = 16


@dataclass(frozen=True)
class RoutingStatistics:
    """Means per token, over the devices of one expert-parallel group spread over `group_hosts` hosts."""

    group_hosts: int
    hosts: float
    devices: float

    @property
    def remote_hosts(self) -> float:
        """Distinct hosts other than the token's own: by symmetry (N - 1)/N of all.

        >>> RoutingStatistics(8, 4.0, 7.5).remote_hosts
        3.5
        """
        return self.hosts * (self.group_hosts - 1) / self.group_hosts


@lru_cache(maxsize=64)
def routing_statistics(
    moe: MoeSpec | None,
    expert_parallel: int,
    gpus_per_host: int,
    seed: int = 0,
    tokens: int = SAMPLED_TOKENS,
    gate: Gate = "model",
) -> RoutingStatistics:
    """Distinct hosts and devices of a token under the actual gate, from sampled tokens; its own without experts."""
    if moe is None:
        return RoutingStatistics(1, 1.0, 1.0)
    group_hosts = max(1, -(-expert_parallel // gpus_per_host))
    gated = moe if gate == "model" else by_host(moe, group_hosts)
    chosen = choose_experts(gated, np.random.default_rng([seed, 0x6A7E]), tokens, gate)
    devices = chosen // (moe.experts // expert_parallel)
    hosts = devices // gpus_per_host
    return RoutingStatistics(group_hosts, _mean_distinct(hosts), _mean_distinct(devices))


def by_host(moe: MoeSpec, hosts: int) -> MoeSpec:
    """The experts with a group a host, of which a token visits at most four."""
    return moe.model_copy(update={"groups": hosts, "group_limit": min(DEEPEP_HOST_LIMIT, hosts)})


def choose_experts(
    moe: MoeSpec,
    rng: np.random.Generator,
    tokens: int,
    gate: Gate = "model",
    load: NDArray[np.float64] | None = None,
) -> NDArray[np.int64]:
    """The experts of each token, (tokens, top_k), by group-limited top-k over random affinities.

    load : (experts,) positive; an expert is chosen about in proportion (exactly so for the first choice without a
        group limit: Gumbel noise on its logarithm). Default: all alike.
    """
    shape = (tokens, moe.groups, moe.experts // moe.groups)
    if load is not None:
        # sigmoid of Gumbel noise plus log(load): Gumbel noise is -log of exponential noise, so both logarithms cancel
        affinity = 1.0 / (1.0 + rng.standard_exponential(shape) / (load / load.mean()).reshape(shape[1:]))
    elif gate == "deepep":
        affinity = np.abs(rng.standard_normal(shape)) + 1.0
    else:
        # the sigmoid is monotone, so it matters only for the sum of a group's two best
        affinity = 1.0 / (1.0 + np.exp(-rng.standard_normal(shape)))
    few = min(2, affinity.shape[2])
    best = np.partition(affinity, -few, axis=2)[:, :, -few:]
    of_group = best[:, :, 1] if gate == "deepep" else best.sum(axis=2)
    kept = np.argpartition(of_group, -moe.group_limit, axis=1)[:, -moe.group_limit :]
    allowed = np.zeros((tokens, moe.groups, 1), dtype=bool)
    np.put_along_axis(allowed[:, :, 0], kept, True, axis=1)
    masked = np.where(allowed, affinity, -1.0).reshape(tokens, moe.experts)
    return np.argpartition(masked, -moe.top_k, axis=1)[:, -moe.top_k :]


def _mean_distinct(places: NDArray[np.int64]) -> float:
    ordered = np.sort(places, axis=1)
    return float(1.0 + (np.diff(ordered, axis=1) != 0).sum(axis=1).mean())


def token_bytes(transfer: str, hidden: int, top_k: int, precision: str) -> float:
    """Bytes of one token in a `dispatch`, `cached_dispatch`, `combine` or `combine_backward`.

    >>> token_bytes("dispatch", 7168, 8, "fp8"), token_bytes("combine", 7168, 8, "bf16")
    (7472.0, 14384.0)
    """
    extra = {"dispatch": 8 * top_k, "cached_dispatch": 0, "combine": 4 * top_k, "combine_backward": 4 * top_k}
    return payload_bytes(hidden, precision) + _SOURCE_BYTES + extra[transfer]


def payload_bytes(hidden: int, precision: str) -> float:
    """Bytes of a token's values and of their scales.

    >>> payload_bytes(7168, "bf16"), payload_bytes(7168, "fp8"), payload_bytes(7168, "logfmt10")
    (14336.0, 7392.0, 9408.0)

    MXFP8 has as many bytes of scales as FP8 with an FP32 scale for 128 values:

    >>> payload_bytes(7168, "mxfp8"), payload_bytes(7168, "nvfp4")
    (7392.0, 4032.0)
    """
    bits, together = _WIRE[precision]
    return hidden * bits / 8 + hidden / _SCALE_BLOCK * together


def wire_value_bytes(precision: str) -> float:
    """Bytes of one value of a token on the wire, without its share of a scale."""
    return _WIRE[precision][0] / 8


def value_bytes(precision: str) -> float:
    """Bytes of one element, and its share of a microscale.

    >>> value_bytes("bf16"), value_bytes("mxfp8"), value_bytes("nvfp4")
    (2, 1.03125, 0.5625)
    """
    return _VALUE_BYTES[precision]
