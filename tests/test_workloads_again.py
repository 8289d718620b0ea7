"""Recomputation and low-rank adapters: what a backward runs again, what is trained, and what that takes."""

import pytest

from netsim.errors import NetsimError
from netsim.specs import WorkloadSpec, load
from netsim.specs.adapter import AdapterSpec
from netsim.specs.case import make_case
from netsim.training.simulate import simulate
from netsim.workloads.adapter import trained
from netsim.workloads.operators import Operator, block_operators
from netsim.workloads.plan import make_plan

JOB = {"parallelism.zero": 1, "parallelism.tensor": 2, "batch.microbatches": 2, "batch.microbatch_sequences": 1,
       "storage.recompute": []}  # fmt: skip


def operators(phase: str, block: str = "mlp", **more: object) -> tuple[Operator, ...]:
    model = load(WorkloadSpec, "workload", "llama-3.1-8b").model
    given = {"products": "bf16", "recompute": (), "attention_bits": 16, **more}
    return block_operators(model, "dense", block, phase, 4096, 4096, **given)  # type: ignore[arg-type]


def seconds(**overrides: object) -> float:
    given = JOB | {key.replace("__", "."): value for key, value in overrides.items()}
    case = make_case("mrft", "llama-3.1-8b", overrides=given)
    return float(simulate(case, 8).execution.end_s.max())


def flops(ops: tuple[Operator, ...]) -> float:
    return sum(op.flops for op in ops)


def test_every_second_product_is_half_of_gate_and_up_and_the_output_projection() -> None:
    h, w, t = 4096, 14336, 4096
    more = flops(operators("B", recompute=("half",))) - flops(operators("B"))
    assert more == 2.0 * t * h * w  # one of gate and up; down is kept
    more = flops(operators("B", "attn", recompute=("half",))) - flops(operators("B", "attn"))
    assert more == 2.0 * t * h * h


def test_the_core_again_is_its_forward() -> None:
    forward = [op for op in operators("F", "attn") if op.kind == "attention_fwd"]
    more = flops(operators("B", "attn", recompute=("core",))) - flops(operators("B", "attn"))
    assert more == forward[0].flops


def test_whole_layers_again_take_a_forward_more_exchanges_included() -> None:
    case = make_case("mrft", "llama-3.1-8b", overrides=JOB)
    step = simulate(case, 8)
    tasks = [step.graph.works[work] for work in step.graph.work]
    again = simulate(make_case("mrft", "llama-3.1-8b", overrides=JOB | {"storage.recompute": ["layer"]}), 8)
    more = [again.graph.works[work] for work in again.graph.work]
    for name in ("dense", "tensor_gather", "tensor_scatter"):
        forward = [t for t in tasks if t.name == name and t.phase == "F" and t.block in ("attn", "mlp")]
        assert len([t for t in more if t.name == name]) == len([t for t in tasks if t.name == name]) + len(
            forward
        )
    assert again.execution.end_s.max() > 1.2 * step.execution.end_s.max()
    assert again.memory[0].activations < 0.4 * step.memory[0].activations


def test_layer_alone() -> None:
    with pytest.raises(NetsimError, match="beside 'layer'"):
        make_case("mrft", "llama-3.1-8b", overrides={"storage.recompute": ["layer", "norm"]})


def test_frozen_weights_have_no_weight_gradient() -> None:
    adapter = AdapterSpec(rank=16)
    assert operators("W", adapter=adapter) == ()
    thin = operators("W", "attn", adapter=adapter)
    # two adapted matrices of attention, each with A and B: 2 t r (n + k)
    qkv, out = 4096 + 6144, 4096 + 4096
    assert flops(thin) == 2.0 * 4096 * 16 * (qkv + out)


def test_adapters_alone_are_trained() -> None:
    job = load(WorkloadSpec, "workload", "llama-3.1-8b", JOB)
    plan = make_plan(job, 8)
    held = trained(job.model, AdapterSpec(rank=16), ("embedding", "dense", "dense", "head"), plan)
    assert held.total == 2 * 16 * ((4096 + 6144 // 2) + (4096 + 4096 // 2))
    full = seconds()
    assert 0.5 * full < seconds(adapter={"rank": 16}) < 0.8 * full


def test_adapters_over_sharded_weights_are_refused() -> None:
    with pytest.raises(NetsimError, match="divides frozen weights"):
        make_case("mrft", "llama-3.1-8b", overrides={"adapter": {"rank": 16}, "parallelism.zero": 3})


def test_the_first_layers_of_a_stage_alone_are_run_again() -> None:
    given = JOB | {"storage.recompute": ["layer"]}
    whole, two, none = (
        simulate(make_case("mrft", "llama-3.1-8b", overrides=JOB | more), 8)
        for more in (given, given | {"storage.recompute_layers": 2}, {})
    )
    a, b, c = (step.execution.end_s.max() for step in (whole, two, none))
    # 32 layers of one kind, all alike, and no exchange runs beside compute
    assert b - c == pytest.approx((a - c) * 2 / 32, rel=1e-6)
    kept = [step.memory[0].activations for step in (whole, two, none)]
    assert kept == sorted(kept)


def test_frozen_blocks_gather_no_input_for_a_weight_gradient() -> None:
    step = simulate(make_case("mrft", "llama-3.1-8b", overrides=JOB | {"adapter": {"rank": 16}}), 8)
    works = [step.graph.works[work] for work in step.graph.work]
    assert {work.block for work in works if work.phase == "W"} == {"attn"}


def test_adapters_alone_are_reduced_layer_by_layer() -> None:
    given = JOB | {"adapter": {"rank": 16}, "overlap.gradient": True, "overlap.parameter": True}
    step = simulate(make_case("mrft", "llama-3.1-8b", overrides=given), 8)
    works = [step.graph.works[work] for work in step.graph.work]
    assert {work.block for work in works if work.name in ("reduce_scatter", "parameter_gather")} == {"dense"}
