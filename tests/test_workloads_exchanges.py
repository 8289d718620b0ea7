"""Tensor, context and ZeRO exchanges: what the task graph asks for, and its bytes in closed form."""

from collections import Counter

import pytest

from netsim.errors import SpecError
from netsim.specs import WorkloadSpec
from netsim.specs.case import make_case
from netsim.workloads.exchanges import context_bytes, tensor_bytes
from netsim.workloads.holding import StageParameters, layer_holding, own_share, stage_holding
from netsim.workloads.model import layer_parameters
from netsim.workloads.plan import Plan, make_plan
from netsim.workloads.schedules import SCHEDULES, schedule
from netsim.workloads.stages import split_layers
from netsim.workloads.tasks import (
    COMMUNICATION,
    COMPUTE,
    GRADIENT,
    PARAMETER,
    Division,
    TaskGraph,
    build_tasks,
)

#: grouped-query attention and a dense FFN, eight layers
HEADS = {
    "model.attention": {"kind": "gqa", "heads": 64, "kv_heads": 8, "head_dim": 128},
    "model.hidden": 8192,
    "model.layers": 8,
    "model.dense_layers": 8,
    "model.mtp_depth": 0,
    "parallelism.expert": 1,
}


def job(**more: object) -> WorkloadSpec:
    return make_case(overrides={key.replace("__", "."): value for key, value in more.items()}).workload


def dense_job(**more: object) -> WorkloadSpec:
    spec = job(**{key.replace(".", "__"): value for key, value in HEADS.items()}, **more)
    return spec.model_copy(update={"model": spec.model.model_copy(update={"moe": None})})


def graph_of(
    spec: WorkloadSpec, ranks: int, microbatches: int, division: Division, name: str = "1f1b"
) -> TaskGraph:
    order = schedule(name, ranks, microbatches)
    return build_tasks(order, split_layers(spec.model, order.stages), division)


def counts(graph: TaskGraph) -> Counter[tuple[str, str, str]]:
    works = (graph.works[w] for w in graph.work)
    return Counter((w.name, w.block, w.phase) for w in works)


def test_a_dense_layer_gathers_and_scatters_four_times_each_way_and_twice_more_for_weights() -> None:
    # Korthikanti et al. 2022: forward 2 all-gathers and 2 reduce-scatters a layer, backward the same, and each
    # column-parallel product gathers its input again
    found = counts(graph_of(dense_job(), 1, 3, Division(tensor=True)))
    for block in ("attn", "mlp"):
        for phase in "FB":
            assert found["tensor_gather", block, phase] == found["tensor_scatter", block, phase] == 8 * 3
        assert found["tensor_gather", block, "W"] == 8 * 3
    assert found["tensor_scatter", "embedding", "F"] == found["tensor_gather", "embedding", "W"] == 3
    assert found["tensor_gather", "head", "F"] == found["tensor_scatter", "head", "B"] == 3


def test_experts_are_whole_so_moe_blocks_gather_nothing() -> None:
    found = counts(graph_of(job(), 4, 8, Division(tensor=True)))
    assert found["tensor_gather", "mlp", "F"] == 3 * 8  # the three dense layers alone
    assert found["tensor_gather", "attn", "F"] == 62 * 8


def test_bytes_of_tensor_exchanges_are_tokens_by_width() -> None:
    spec = dense_job(parallelism__tensor=8, parallelism__context=2, parallelism__pipeline=1)
    plan = make_plan(spec, 64)
    # 4,096 tokens, half of them the context share, 8,192 wide in BF16
    for name, block, phase in (("tensor_gather", "attn", "F"), ("tensor_scatter", "mlp", "B")):
        assert tensor_bytes(spec.model, plan, name, block, phase) == 2048 * 8192 * 2
    mla = job(parallelism__tensor=8)
    plan = make_plan(mla, 2048)
    assert tensor_bytes(mla.model, plan, "tensor_gather", "attn", "F") == 4096 * (1536 + 512 + 64) * 2
    assert tensor_bytes(mla.model, plan, "tensor_scatter", "attn", "F") == 4096 * 7168 * 2
    assert tensor_bytes(mla.model, plan, "tensor_gather", "attn", "B") == 4096 * 7168 * 2
    # the gradient of what was gathered goes back, and the latents come once more for the weight gradient
    assert tensor_bytes(mla.model, plan, "tensor_scatter", "attn", "B") == 4096 * (1536 + 512 + 64) * 2
    assert tensor_bytes(mla.model, plan, "tensor_gather", "attn", "W") == 4096 * (1536 + 512 + 64) * 2


def test_bytes_of_context_exchanges_are_keys_and_values_of_the_ranks_heads() -> None:
    spec = dense_job(parallelism__tensor=4, parallelism__context=2, parallelism__pipeline=1)
    # 8 heads of keys and of values over 4 ranks, 128 wide, BF16
    assert context_bytes(spec.model, make_plan(spec, 64)) == 2 * 4096 * 2 * 128 * 2
    # multi-head latent attention: a key of 128 + 64 and a value of 128 values for each of 128 / 8 heads
    latent = job(parallelism__tensor=8, parallelism__context=2)
    assert context_bytes(latent.model, make_plan(latent, 2048)) == 2 * 4096 * 16 * (128 + 64 + 128)
    found = counts(graph_of(spec, 1, 1, Division(context=True)))
    assert found["context_gather", "attn", "F"] == found["context_gather", "attn", "B"] == 8
    assert found["context_scatter", "attn", "B"] == 8


def test_zero_stages_move_gradients_and_parameters_as_often_as_they_say() -> None:
    spec, micro = dense_job(), 3
    layers = 8 + 2  # embedding and head
    none, one, two, three = (counts(graph_of(spec, 1, micro, Division(zero=z))) for z in range(4))
    assert (none["all_reduce", "", ""], none["all_gather", "", ""]) == (1, 0)
    assert (one["reduce_scatter", "", ""], one["all_gather", "", ""]) == (1, 1)
    for found in (two, three):
        reduced = {kind: found["reduce_scatter", kind, "W"] for kind in ("dense", "embedding", "head")}
        assert reduced == {"dense": 8 * micro, "embedding": micro, "head": micro}
    assert (two["all_gather", "", ""], three["all_gather", "", ""]) == (1, 0)
    gathers = sum(n for (name, _, _), n in three.items() if name == "parameter_gather")
    assert gathers == (2 * layers - 1) * micro  # the embedding has no input gradient


def test_parameters_are_gathered_one_layer_ahead() -> None:
    graph = graph_of(dense_job(), 1, 2, Division(zero=3))
    gathers = [t for t in range(len(graph)) if graph.queue[t] == PARAMETER]
    for n, gather in enumerate(gathers):
        users = [t for t in range(len(graph)) if gather in graph.waits[t]]
        assert users
        assert {graph.queue[t] for t in users} == {COMPUTE}
        assert {graph.layer[t] for t in users} == {graph.layer[gather]}
        if n >= 2:
            (before,) = graph.waits[gather]
            assert graph.queue[before] == COMPUTE
            assert before < gather


@pytest.mark.parametrize("zero", [2, 3])
@pytest.mark.parametrize("name", SCHEDULES)
def test_graphs_with_every_exchange_have_no_cycle(name: str, zero: int) -> None:
    graph = graph_of(job(), 4, 8, Division(tensor=True, context=True, zero=zero), name)
    queues: dict[tuple[int, int], list[int]] = {}
    for task, key in enumerate(zip(graph.rank, graph.queue, strict=True)):
        queues.setdefault(key, []).append(task)
    done, heads, moved = [False] * len(graph), dict.fromkeys(queues, 0), True
    while moved:
        moved = False
        for key, tasks in queues.items():
            while heads[key] < len(tasks) and all(done[w] for w in graph.waits[tasks[heads[key]]]):
                done[tasks[heads[key]]] = moved = True
                heads[key] += 1
    assert all(done)
    # ranks that hold a stage meet in the same order: else their joint transfers would wait for each other for ever
    for queue in (GRADIENT, PARAMETER):
        sequences: dict[int, set[tuple[object, ...]]] = {}
        for rank in range(4):
            for stage in {graph.stage[t] for t in queues.get((rank, queue), [])} - {-1}:
                mine = tuple(graph.work[t] for t in queues[rank, queue] if graph.stage[t] == stage)
                sequences.setdefault(stage, set()).add(mine)
        assert all(len(each) == 1 for each in sequences.values())


def test_a_weight_gradient_waits_for_its_input_beside_the_input_gradient() -> None:
    graph = graph_of(dense_job(), 1, 1, Division(tensor=True))
    for task, work in ((t, graph.works[w]) for t, w in enumerate(graph.work)):
        if work.name == "dense" and work.phase == "W":
            (again,) = graph.waits[task]
            assert graph.works[graph.work[again]][:3] == ("tensor_gather", work.block, "W")
            assert graph.queue[again] == COMMUNICATION
            # queued before the input gradient's scatter, so the two gradients' needs overlap
            scatter = next(
                t for t in range(again, len(graph)) if graph.works[graph.work[t]].name == "tensor_scatter"
            )
            assert again < scatter


@pytest.mark.parametrize(
    ("kind", "divides"), [("dense", True), ("moe", True), ("head", True), ("mtp_in", False)]
)
def test_holdings_of_all_ranks_add_up_to_the_layer(kind: str, divides: bool) -> None:
    model = job().model
    plan = Plan(2048, 16, 64, 16, 2, 120, 4096, 4096, tensor=8)
    held, whole = layer_holding(model, kind, plan), layer_parameters(model, kind)  # type: ignore[arg-type]
    assert held.dense + 8 * held.divided == pytest.approx(whole.dense)
    assert held.expert * 64 == whole.expert
    assert (held.divided > 0) == divides
    # own shares of all ranks of the stage, whoever holds what, are the layer
    assert own_share(held, plan, 2) * 2 * 2 * 64 == pytest.approx(whole.total)


def test_stage_holding_counts_a_shared_head_once() -> None:
    model, plan = job().model, make_plan(job(), 2048)
    one = stage_holding(model, ("moe", "head"), plan)
    assert stage_holding(model, ("moe", "head", "head"), plan) == one
    assert one.total == pytest.approx(one.dense + one.expert)
    assert StageParameters(1.0, 2.0, 3.0) + StageParameters(1.0, 1.0, 1.0) == StageParameters(2.0, 3.0, 4.0)


def test_plans_count_their_ranks() -> None:
    plan = make_plan(dense_job(parallelism__tensor=8, parallelism__context=2, parallelism__pipeline=4), 1024)
    assert (plan.group, plan.data, plan.groups, plan.own_tokens) == (16, 16, 16, 256)
    assert plan.describe() == "TP8 CP2 PP4 DP16"
    moe = make_plan(job(parallelism__tensor=4, parallelism__zero=3), 2048)
    assert (moe.group, moe.data, moe.groups) == (64, 32, 2)
    assert moe.describe() == "TP4 PP16 EP64 DP32 ZeRO-3"


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ({"parallelism__tensor": 3}, "parallelism.tensor = 3, must divide heads = 128"),
        ({"parallelism__tensor": 16, "parallelism__context": 3}, "must divide the sequence of 4096 tokens"),
        (
            {"parallelism__context": 8, "parallelism__tensor": 2, "parallelism__expert": 1,
             "parallelism__pipeline": 3},
            "must be a multiple of pipeline x tensor x context = 3 x 16 = 48; nearest: 2016 or 2064",
        ),
    ],
)  # fmt: skip
def test_plans_that_do_not_divide_say_so(overrides: dict[str, int], line: str) -> None:
    with pytest.raises(SpecError, match=line):
        make_plan(job(**overrides), 2048)


def test_experts_share_the_ranks_of_a_replica_evenly() -> None:
    small = job(parallelism__expert=2, parallelism__tensor=2, parallelism__context=2)
    assert make_plan(small, 2048).group == 4
    large = job(parallelism__tensor=2, parallelism__context=4)
    assert make_plan(large, 2048).group == 64
    with pytest.raises(SpecError, match="must be a multiple or a divisor of tensor x context = 16"):
        make_plan(job(parallelism__expert=24, parallelism__tensor=16, model__moe__experts=240), 2048)
