"""Every transfer and the end of the step from the numbers in the TOMLs, by hand, where nothing else is on the wire.

Two jobs of one micro-batch in 1F1B order, so that no transfer meets another: one pipeline rank of two expert-parallel
groups (gradients of experts have a copy to reduce with), and two pipeline ranks of one group (sends).
"""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from netsim.specs import catalog
from netsim.specs.case import make_case
from netsim.topologies import build
from netsim.training.exchanges import make_library, norm_s
from netsim.training.result import collective_statistics, phases
from netsim.training.simulate import simulate
from netsim.units import parse

TOKENS, HIDDEN, TOP_K = 4096, 7168, 8
#: bytes of a token: FP8 values, a 4-byte scale per 128 of them, 16 bytes of source, 8 of index and weight an expert
DISPATCH = 7168 + 56 * 4 + 16 + 8 * 8
CACHED = 7168 + 56 * 4 + 16
#: BF16 values, 16 bytes of source, 4 of weight an expert
COMBINE = 2 * 7168 + 16 + 4 * 8
#: bytes/s that large messages reach: 0.896 of 400 Gb/s, and the 160 GB/s of NVLink
NIC, NVLINK = 0.896 * 50e9, 160e9
#: a leaf: 2.35 us + one switch; over NVLink
LEAF, SCALE_UP = 2.80e-6, 3.33e-6


def toml(kind: str, name: str) -> dict[str, Any]:
    return tomllib.loads(catalog.find(kind, name).read_text("utf-8"))


KERNELS = toml("profile", "h800")["transfers"]
#: of NCCL, in seconds: each table of the ring by protocol, the tree under its low-latency protocol
RING = {
    name: {protocol: parse(value, "seconds") for protocol, value in table.items()}
    for name, table in toml("protocol", "nccl")["ring"].items()
    if name != "fill"
}
TREE = {
    name: parse(table["low_latency"], "seconds")
    for name, table in toml("protocol", "nccl")["tree"].items()
    if name != "fill"
}


@pytest.fixture(scope="module")
def one_stage() -> Any:
    job = {"parallelism.pipeline": 1, "schedule.name": "1f1b", "batch.microbatches": 1}
    return simulate(make_case(overrides=job), 128)


@pytest.fixture(scope="module")
def two_stages() -> Any:
    job = {"parallelism.pipeline": 2, "schedule.name": "1f1b", "batch.microbatches": 1}
    return simulate(make_case(overrides=job), 128)


def rows(step: Any) -> dict[str, Any]:
    return {row.kind: row for row in collective_statistics(step)}


@pytest.mark.parametrize(
    ("kind", "token"),
    [
        ("dispatch", DISPATCH),
        ("cached_dispatch", CACHED),
        ("combine", COMBINE),
        ("combine_backward", COMBINE),
    ],
)
def test_an_expert_exchange_alone(one_stage: Any, kind: str, token: int) -> None:
    row, kernel = rows(one_stage)[kind], KERNELS[kind]
    # one micro-batch, two groups of 64 ranks, 58 MoE layers and the one of the MTP module
    assert row.count == 2 * 59
    # a token visits nearly 4 of 8 hosts, so 7/8 of that over the NIC
    hosts = one_stage.routing.hosts
    assert 3.9 < hosts < 4
    wire = TOKENS * token * hosts * 7 / 8
    assert row.wire_bytes_per_gpu == pytest.approx(wire, rel=1e-12)
    assert row.logical_bytes_per_gpu == pytest.approx(TOKENS * token * hosts, rel=1e-12)
    # alone: what runs before it, the longest idle path, the sender's kernel (slower than NIC and NVLink)
    setup = sum(parse(step.get("alone", step["overlapped"]), "seconds") for step in kernel.get("prework", []))
    rate = parse(kernel["alone"], "bytes/s")
    nvlink_s = TOKENS * token * one_stage.routing.devices / NVLINK
    assert rate < NIC
    assert wire / rate > nvlink_s
    assert row.mean_s == pytest.approx(setup + max(LEAF, SCALE_UP) + wire / rate, rel=1e-9)
    assert row.p99_s == pytest.approx(row.mean_s, rel=1e-9)
    assert (row.bottleneck, row.mean_overlapped_s) == ("kernel", None)


def test_what_runs_before_a_dispatch_is_not_free() -> None:
    # 74 us of layout and 45 us of counts for a dispatch, 52 us of casting before a cached one, nothing for combines
    setup = {
        kind: sum(parse(step["alone"], "seconds") for step in kernel.get("prework", []))
        for kind, kernel in KERNELS.items()
    }
    assert setup == pytest.approx(
        {"dispatch": 119e-6, "cached_dispatch": 52e-6, "combine": 0.0, "combine_backward": 0.0}
    )


def test_beside_compute_a_kernel_moves_what_was_measured_there(one_stage: Any) -> None:
    for kind, kernel in KERNELS.items():
        beside = parse(kernel["beside_compute"], "bytes/s")
        assert one_stage.timing.model.transfer_rate(kind, True) == beside < parse(kernel["alone"], "bytes/s")


@pytest.mark.parametrize("kind", ["send_forward", "send_backward"])
def test_a_send_alone(two_stages: Any, kind: str) -> None:
    row = rows(two_stages)[kind]
    # BF16 activations of a micro-batch to one peer, hosts of both stages under one leaf: launch, path and one message
    assert (row.count, row.bottleneck) == (1, "kernel")
    assert row.wire_bytes_per_gpu == TOKENS * HIDDEN * 2
    message = toml("protocol", "nccl")["message"]
    fixed = RING["base"]["simple"] + LEAF + parse(message["per_peer"], "seconds")
    moving = TOKENS * HIDDEN * 2 / (message["connection"] * NIC)
    assert row.mean_s == pytest.approx(fixed + moving, rel=1e-9)


def gradients(model: dict[str, Any]) -> tuple[float, float]:
    """Parameters that every rank holds a copy of, and of routed experts on one of 64 ranks."""
    h, a, moe = model["hidden"], model["attention"], model["moe"]
    heads, query = a["heads"], a["nope_dim"] + a["rope_dim"]
    attention = h * a["q_rank"] + a["q_rank"] * heads * query + h * (a["kv_rank"] + a["rope_dim"])
    attention += a["kv_rank"] * heads * (a["nope_dim"] + a["v_dim"]) + heads * a["v_dim"] * h
    attention += 2 * h + a["q_rank"] + a["kv_rank"]  # norms
    expert, gate = 3 * h * moe["width"], moe["experts"] * (h + 1)
    table = model["vocabulary"] * h
    dense = 3 * (attention + 3 * h * model["dense_width"]) + 59 * (attention + gate + expert)
    # embedding, head with its norm, MTP projection and norms
    dense += table + (table + h) + (2 * h * h + 3 * h)
    return dense, 59 * 256 / 64 * expert


def test_gradients_by_hand(one_stage: Any) -> None:
    dense, expert = gradients(toml("workload", "deepseek-v3")["model"])
    found = rows(one_stage)
    for kind, each in (("reduce_scatter", 4), ("all_gather", 2)):  # FP32 gradients, BF16 parameters
        # 16 hosts: an eighth of the dense ones around each of 8 rings of 128, half of the experts to the other copy
        wire = each * (dense / 8 * 127 / 128 + expert / 2)
        row = found[kind]
        assert (row.count, row.bottleneck) == (1, "nic")
        assert row.wire_bytes_per_gpu == pytest.approx(wire, rel=1e-12)
        # the long ring's 127 steps, of which 15 leave a host
        fixed = (
            RING["base"]["simple"] + 112 * RING["local_step"]["simple"] + 15 * RING["remote_step"]["simple"]
        )
        assert row.mean_s == pytest.approx(fixed + wire / NIC, rel=1e-9)


def test_the_end_of_the_step_by_hand(one_stage: Any) -> None:
    dense, expert = gradients(toml("workload", "deepseek-v3")["model"])
    profile, found = toml("profile", "h800"), rows(one_stage)
    # ZeRO-1: a rank updates its share of what 128 ranks hold alike, and of experts that 2 do
    own = dense / 128 + expert / 2
    hbm, gap = 3.35e12, parse(profile["gap"], "seconds")
    update, norm = (profile["classes"][kind] for kind in ("optimizer", "elementwise"))
    # one pass over 22 bytes a parameter, one over its FP32 gradient for the norm, a gap after each
    compute = 22 * own / (hbm * update["hbm_efficiency"]) + parse(update["call"], "seconds") + gap
    compute += 4 * own / (hbm * norm["hbm_efficiency"]) + parse(norm["call"], "seconds") + gap
    # the norm: one number up and down a tree of 4 levels over 16 hosts of one leaf, and chains of 8 GPUs
    tree = TREE["base"] + 2 * (7 * TREE["local_step"] + 4 * TREE["remote_step"])
    opt = found["reduce_scatter"].mean_s + tree + compute + found["all_gather"].mean_s
    assert phases(one_stage).mean_s["opt"] == pytest.approx(opt, rel=1e-6)


@pytest.mark.parametrize(("name", "switches"), [("rail_only", 1), ("ft2", 3), ("ft3", 5)])
def test_the_gradient_norm_climbs_as_many_tiers_as_there_are(name: str, switches: int) -> None:
    case = make_case(name)
    # 256 hosts: a tree of 8 levels, each over as many switches as the farthest leaf is away; chains of 8 GPUs
    topology = build(case.topology, case.hardware, 2048)
    hop = TREE["remote_step"] + (switches - 1) * 0.45e-6
    expected = TREE["base"] + 2 * (7 * TREE["local_step"] + 8 * hop)
    assert norm_s(make_library(case, topology), topology, 2048) == pytest.approx(expected)
