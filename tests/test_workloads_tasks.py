"""The task graph of a step: how many of everything, and who waits for whom."""

from collections import Counter

import pytest

from netsim.specs import WorkloadSpec, load
from netsim.workloads.again import Again
from netsim.workloads.schedules import SCHEDULES, dualpipe, schedule
from netsim.workloads.stages import split_layers
from netsim.workloads.tasks import (
    COMMUNICATION,
    COMPUTE,
    EXPERT_TRANSFERS,
    GRADIENT,
    Division,
    TaskGraph,
    build_tasks,
)

MODEL = load(WorkloadSpec, "workload", "deepseek-v3").model


@pytest.fixture(scope="module")
def deepseek() -> TaskGraph:
    return build_tasks(dualpipe(16, 120), split_layers(MODEL, 16))


def test_counts_of_a_deepseek_v3_pipeline(deepseek: TaskGraph) -> None:
    names = Counter(deepseek.works[w].name for w in deepseek.work)
    # 58 MoE layers and the one of the multi-token-prediction module, 120 micro-batches
    assert all(names[kind] == 59 * 120 for kind in EXPERT_TRANSFERS)
    # 15 boundaries, each crossed once forward and once backward by every micro-batch
    assert names["send_forward"] == names["send_backward"] == 15 * 120
    # 16 stages, each held by two ranks; two updates a rank
    assert names["reduce_scatter"] == names["all_gather"] == names["optimizer"] == 32
    assert names["grad_norm"] == 16
    blocks = Counter((w.name, w.block, w.phase) for w in (deepseek.works[i] for i in deepseek.work))
    for phase in "FBW":
        assert blocks["moe", "attn", phase] == blocks["moe", "mlp", phase] == 59 * 120
        assert blocks["dense", "attn", phase] == 3 * 120
        assert blocks["head", "head", phase] == 2 * 120
    assert blocks["embedding", "embedding", "F"] == blocks["embedding", "embedding", "W"] == 120
    assert ("embedding", "embedding", "B") not in blocks


def test_an_overlapped_pair_interleaves_as_in_the_public_trace(deepseek: TaskGraph) -> None:
    # rank 3 holds only MoE layers: four of them forward, four backward
    chunk = next(
        c for c, t in zip(deepseek.chunk, range(len(deepseek)), strict=True)
        if deepseek.rank[t] == 3 and deepseek.chunks[c].phase == "1F1B"
    )  # fmt: skip
    tasks = [t for t in range(len(deepseek)) if deepseek.chunk[t] == chunk]

    def queue(number: int) -> list[str]:
        works = [deepseek.works[deepseek.work[t]] for t in tasks if deepseek.queue[t] == number]
        return [f"{w.block}({w.phase})" if number == COMPUTE else w.name for w in works]

    layer = ["attn(F)", "mlp(B)", "mlp(W)", "mlp(F)", "attn(B)", "attn(W)"]
    assert queue(COMPUTE) == layer * 4
    exchanges = ["cached_dispatch", "dispatch", "combine_backward", "combine"]
    assert queue(COMMUNICATION) == exchanges * 4 + ["send_forward", "send_backward"]


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("ranks", [2, 4])
def test_graph_has_no_cycle(name: str, ranks: int) -> None:
    order = schedule(name, ranks, 2 * ranks)
    assert_no_cycle(build_tasks(order, split_layers(MODEL, order.stages)))


def assert_no_cycle(graph: TaskGraph) -> None:
    done, heads = [False] * len(graph), {}
    queues: dict[tuple[int, int], list[int]] = {}
    for task, key in enumerate(zip(graph.rank, graph.queue, strict=True)):
        queues.setdefault(key, []).append(task)
    moved = True
    while moved:
        moved = False
        for key, tasks in queues.items():
            at = heads.setdefault(key, 0)
            while at < len(tasks) and all(done[w] for w in graph.waits[tasks[at]]):
                done[tasks[at]] = moved = True
                at += 1
            heads[key] = at
    assert all(done)


def test_compute_waits_for_its_own_inputs_only(deepseek: TaskGraph) -> None:
    works = [deepseek.works[w] for w in deepseek.work]
    for task, waits in enumerate(deepseek.waits):
        if works[task].phase == "W":
            assert not waits  # the input gradient before it in the queue needed the same
        if works[task][:3] == ("moe", "attn", "F"):
            # an exchange of the layer before, or what arrives from the stage before: one micro-batch all along
            assert {deepseek.microbatch[w] for w in waits} <= {deepseek.microbatch[task]}


def test_gradient_queue_reduces_before_it_gathers(deepseek: TaskGraph) -> None:
    mine = [t for t in range(len(deepseek)) if deepseek.rank[t] == 5 and deepseek.queue[t] == GRADIENT]
    names = [deepseek.works[deepseek.work[t]].name for t in mine]
    assert names == ["reduce_scatter", "reduce_scatter", "grad_norm", "all_gather", "all_gather"]


def test_sends_go_where_the_next_stage_is() -> None:
    routes = {name: build_tasks(schedule(name, 4, 8), split_layers(MODEL, stages)).routes for name, stages in
              (("1f1b", 4), ("dualpipe", 4), ("dualpipe_v", 8), ("interleaved", 8))}  # fmt: skip
    neighbours = [(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 2)]
    assert routes["1f1b"] == routes["dualpipe"] == routes["dualpipe_v"] == neighbours
    # the last rank's first virtual stage feeds the first rank's second
    assert routes["interleaved"] == sorted([*neighbours, (3, 0), (0, 3)])


def test_the_bottom_of_the_v_sends_nothing() -> None:
    # rank 3 of 4 holds the stages 3 and 4: each of 8 micro-batches is sent in and out, not from one to the other
    graph = build_tasks(schedule("dualpipe_v", 4, 8), split_layers(MODEL, 8))
    names = Counter(graph.works[w].name for w, rank in zip(graph.work, graph.rank, strict=True) if rank == 3)
    assert names["send_forward"] == names["send_backward"] == 8


def blocks_written(again: tuple[str, ...]) -> Counter[tuple[str, str, str]]:
    order = schedule("1f1b", 4, 8)
    graph = build_tasks(order, split_layers(MODEL, 4), Division(tensor=True, again=Again(again)))
    works = (graph.works[number] for number in graph.work)
    return Counter((w.name, w.block, w.phase) for w in works)


def test_whole_layers_computed_again_repeat_their_blocks_and_exchanges() -> None:
    plain, full = blocks_written(()), blocks_written(("layer",))
    for kind, block in (("moe", "attn"), ("moe", "mlp"), ("dense", "attn"), ("dense", "mlp")):
        assert full[kind, block, "F"] == 2 * plain[kind, block, "F"]
        assert full[kind, block, "B"] == plain[kind, block, "B"]
    for name in ("dispatch", "combine"):
        assert full[name, "", "F"] == 2 * plain[name, "", "F"]
    assert full["tensor_gather", "attn", "F"] == 2 * plain["tensor_gather", "attn", "F"]
    for end in ("embedding", "head"):
        assert full[end, end, "F"] == plain[end, end, "F"]


def test_experts_or_dense_ffn_alone_are_computed_again() -> None:
    plain, moe, mlp = blocks_written(()), blocks_written(("moe",)), blocks_written(("mlp",))
    assert moe["moe", "mlp", "F"] == 2 * plain["moe", "mlp", "F"]
    assert moe["dispatch", "", "F"] == 2 * plain["dispatch", "", "F"]
    assert moe["moe", "attn", "F"] == plain["moe", "attn", "F"]
    assert moe["dense", "mlp", "F"] == plain["dense", "mlp", "F"]
    assert mlp["dense", "mlp", "F"] == 2 * plain["dense", "mlp", "F"]
    assert mlp["moe", "mlp", "F"] == plain["moe", "mlp", "F"]


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_graph_with_whole_layers_again_has_no_cycle(name: str) -> None:
    order = schedule(name, 4, 8)
    assert_no_cycle(
        build_tasks(
            order, split_layers(MODEL, order.stages), Division(True, True, 3, again=Again(("layer",)))
        )
    )
