"""Plans, stages and the batch under weak and strong scaling."""

import pytest

from netsim.errors import SpecError
from netsim.specs import WorkloadSpec, load
from netsim.workloads.plan import make_plan
from netsim.workloads.stages import given_layers, job_order, job_stages, model_layers, split_layers

JOB = load(WorkloadSpec, "workload", "deepseek-v3")


def test_published_plan() -> None:
    plan = make_plan(JOB, 2048)
    assert (plan.pipeline, plan.expert, plan.data, plan.groups) == (16, 64, 128, 2)
    # 15,360 sequences of 4,096 tokens
    assert plan.tokens_per_step == 62_914_560
    assert make_plan(JOB, 2048, "strong") == plan


def test_weak_scaling_keeps_microbatches_and_strong_scaling_the_batch() -> None:
    weak, strong = make_plan(JOB, 4096), make_plan(JOB, 4096, "strong")
    assert weak.microbatches == 120
    assert weak.tokens_per_step == 2 * 62_914_560
    assert strong.microbatches == 60
    assert strong.tokens_per_step == 62_914_560


@pytest.mark.parametrize(("gpus", "near"), [(2047, "1024 or 2048"), (512, "1024"), (3000, "2048 or 3072")])
def test_gpus_that_do_not_divide_name_the_nearest_that_do(gpus: int, near: str) -> None:
    with pytest.raises(SpecError, match=f"nearest: {near}"):
        make_plan(JOB, gpus)


def test_a_batch_that_does_not_divide_is_an_error() -> None:
    # 7 x 1024 GPUs make 448 pipelines, and 15,360 / 448 is no whole number
    with pytest.raises(SpecError, match="under strong scaling"):
        make_plan(JOB, 7168, "strong")


def test_deepseek_v3_spreads_64_units_over_16_stages() -> None:
    # 61 layers + head + multi-token prediction (layer + head) = 64 units
    stages = split_layers(JOB.model, 16)
    assert stages[0] == ("embedding", "dense", "dense", "dense", "moe")
    assert all(stage == ("moe",) * 4 for stage in stages[1:15])
    assert stages[15] == ("moe", "head", "mtp_in", "moe", "head")


@pytest.mark.parametrize("stages", [1, 2, 3, 5, 7, 16, 64])
def test_no_layer_is_lost_and_stages_differ_by_one_unit(stages: int) -> None:
    split = split_layers(JOB.model, stages)
    assert sum(split, ()) == model_layers(JOB.model)
    units = [sum(kind in ("dense", "moe", "head") for kind in stage) for stage in split]
    assert max(units) - min(units) <= 1


def test_more_stages_than_units_is_an_error() -> None:
    with pytest.raises(SpecError, match="must not exceed 64"):
        split_layers(JOB.model, 65)


def test_a_job_may_say_how_many_layers_a_stage_holds() -> None:
    # Llama 3.1 405B, table 4 and section 3.3.2 of arXiv 2407.21783: 126 layers on 16 x 8 stages, none at the ends
    job = load(WorkloadSpec, "workload", "llama-3.1-405b")
    order = job_order(job, make_plan(job, 8192))
    stages = job_stages(job, order)
    assert stages[0] == ("embedding",)
    assert stages[-1] == ("head",)
    assert stages[1:-1] == (("dense",),) * 126
    # the ends of DeepSeek-V3 go with the first and the last stage too
    assert given_layers(JOB.model, 3, (3, 57, 1)) == (
        ("embedding", "dense", "dense", "dense"), ("moe",) * 57, ("moe", "head", "mtp_in", "moe", "head"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("layers", "line"),
    [
        ((61,), "1 stages of 61 layers, must be 2 stages of 61 layers"),
        ((30, 30), "2 stages of 60 layers, must be 2 stages of 61 layers"),
    ],
)
def test_layers_that_do_not_fit_the_stages_are_an_error(layers: tuple[int, ...], line: str) -> None:
    with pytest.raises(SpecError, match=line):
        given_layers(JOB.model, 2, layers)


def test_only_the_ends_may_hold_no_layer() -> None:
    with pytest.raises(SpecError, match=r"stage_layers\[1\] = 0, must hold a layer"):
        given_layers(JOB.model, 4, (0, 0, 61, 0))
