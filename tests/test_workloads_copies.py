"""An embedding that two pipeline ranks hold: who needs a copy, what it weighs, and what its gradient costs."""

from collections import Counter
from typing import Any

import pytest

from netsim.specs.case import Case, make_case
from netsim.training.result import collective_statistics
from netsim.training.simulate import simulate
from netsim.workloads.graph import Division
from netsim.workloads.memory import Memory, memory_by_rank
from netsim.workloads.plan import make_plan
from netsim.workloads.stages import job_order, job_stages, shared_stages
from netsim.workloads.tasks import TaskGraph, build_tasks

#: of DeepSeek-V3
WORDS, H = 129_280, 7168
SMALL = {"model.layers": 13, "parallelism.pipeline": 4, "parallelism.expert": 8, "batch.microbatches": 8}


def case(schedule: str, workload: str = "deepseek-v3", **more: Any) -> Case:
    keys = {key.replace("__", "."): value for key, value in more.items()}
    return make_case(workload=workload, schedule=schedule, overrides=SMALL | keys)


def stages(made: Case) -> tuple[tuple[str, ...], ...]:
    return job_stages(made.workload, job_order(made.workload, make_plan(made.workload, 32)))


def graph(made: Case) -> TaskGraph:
    plan = make_plan(made.workload, 32)
    order = job_order(made.workload, plan)
    return build_tasks(order, job_stages(made.workload, order), Division.of(plan, made.workload))


def memory(made: Case) -> list[Memory]:
    plan = make_plan(made.workload, 32)
    order = job_order(made.workload, plan)
    return memory_by_rank(made.workload, plan, order, job_stages(made.workload, order), 4.0)


@pytest.mark.parametrize("schedule", ["1f1b", "interleaved", "zb1p"])
def test_the_last_rank_needs_a_copy_where_the_first_is_another(schedule: str) -> None:
    made = case(schedule)
    assert Counter(kind for stage in stages(made) for kind in stage)["embedding_copy"] == 1
    assert "embedding_copy" in stages(made)[-1]
    alone = case(schedule, model__mtp_depth=0)
    assert not any("embedding_copy" in stage for stage in stages(alone))
    names = Counter((w.name, w.stage, w.step) for w in (graph(made).works[n] for n in graph(made).work))
    last = len(stages(made)) - 1
    assert names["send_embedding", 0, 3] == names["send_embedding", last, -3] == 1


@pytest.mark.parametrize("schedule", ["dualpipe", "dualpipe_v"])
def test_dualpipe_holds_both_ends_on_the_same_ranks(schedule: str) -> None:
    made = case(schedule)
    assert not any("embedding_copy" in stage for stage in stages(made))
    assert not any(work.name == "send_embedding" for work in graph(made).works)


def test_what_a_copy_weighs() -> None:
    made = case("1f1b")
    last = memory(made)[-1]
    # the same rank with the copy taken away by hand: BF16 weights, FP32 gradients, 8 bytes of optimizer over 8 ranks
    plan, words = make_plan(made.workload, 32), WORDS * H
    order = job_order(made.workload, plan)
    without = tuple(tuple(kind for kind in stage if kind != "embedding_copy") for stage in stages(made))
    bare = memory_by_rank(made.workload, plan, order, without, 4.0)[-1]
    assert last.parameters - bare.parameters == pytest.approx(2 * words)
    assert last.gradients - bare.gradients == pytest.approx(4 * words)
    assert last.optimizer - bare.optimizer == pytest.approx(8 * words / 8)
    assert 2 * words + 4 * words == pytest.approx(5.56e9, rel=0.001)


def test_the_exchange_moves_the_whole_gradient_both_ways() -> None:
    made = case("1f1b")
    found = {c.kind: c for c in collective_statistics(simulate(made, 32))}["send_embedding"]
    # from the first pipeline rank and from the last
    assert found.count == 2
    assert found.wire_bytes_per_gpu == pytest.approx(4.0 * WORDS * H)
    nic = made.hardware.nic
    alone = 4.0 * WORDS * H / (nic.line_rate * nic.goodput_fraction)
    assert alone < found.mean_s < 3 * alone  # beside the reduction of other gradients


def test_a_tied_head_is_one_matrix_on_one_rank_and_two_on_two() -> None:
    keys = {"parallelism.tensor": 1, "parallelism.expert": 1, "model.layers": 8, "model.dense_layers": 8}
    one = {**keys, "parallelism.pipeline": 1}
    words = 152_064 * 8192

    def worst(tied: bool, more: dict[str, Any]) -> Memory:
        made = make_case(
            workload="qwen2.5-72b", schedule="1f1b", overrides=more | {"model.tied_embeddings": tied}
        )
        plan = make_plan(made.workload, 32)
        order = job_order(made.workload, plan)
        return memory_by_rank(made.workload, plan, order, job_stages(made.workload, order), 1.0)[-1]

    assert worst(False, one).parameters - worst(True, one).parameters == pytest.approx(2 * words)
    two = {**keys, "parallelism.pipeline": 2}
    assert worst(False, two).parameters == worst(True, two).parameters
    tied = make_case(workload="qwen2.5-72b", schedule="1f1b", overrides=two | {"model.tied_embeddings": True})
    order = job_order(tied.workload, make_plan(tied.workload, 32))
    assert shared_stages(job_stages(tied.workload, order), order, tied=True) == (0, 1)
    assert shared_stages(job_stages(tied.workload, order), order, tied=False) is None
