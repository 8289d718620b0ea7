"""Memory of a rank against sums by hand, and what each choice changes."""

from typing import Any

import pytest

from netsim.specs.case import make_case
from netsim.workloads.memory import Memory, memory_by_rank
from netsim.workloads.plan import make_plan
from netsim.workloads.schedules import schedule
from netsim.workloads.stages import split_layers


def memory(gpus: int = 2048, **overrides: Any) -> list[Memory]:
    job = make_case(overrides={key.replace("__", "."): value for key, value in overrides.items()}).workload
    plan = make_plan(job, gpus)
    order = schedule(job.schedule.name, plan.pipeline, plan.microbatches)
    return memory_by_rank(job, plan, order, split_layers(job.model, order.stages), 7.5)


def worst(gpus: int = 2048, **overrides: Any) -> Memory:
    return max(memory(gpus, **overrides), key=lambda rank: rank.total)


def test_deepseek_v3_fits_and_one_stage_does_not() -> None:
    assert 50e9 < worst().total < 80e9
    alone = worst(64, parallelism__pipeline=1, schedule__name="1f1b")
    assert alone.total > 80e9
    assert alone.largest == "gradients"


def test_parts_of_a_middle_rank_by_hand() -> None:
    # a MoE layer: MLA 187.1 M + gate 1.8 M + shared expert 44.0 M = 233.0 M dense; 4 of 256 experts of 44.0 M
    dense, expert = 233.0e6, 4 * 44.04e6
    rank = memory()[5]
    # two stages of four layers, FP8 weights, FP32 gradients
    assert rank.parameters == pytest.approx(8 * (dense + expert), rel=0.001)
    assert rank.gradients == pytest.approx(8 * (dense + expert) * 4, rel=0.001)
    # FP32 master and two BF16 moments, dense over 2 x 128 ranks, experts over their 4 copies
    assert rank.optimizer == pytest.approx(8 * (dense / 256 + expert / 4) * 8, rel=0.001)


def test_activations_of_a_layer_by_hand() -> None:
    # t = 4096, h = 7168: two residuals 2 t h x 2; latents 2 t (1536 + 512 + 64); attention output 12 bits and
    # log-sum-exp 4 B; SwiGLU inputs (t + 8 t) 4096; received 7.5 t h
    t, h = 4096, 7168
    layer = 4 * t * h + 2 * t * 2112 + t * 128 * (128 * 1.5 + 4) + 9 * t * 4096 + 7.5 * t * h
    rank = memory(schedule__name="1f1b")[14]  # 1F1B: ranks - rank = 2 micro-batches in flight
    assert rank.in_flight == 2
    assert rank.activations == pytest.approx(2 * 4 * layer, rel=1e-9)


def test_dualpipe_holds_one_micro_batch_more_than_ranks_and_parameters_twice() -> None:
    one, two = memory(schedule__name="1f1b"), memory()
    assert max(rank.in_flight for rank in two) == 17
    assert two[5].gradients == pytest.approx(one[5].gradients + one[10].gradients)


def test_each_choice_changes_its_own_part() -> None:
    base = worst()
    bf16 = worst(storage__weights="bf16")
    assert bf16.parameters == pytest.approx(2 * base.parameters, rel=0.05)
    assert (bf16.gradients, bf16.activations) == (base.gradients, base.activations)
    kept = worst(storage__recompute=["norm", "act"])
    # queries, keys and values of 128 heads and the normed latents in BF16, for 17 micro-batches of 4 layers
    width = 128 * (192 + 192 + 128) + 1536 + 512
    assert kept.activations - base.activations == pytest.approx(17 * 4 * 2 * 4096 * width)


def test_each_zero_stage_divides_one_part_more() -> None:
    parts = [memory(parallelism__zero=stage)[5] for stage in range(4)]
    # a middle rank: two stages of four MoE layers, 233.0 M dense and 176.2 M of experts each, FP8, FP32, FP32 + 2 BF16
    dense, expert = 233.0e6, 4 * 44.04e6
    layer = dense + expert
    share = dense / 256 + expert / 4  # dense over 2 x 128 ranks, experts over their 2 x 2 copies
    assert [p.optimizer for p in parts] == pytest.approx([8 * layer * 8] + 3 * [8 * share * 8], rel=0.001)
    gradients = [8 * layer * 4] * 2 + [(8 * share + layer) * 4] * 2
    assert [p.gradients for p in parts] == pytest.approx(gradients, rel=0.001)
    assert [p.parameters for p in parts] == pytest.approx(
        3 * [8 * layer] + [8 * share + 2 * layer], rel=0.001
    )
    assert len({p.activations for p in parts}) == 1


def test_tensor_and_context_ranks_share_what_is_kept() -> None:
    one = memory(schedule__name="1f1b")[5]
    four = memory(schedule__name="1f1b", parallelism__tensor=4)[5]
    eight = memory(schedule__name="1f1b", parallelism__tensor=4, parallelism__context=2)[5]
    assert (four.activations, eight.activations) == pytest.approx((one.activations / 4, one.activations / 8))
    # of a MoE layer MLA's up- and output projections are divided, its down-projections, gate and experts are not
    divided = 8 * (128 * 1536 * 192 + 512 * 128 * 256 + 128 * 128 * 7168)
    assert one.parameters - four.parameters == pytest.approx(divided / 2 * 3 / 4)
    assert eight.parameters == four.parameters


def test_the_parts_of_all_ranks_are_the_whole_under_stage_1() -> None:
    # optimizer states of all ranks of a pipeline rank add up to those of its parameters, however they are divided
    for more in ({}, {"parallelism__tensor": 8}, {"parallelism__tensor": 2, "parallelism__context": 2}):
        ranks = memory(schedule__name="1f1b", **more)
        assert ranks[5].optimizer * 128 == pytest.approx(4 * (233.0e6 + 256 * 44.04e6) * 8, rel=0.001)
