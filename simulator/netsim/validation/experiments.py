"""What netsim runs to reproduce a published number: one function an experiment, from a row's `where` to its value.

A function takes the rows of a file and returns their simulated values in order, in the rows' units; None for a row that
cannot be run where netsim is installed. Adding an experiment is one function, one entry of `EXPERIMENTS` and one TOML
in reports/published. The compute side is in `experiments_compute`, serving in `experiments_inference`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from netsim import units
from netsim.analysis import collisions
from netsim.collectives.exchange import Kind, Tokens, exchange
from netsim.collectives.sweep import Row, Setup, sweep
from netsim.cost.bill import network_cost
from netsim.errors import NetsimError
from netsim.specs import HardwareSpec, TopologySpec, WorkloadSpec, load
from netsim.specs.prices import PriceBook
from netsim.specs.protocol import ProtocolSpec
from netsim.topologies import build, latency_us, max_gpus, slim_fly, summary
from netsim.validation import (
    experiments_compute,
    experiments_inference,
    experiments_kernels,
    experiments_packets,
    experiments_steps,
    row_published,
)

Where = Mapping[str, Any]
Experiment = Callable[[Sequence[Where]], Sequence[float | None]]

#: q = 28 is no prime power, so this Slim Fly does not exist: it is counted by formula
_SLIM_FLY_Q = 28
#: fabrics that the paper does not fill: Dragonfly with 511 of 513 groups
_PUBLISHED_GPUS = {"dragonfly": 261_632}
_NORMAL_TOKENS, _LOW_LATENCY_TOKENS = 4096, 128


@lru_cache(maxsize=32)
def setup(fabric: str, gpus: int, protocol: str = "nccl") -> Setup:
    """A fabric preset of H800 hosts with a collective library."""
    spec = load(TopologySpec, "topology", fabric)
    topology = build(spec, load(HardwareSpec, "hardware", "h800"), gpus)
    return Setup(topology, load(ProtocolSpec, "protocol", protocol), spec.routing)


def all_to_all(where: Sequence[Where]) -> list[float]:
    """NCCL all-to-all: algbw in GB/s, time in us (16 GPUs), or the ratio of the fabrics' times."""
    return [_all_to_all(w) for w in where]


def _all_to_all(where: Where) -> float:
    gpus, size = int(where["gpus"]), where["size"]
    size_bytes = int(units.size(str(size)))
    if where["fabric"] == "both":
        return _row("mrft", gpus, size_bytes).time_us / _row("mpft", gpus, size_bytes).time_us
    row = _row(where["fabric"], gpus, size_bytes)
    return row.time_us if isinstance(size, int) else row.algbw_GBps


def _row(fabric: str, gpus: int, size_bytes: int) -> Row:
    return sweep(setup(fabric, gpus), "all_to_all", [range(gpus)], [size_bytes])[0]


def all_to_all_ratio(where: Sequence[Where]) -> list[float]:
    """NIC rate of an all-to-all over the NIC's line rate."""
    rows = [_row("mrft", int(w["gpus"]), int(w["size"])) for w in where]
    line = setup("mrft", 16).topology.hardware.nic.line_rate
    return [row.wire_GBps * 1e9 / line for row in rows]


def expert_exchange(where: Sequence[Where]) -> list[float]:
    """DeepEP kernels: logical GB/s in normal mode, us in low-latency mode."""
    return [_exchange(w) for w in where]


def _exchange(where: Where) -> float:
    kernel: Kind = "dispatch" if where["kernel"] == "dispatch" else "combine"
    model = load(WorkloadSpec, "workload", "deepseek-v3").model
    normal = where["mode"] == "normal"
    tokens = Tokens(model.experts, model.hidden, _NORMAL_TOKENS if normal else _LOW_LATENCY_TOKENS)
    gpus = int(where["gpus"])
    row = exchange(setup(where["fabric"], gpus, "deepep"), kernel, gpus, tokens, where["mode"])
    return row.logical_GBps if normal else row.time_us


def routing_collisions(where: Sequence[Where]) -> list[float]:
    """Figure 8: algbw in GB/s, mean over groups and seeds, and ECMP over adaptive."""
    seeds = range(collisions.SEEDS)
    found = {
        (tp, r): collisions.outcome(tp, r, seeds).mean for tp in collisions.TP for r in collisions.ROUTINGS
    }
    return [
        found[w["tp"], "ecmp"] / found[w["tp"], "adaptive"]
        if w["routing"] == "ratio"
        else found[w["tp"], w["routing"]]
        for w in where
    ]


def latency(where: Sequence[Where]) -> list[float]:
    """64 B between GPUs, us."""
    presets = {"infiniband": "mpft", "roce": "ft2_roce", "nvlink": "mpft"}
    found = []
    for w in where:
        value = latency_us(setup(presets[w["layer"]], 2048).topology)[w["path"]]
        if value is None:
            raise NetsimError(f"{w['layer']}: no two GPUs are placed {w['path']}")
        found.append(value)
    return found


def parts(where: Sequence[Where]) -> list[float]:
    """Counts of a full fabric, and its cost in M$ or k$ an endpoint at the published prices."""
    return [_counted(w["fabric"])[w["quantity"]] for w in where]


@lru_cache(maxsize=8)
def _counted(fabric: str) -> dict[str, float]:
    if fabric == "slim_fly":
        book = load(PriceBook, "prices", "published")
        endpoints, switches, links = slim_fly.counts(_SLIM_FLY_Q)
        usd = (
            switches * book.switch.price
            + links * book.switch_link.price
            + endpoints * book.endpoint_link.price
        )
        return _priced(endpoints, switches, links, usd)
    spec, hardware = load(TopologySpec, "topology", fabric), load(HardwareSpec, "hardware", "h800")
    topology = build(spec, hardware, _PUBLISHED_GPUS.get(fabric) or max_gpus(spec, hardware))
    counts = summary(topology)
    usd = network_cost(topology, load(PriceBook, "prices", "published"))["network_usd"]
    return _priced(counts["endpoints"], counts["switches"], counts["switch_links"], usd)


def _priced(endpoints: int, switches: int, links: int, usd: float) -> dict[str, float]:
    return {
        "endpoints": float(endpoints),
        "switches": float(switches),
        "links": float(links),
        "cost": usd / 1e6,
        "cost_per_endpoint": usd / endpoints / 1e3,
    }


#: name in a published file -> what runs
EXPERIMENTS: dict[str, Experiment] = {
    "all_to_all": all_to_all,
    "all_to_all_ratio": all_to_all_ratio,
    "expert_exchange": expert_exchange,
    "held_out_operators": experiments_compute.held_out_operators,
    "inference_bound": experiments_inference.inference_bound,
    "kernel_tables": experiments_kernels.kernel_tables,
    "latency": latency,
    "measured_steps": experiments_steps.measured_steps,
    "model_size": experiments_compute.model_size,
    "packets": experiments_packets.packets,
    "parts": parts,
    "production": experiments_inference.production,
    "routing_collisions": routing_collisions,
    "speculative_speedup": experiments_inference.speculative_speedup,
    "trace_pair": experiments_compute.trace_pair,
    "training_step": experiments_compute.training_step,
    "training_throughput": experiments_compute.training_throughput,
    row_published.EXPERIMENT: row_published.training_steps,
}
