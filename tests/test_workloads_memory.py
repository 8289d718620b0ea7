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
    kept = worst(storage__recompute=["norm"])
    # queries, keys and values of 128 heads in BF16, for 17 micro-batches of 4 layers
    assert kept.activations - base.activations == pytest.approx(17 * 4 * 2 * 4096 * 128 * (192 + 192 + 128))
