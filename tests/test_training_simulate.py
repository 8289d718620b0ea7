"""A step end to end: contract, identities, symmetry, and closed forms on idle fabrics."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from netsim.collectives import expert_exchange
from netsim.execution.executor import Program, Transfer, execute
from netsim.network.flows import FlowTable
from netsim.network.fluid import FluidNetwork
from netsim.reports.timeline import timeline
from netsim.routing import paths
from netsim.specs.case import Case, make_case
from netsim.topologies import build
from netsim.training.result import collective_statistics, phases, spine_bytes, step_time_s
from netsim.training.simulate import simulate
from netsim.training.step_record import contract
from netsim.training.tables import links_table, tasks_table
from netsim.workloads.moe import routing_statistics

#: two pipeline ranks of two expert-parallel groups each, few micro-batches
SMALL = {"parallelism.pipeline": 2, "batch.microbatches": 4}


def small(topology: str = "mpft", **more: Any) -> Case:
    return make_case(topology, overrides=SMALL | more)


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    return contract(simulate(make_case("mpft"), 2048))


def test_contract_of_the_published_cluster(published: dict[str, Any]) -> None:
    top, work, step = published["topology"], published["workload"], published["step"]
    assert {"name", "family", "gpus", "endpoints", "planes", "tiers", "switches", "switch_links",
            "oversubscription"} <= top.keys()  # fmt: skip
    assert (top["switches"], top["switch_links"], top["planes"]) == (96, 2048, 8)
    assert (work["stages"], work["microbatches_per_pipeline"]) == (16, 120)
    assert work["tokens_per_step"] == 62_914_560
    assert set(step["phases_s"]) == {"1F", "1B", "1W", "1F1B", "bubble", "opt"}
    assert min(step["phases_s"].values()) > 0
    assert 15 < step["time_s"] < 25
    assert {"kind", "count", "mean_ms", "p99_ms", "wire_bytes_per_gpu", "wire_GBps", "logical_GBps",
            "bottleneck"} <= published["collectives"][0].keys()  # fmt: skip
    assert {"same_leaf", "cross_leaf", "worst"} <= published["latency_us"].keys()
    assert {"price_book", "network_usd", "usd_per_endpoint", "switch_usd", "cable_usd", "nic_usd",
            "power_kw"} <= published["cost"].keys()  # fmt: skip
    assert {"version", "seed", "spec_sha256", "compute_profile", "evidence"} <= published["provenance"].keys()
    json.dumps(published, allow_nan=False)


def test_rates_follow_from_time_by_hand(published: dict[str, Any]) -> None:
    step = published["step"]
    tokens_per_s = 62_914_560 / step["time_s"]
    assert step["tokens_per_day"] == pytest.approx(tokens_per_s * 86_400)
    # table 2 of arXiv 2505.09343: about 250 GFLOP a token, causal, training
    assert step["tflops_per_gpu_causal"] == pytest.approx(250e9 * tokens_per_s / 2048 / 1e12, rel=0.005)
    assert step["mfu_causal"] == pytest.approx(step["tflops_per_gpu_causal"] / 989)
    assert step["gpu_hours_per_trillion_tokens"] == pytest.approx(2048 * 1e12 / tokens_per_s / 3600)


def test_all_exchanges_of_the_step_are_there(published: dict[str, Any]) -> None:
    # 59 MoE layers (one in the multi-token-prediction module) x 120 micro-batches x 2 groups a stage
    counts = {row["kind"]: row["count"] for row in published["collectives"]}
    assert (
        sum(counts[k] for k in ("dispatch", "cached_dispatch", "combine", "combine_backward")) == 4 * 59 * 240
    )
    assert counts["send_forward"] == 15 * 120 * 2


def test_phases_of_a_rank_add_up_to_the_step(published: dict[str, Any]) -> None:
    assert sum(published["step"]["phases_s"].values()) == pytest.approx(
        published["step"]["time_s"], rel=1e-12
    )


def test_multi_rail_equals_multi_plane_and_three_layers_need_160_switches(published: dict[str, Any]) -> None:
    rail, three = (contract(simulate(make_case(name), 2048)) for name in ("mrft", "ft3"))
    assert rail["step"]["time_s"] == pytest.approx(published["step"]["time_s"], rel=0.005)
    assert rail["topology"]["switches"] == 96
    assert three["topology"]["switches"] == 160


@pytest.mark.parametrize("hosts", [1, 2, 4, 8])
def test_an_idle_dispatch_takes_its_closed_form_time(hosts: int) -> None:
    case, gpus = make_case("mpft"), 8 * hosts
    fabric = build(case.topology, case.hardware, gpus)
    routing = routing_statistics(case.workload.model.moe, gpus, 8)
    flows = expert_exchange(np.arange(gpus), 8, routing)
    routed = paths(fabric, "adaptive", flows.source, flows.target, 0)
    table = FlowTable(
        link_ptr=routed.ptr, link_ids=routed.link_ids, link_share=routed.share,
        batch_ptr=np.array([0, len(flows)]), unit_share=flows.share, rate_cap=np.full(len(flows), np.inf),
        weight=np.ones(len(flows)),
    )  # fmt: skip
    size, latency = 4096 * 7472.0, float(routed.latency_s.max())
    program = Program(
        actor=np.zeros(1, int), queue=np.ones(1, int), seconds=np.full(1, np.nan), transfer=np.zeros(1, int),
        wait_ptr=np.zeros(2, int), wait_ids=np.zeros(0, int), joint_size=[],
        transfers=[Transfer(0, size, np.inf, latency)],
    )  # fmt: skip
    done = execute(program, FluidNetwork(routed.capacity, table))
    # each GPU: `remote_hosts` copies a token at 44.8 GB/s over the NIC, `devices` copies at 160 GB/s over NVLink
    nic, nvlink = size * routing.remote_hosts / 44.8e9, size * routing.devices / 160e9
    assert done.end_s[0] == pytest.approx(max(nic, nvlink) + latency, rel=1e-9)


def test_same_seed_same_bits_and_tables_are_tidy() -> None:
    first, again = (simulate(small(), 256, seed=3) for _ in range(2))
    assert contract(first) == contract(again)
    tasks, links = tasks_table(first), links_table(first)
    assert len(tasks) == len(first.program)
    assert (tasks["end_ms"] >= tasks["start_ms"]).all()
    for (_, _), queue in tasks.groupby(["group_class", "queue"], observed=True):
        assert (queue["start_ms"].to_numpy()[1:] >= queue["end_ms"].to_numpy()[:-1]).all()
    assert (links["mean_load"] <= 1 + 1e-9).all()


def test_bytes_on_the_nics_are_those_of_the_model() -> None:
    step = simulate(small(), 256, folded=False)
    links = links_table(step)
    sent = links[links["kind"] == "port_tx"]["carried_bytes"].sum()
    tasks = tasks_table(step)
    expert_and_sends = tasks[tasks["queue"] == "communication"]["wire_bytes_per_gpu"].sum() * 64
    # gradients, per stage: dense ones by eight rings over all 256 GPUs, experts over the 4 holders, FP32 and BF16
    gradients = 0.0
    for held in step.timing.held:
        ranks, copies = 256, 4
        dense = held.dense / 8 * (ranks - 1) / ranks
        gradients += 256 * (dense + held.expert * (copies - 1) / copies) * (4 + 2)
    assert sent == pytest.approx(expert_and_sends + gradients, rel=1e-9)


@pytest.mark.parametrize("routing", ["adaptive", "ecmp", "static"])
@pytest.mark.parametrize("topology", ["mpft", "ft3"])
def test_folded_equals_unfolded(topology: str, routing: str) -> None:
    # leaves of 8 hosts, so that sends and gradients climb to the spines, where routing matters
    case = small(topology, **{"topology.routing": routing, "switch.radix": 16})
    folded, plain = (simulate(case, 256, folded=fold) for fold in (True, False))
    assert step_time_s(folded) == pytest.approx(step_time_s(plain), rel=1e-9)
    assert phases(folded).exposed_s == pytest.approx(phases(plain).exposed_s, rel=1e-9)
    assert folded.traffic.table.n_flows < plain.traffic.table.n_flows / 2
    spread = simulate(small(topology, **{"switch.radix": 16}), 256)
    # collisions of hashed flows slow the step and tell the stage groups apart; a table without collisions does neither
    assert (step_time_s(folded) > 1.2 * step_time_s(spread)) is (routing == "ecmp")
    assert (len(folded.traffic.multiplicity) > len(spread.traffic.multiplicity)) is (routing == "ecmp")


def test_a_degraded_link_slows_the_step_and_folds_exactly() -> None:
    case, whole = small(), simulate(small(), 256)
    port = int(np.flatnonzero(whole.topology.link_kind == 4)[9])  # the NIC of GPU 9, outwards
    folded, plain = (simulate(case, 256, folded=fold, degraded={port: 0.25}) for fold in (True, False))
    assert step_time_s(folded) == pytest.approx(step_time_s(plain), rel=1e-9)
    assert step_time_s(folded) > step_time_s(whole)
    assert len(whole.traffic.multiplicity) < len(folded.traffic.multiplicity) <= 4


def test_one_pipeline_rank_runs_without_sends() -> None:
    case = make_case(overrides={"parallelism.pipeline": 1, "schedule.name": "1f1b", "batch.microbatches": 2})
    result = contract(simulate(case, 64))
    assert {row["kind"] for row in result["collectives"]} == {
        "dispatch", "cached_dispatch", "combine", "combine_backward", "reduce_scatter", "all_gather",
    }  # fmt: skip
    # dense parameters of all layers are replicated over 64 ranks; experts have no copies to reduce with
    assert result["step"]["phases_s"]["1F1B"] == 0
    assert result["step"]["phases_s"]["bubble"] == pytest.approx(0, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("routing", "degraded"), [("adaptive", False), ("ecmp", False), ("adaptive", True)])
def test_folded_equals_unfolded_at_1024_gpus(routing: str, degraded: bool) -> None:
    case = make_case(overrides={"topology.routing": routing})
    fabric = build(case.topology, case.hardware, 1024)
    # one cable between a leaf and a spine at a tenth of its rate
    bad = {int(np.flatnonzero(fabric.link_kind == 6)[3]): 0.1} if degraded else {}
    folded, plain = (simulate(case, 1024, folded=fold, degraded=bad) for fold in (True, False))
    assert step_time_s(folded) == pytest.approx(step_time_s(plain), rel=1e-9)


#: one micro-batch on a host together, experts over two hosts
DIVIDED = {"parallelism.tensor": 4, "parallelism.context": 2, "parallelism.expert": 16}


@pytest.mark.parametrize("zero", [0, 3])
def test_folded_equals_unfolded_with_tensor_context_and_zero(zero: int) -> None:
    # rings are alike everywhere; the quickest all-reduce over two hosts is a tree, whose nodes are not
    case = small(**DIVIDED, **{"parallelism.zero": zero, "communication.all_reduce": "ring"})
    folded, plain = (simulate(case, 128, folded=fold) for fold in (True, False))
    assert step_time_s(folded) == pytest.approx(step_time_s(plain), rel=1e-9)
    assert phases(folded).exposed_s == pytest.approx(phases(plain).exposed_s, rel=1e-9)
    assert len(folded.traffic.multiplicity) < len(plain.traffic.multiplicity)


def test_an_idle_tensor_gather_takes_its_closed_form_time() -> None:
    # one stage, one micro-batch at a time: nothing else on NVLink while a block's input is gathered
    case = make_case(overrides={
        "parallelism.pipeline": 1, "parallelism.tensor": 8, "parallelism.expert": 8, "schedule.name": "1f1b",
        "batch.microbatches": 2,
    })  # fmt: skip
    step = simulate(case, 8)
    tasks = tasks_table(step)
    mine = tasks[(tasks["name"] == "tensor_gather") & (tasks["block"] == "mlp") & (tasks["pass"] == "F")]
    assert len(mine) == 3 * 2
    # seven eighths of 4,096 tokens of 7,168 BF16 values at 160 GB/s, the own eighth copied, the fill of the pipeline;
    # launch and seven steps of NCCL's simple protocol
    size = 4096 * 7168 * 2
    moving = 7 / 8 * size / 160e9 + size / 8 / 1339e9 + 77e-6 * size / (size + 43.5e6)
    expected = moving + 8.4e-6 + 7 * 3.4e-6
    np.testing.assert_allclose(mine["duration_ms"], expected * 1e3, rtol=1e-9)


def test_spreading_a_group_moves_its_tokens_over_the_spine() -> None:
    # 8 groups of 4 hosts on leaves of 4 hosts' ports
    fabric = {"switch.radix": 8, "parallelism.expert": 32, "parallelism.pipeline": 2, "batch.microbatches": 4}
    loads = {}
    for policy in ("contiguous", "spread"):
        step = simulate(make_case("mpft", overrides=fabric | {"placement.policy": policy}), 256)
        loads[policy] = spine_bytes(step)
    assert loads["contiguous"] > 0
    assert loads["spread"] > 1.5 * loads["contiguous"]


def test_communication_sms_come_off_matrix_products_and_are_said() -> None:
    base = simulate(small(), 256)
    more = simulate(small(**{"communication.sms": 24}), 256)
    assert step_time_s(more) > step_time_s(base)
    (work,) = [
        w for w in base.timing.blocks if (w.name, w.block, w.phase, w.overlapped) == ("moe", "mlp", "F", True)
    ]
    # 112 SMs before, 108 after: never more than in proportion
    ratio = more.timing.blocks[work].seconds / base.timing.blocks[work].seconds
    assert 1.0 < ratio < 112 / 108 + 0.05
    assert any("communication.sms = 24" in line for line in contract(more)["warnings"])
    assert contract(more)["provenance"]["compute_origin"]["extrapolated"] > 0.9


def test_training_cost_is_gpu_hours_times_their_rent(published: dict[str, Any]) -> None:
    cost, step = published["step"]["cost"], published["step"]
    assert cost["gpu_hour_usd"] == 2.0
    hour = 2048 * 2.0 + cost["network_usd_per_hour"]
    assert cost["usd_per_step"] == pytest.approx(hour * step["time_s"] / 3600)
    hours = step["gpu_hours_per_trillion_tokens"] / 2048
    assert cost["usd_per_trillion_tokens"] == pytest.approx(hour * hours)
    dear = make_case(gpu_hour_usd=3.5)
    assert (dear.prices.gpu_hour.price, dear.prices.gpu_hour.source) == (3.5, "--gpu-hour-usd")


def test_most_expert_traffic_stays_below_the_spine(published: dict[str, Any]) -> None:
    placed = published["placement"]
    assert (placed["policy"], placed["hosts_per_stage_group"]) == ("contiguous", 8)
    assert 0 < placed["spine_share"] < 0.1


@pytest.mark.parametrize("zero", [1, 3])
def test_one_stage_accumulates_many_microbatches(zero: int) -> None:
    more = {"parallelism.pipeline": 1, "schedule.name": "1f1b", "parallelism.zero": zero}
    few, many = (simulate(make_case(overrides=more | {"batch.microbatches": count}), 64) for count in (2, 6))
    idle = phases(many).mean_s["bubble"]
    # under stage 3 a chunk's first layers, among them embedding or head, are gathered behind next to nothing
    assert idle == pytest.approx(0, abs=1e-9) if zero == 1 else 0 < idle < 0.05 * step_time_s(many)
    # the end of the step is paid once, so four micro-batches more cost four more
    each = (phases(many).mean_s["1F"] + phases(many).mean_s["1B"] + idle) / 6
    assert step_time_s(many) - step_time_s(few) == pytest.approx(4 * each, rel=0.02)
    reduced = [c.count for c in collective_statistics(many) if c.kind == "reduce_scatter"]
    # once at the end, or for each of 66 layers (61, head, embedding, MTP's projection, layer and head) a micro-batch
    assert reduced == [1 if zero == 1 else 66 * 6]


def test_zero_moves_the_bytes_of_its_stage() -> None:
    def sent(zero: int) -> dict[str, float]:
        case = make_case(overrides={
            "parallelism.pipeline": 2, "batch.microbatches": 4, "schedule.name": "1f1b", "parallelism.zero": zero,
        })  # fmt: skip
        step = simulate(case, 256)
        return {c.kind: c.count * c.wire_bytes_per_gpu for c in collective_statistics(step)}

    none, one, two, three = (sent(zero) for zero in range(4))
    # an all-reduce is a reduce-scatter and a gather of gradients, FP32; parameters are gathered in BF16
    assert none["all_reduce"] == pytest.approx(2 * one["reduce_scatter"])
    assert one["all_gather"] == pytest.approx(one["reduce_scatter"] / 2)
    # once for each of four micro-batches; heads share their parameters, but each gradient is reduced
    assert two["reduce_scatter"] == pytest.approx(4 * one["reduce_scatter"], rel=0.02)
    assert two["reduce_scatter"] > 4 * one["reduce_scatter"]
    assert three["reduce_scatter"] == pytest.approx(two["reduce_scatter"])
    assert three["parameter_gather"] == pytest.approx(
        two["reduce_scatter"], rel=0.05
    )  # twice, at half the bytes
    assert "all_gather" not in three


def test_a_run_with_every_exchange_has_its_timeline_and_tables() -> None:
    step = simulate(small(**DIVIDED, **{"parallelism.zero": 3}), 128)
    kinds = set(tasks_table(step)["name"])
    assert {
        "tensor_gather",
        "tensor_scatter",
        "context_gather",
        "context_scatter",
        "parameter_gather",
    } <= kinds
    assert set(tasks_table(step)["queue"]) == {"compute", "communication", "gradient", "parameter"}
    assert sum(phases(step).mean_s.values()) == pytest.approx(step_time_s(step), rel=1e-12)
    assert len(timeline(step)) > 10_000
