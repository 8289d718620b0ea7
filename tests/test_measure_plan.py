"""The plan of `netsim measure`: what stands in it, in which order, and that it is a pure function of its inputs."""

import numpy as np
import pytest

from netsim.errors import NetsimError
from netsim.measure import framework, shapes
from netsim.measure.draws import Draws
from netsim.measure.kernels import BUILDERS
from netsim.measure.plan import KERNELS, Measurement, make_plan, quick, workload_operators
from netsim.specs import WorkloadSpec, load
from netsim.specs.profile import KINDS

WORKLOAD = load(WorkloadSpec, "workload", "deepseek-v3")


@pytest.fixture(scope="module")
def plan() -> tuple[Measurement, ...]:
    return make_plan(WORKLOAD, seed=0, side_sms=20)


def test_same_seed_same_plan_and_another_seed_other_random_shapes(plan: tuple[Measurement, ...]) -> None:
    assert make_plan(WORKLOAD, seed=0, side_sms=20) == plan
    other = make_plan(WORKLOAD, seed=1, side_sms=20)
    of_set = lambda p, name: {m.shape for m in p if m.set == name and not m.shape.group_rows}  # noqa: E731
    assert of_set(other, "workload") == of_set(plan, "workload")
    assert of_set(other, "holdout") != of_set(plan, "holdout")


def test_nothing_is_measured_twice_and_no_holdout_is_seen_elsewhere(plan: tuple[Measurement, ...]) -> None:
    protocols = [(m.shape, m.mode, m.side) for m in plan]
    assert len(protocols) == len(set(protocols))
    sets: dict[shapes.Shape, set[str]] = {}
    for m in plan:
        sets.setdefault(m.shape, set()).add(m.set)
    assert all(len(names) == 1 for names in sets.values())


def test_every_matrix_of_the_workload_is_measured_in_fp8_and_bf16(plan: tuple[Measurement, ...]) -> None:
    measured = {(s.shape.dtype, s.shape.m, s.shape.n, s.shape.k) for s in plan if s.shape.kernel == "gemm"}
    fp8 = [op.shape for op in workload_operators(WORKLOAD) if op.kind == "gemm_fp8"]
    assert len(fp8) == 18
    for shape in fp8:
        for dtype in ("bf16", "fp8_tensor", "fp8_row", "fp8_block"):
            assert (dtype, *shape) in measured


def test_every_kind_of_operator_is_stood_for(plan: tuple[Measurement, ...]) -> None:
    kinds = {m.shape.kind for m in plan}
    assert kinds <= set(KINDS)
    assert {op.kind for op in workload_operators(WORKLOAD)} <= kinds
    assert {m.shape.kernel for m in plan} == set(KERNELS)
    assert {m.shape.kernel for m in (*plan, *framework.make_plan())} == set(BUILDERS)


def test_workload_and_holdout_shapes_are_also_measured_beside_a_resident_kernel(
    plan: tuple[Measurement, ...],
) -> None:
    alone = {m.shape for m in plan if m.mode == "cool" and not m.side and m.set in ("workload", "holdout")}
    for side in ("spin", "copy"):
        beside = {m.shape for m in plan if m.side == side}
        assert {s.kernel for s in alone - beside} == set(shapes.LAUNCH_KERNELS)
        assert {m.side_sms for m in plan if m.side == side} == {20}
    assert not any(m.side for m in make_plan(WORKLOAD, seed=0, side_sms=0))


def test_cool_alone_comes_before_all_else(plan: tuple[Measurement, ...]) -> None:
    plain = [m.mode == "cool" and not m.side for m in plan]
    assert plain == sorted(plain, reverse=True)
    assert [m.mode == "hot" for m in plan] == sorted(m.mode == "hot" for m in plan)


def test_quick_takes_one_of_each_and_nothing_heavy(plan: tuple[Measurement, ...]) -> None:
    few = quick(plan)
    assert len(few) < 200
    assert {m.shape.kernel for m in few} == set(KERNELS)
    assert {(m.mode, m.side) for m in few} == {(m.mode, m.side) for m in plan}


def test_only_takes_kernels_and_patterns() -> None:
    some = make_plan(WORKLOAD, 0, 20, only=["attn_fwd", "gemm:fp8_block*:hot"])
    assert {m.shape.kernel for m in some} == {"attn_fwd", "gemm"}
    assert {m.mode for m in some if m.shape.kernel == "gemm"} == {"hot"}
    with pytest.raises(NetsimError, match="did you mean 'rmsnorm'"):
        make_plan(WORKLOAD, 0, 20, only=["rmsnrm"])


def test_costs_against_the_operators_that_they_stand_for() -> None:
    # q_a_proj: 2 x 4096 x 1536 x 7168 operations; one byte a value of both operands, a scale for 128 of the
    # activations and for 128 x 128 of the weights, two bytes a value out
    gemm = shapes.gemm("fp8_block", 4096, 1536, 7168)
    assert gemm.flops == 2 * 4096 * 1536 * 7168
    moved = 4096 * 7168 * (1 + 4 / 128) + 1536 * 7168 * (1 + 4 / 128**2) + 2 * 4096 * 1536
    assert gemm.bytes == pytest.approx(moved)
    forward, backward = (op for op in workload_operators(WORKLOAD) if op.kind.startswith("attention"))
    assert shapes.attention("attn_fwd", *forward.shape).flops == forward.flops
    assert shapes.attention("attn_bwd", *backward.shape).flops == backward.flops
    rows = (8192,) * 4
    grouped = next(op for op in workload_operators(WORKLOAD) if op.kind == "grouped_gemm_fp8")
    assert shapes.grouped_gemm("bf16", rows, *grouped.shape[1:3]).flops == grouped.flops


def test_skewed_rows_keep_the_total_and_the_multiples() -> None:
    draws = Draws(3, "test")
    for groups in (2, 4, 7, 32):
        rows = draws.skewed_rows(32768, groups)
        assert len(rows) == groups
        assert all(r % 16 == 0 and r > 0 for r in rows)
        assert abs(sum(rows) - 32768) < 16
        assert max(rows) > 1.2 * np.mean(rows)
