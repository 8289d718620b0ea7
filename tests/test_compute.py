"""Operators to seconds: table, class model, the two contexts, and bounds that always hold."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.compute import ComputeModel
from netsim.compute.roofline import floor_s, measured_device
from netsim.errors import DomainError, NetsimError, SpecError
from netsim.specs import HardwareSpec, ModelSpec, WorkloadSpec, load
from netsim.specs.formats import format_of, role_of
from netsim.specs.profile import KINDS as KERNEL_KINDS
from netsim.specs.profile import ProfileSpec
from netsim.workloads import kernels
from netsim.workloads.kernels import Operator
from netsim.workloads.operators import KINDS, block_operators, optimizer_operators

EVIDENCE = Path(__file__).parents[1] / "../shared/evidence/h800_ops.csv"
TRACE_ROWS = {"F": 32512, "B": 32128, "W": 32128}
#: GPU-busy time of the blocks in the public trace, mean of 4 layers; source: profile-data train.json
TRACE_MS = {
    ("attn", "F"): 4.370,
    ("mlp", "F"): 4.604,
    ("mlp", "B"): 5.306,
    ("attn", "B"): 9.341,
    ("mlp", "W"): 5.063,
    ("attn", "W"): 2.389,
}

PROFILE = load(ProfileSpec, "profile", "h800")
HARDWARE = load(HardwareSpec, "hardware", "h800")
MODEL = ComputeModel(PROFILE, HARDWARE)
#: a profile that claims everything: only the peaks can bound it
CLAIMS = {
    "efficiency": 1.0,
    "hbm_efficiency": 1.0,
    "tile_overhead": 0.0,
    "tail": 0.0,
    "resident": 0,
    "value": 0.0,
    "call": 0.0,
    "slowdown": 0.5,
}
BOLD = ComputeModel(
    PROFILE.model_copy(
        update={
            "classes": {k: c.model_copy(update=CLAIMS) for k, c in PROFILE.classes.items()},
            "gemm_sms": 132,
        }
    ),
    HARDWARE,
)
V3: ModelSpec = load(WorkloadSpec, "workload", "deepseek-v3").model


def moe_ops(block: str, phase: str, rows: int | None = None) -> tuple[Operator, ...]:
    return block_operators(V3, "moe", block, phase, 4096, 4096, rows or TRACE_ROWS[phase], 4)


def all_ops() -> list[Operator]:
    made = []
    for kind, blocks in KINDS.items():
        if kind.endswith("_alternate"):  # V3 has one kind of attention
            continue
        for block in blocks:
            for phase in "FBW":
                made += block_operators(V3, kind, block, phase, 4096, 4096, 32768, 4)
    return made + list(optimizer_operators(3e9))


# --- the table ---


def test_a_known_shape_is_the_measured_time() -> None:
    time = MODEL.operator_time(kernels.gemm_fp8("o_proj_fwd", 4096, 7168, 16384), True)
    assert time.origin == "table"
    assert time.seconds == pytest.approx(900.8e-6)


def test_a_kernel_of_a_job_answers_for_its_own_name_only() -> None:
    """Other kernels of that shape may be another library's, or in another place beside transfers."""
    time = MODEL.operator_time(kernels.gemm_fp8("new", 4096, 7168, 16384), True)
    assert time.origin == "model"


def test_a_measured_kernel_keeps_its_distance_from_the_model_at_another_shape() -> None:
    # gate_dgrad took 40.5 us; half its tokens take 40.5 us x model(half) / model(measured)
    whole, half = (kernels.gemm_bf16("gate_dgrad", m, 7168, 256) for m in (4096, 2048))
    models = [MODEL.model_time(op, True).seconds for op in (whole, half)]
    time = MODEL.operator_time(half, True)
    assert time.seconds == pytest.approx(40.5e-6 * models[1] / models[0])
    assert time.origin == "model"


@pytest.mark.parametrize("beside", [True, False])
def test_the_distance_joins_the_table_without_a_step(beside: bool) -> None:
    """At the measured shape, carrying a row over gives the row back."""
    for op in (*moe_ops("attn", "F"), *moe_ops("attn", "B"), *moe_ops("attn", "W")):
        row = MODEL._rows[op.name]
        carried = MODEL._carried(row, op, beside)
        assert carried is not None
        assert carried.seconds == pytest.approx(MODEL.operator_time(op, beside).seconds), op.name


def test_two_sequences_take_twice_the_attention_of_one() -> None:
    def core(tokens: int, length: int) -> float:
        made = block_operators(V3, "dense", "attn", "F", tokens, length)
        return MODEL.operator_time(next(op for op in made if op.name == "flash_attn_fwd"), True).seconds

    # but for one launch and one tail; longer sequences waste less on the diagonal
    assert core(8192, 4096) == pytest.approx(2 * 1237e-6, rel=0.03)
    assert 3.5 * 1237e-6 < core(8192, 8192) < 4 * 1237e-6


def test_a_carried_kernel_counts_its_own_calls() -> None:
    # grad_add was measured with two calls a MoE layer; a dense layer has one
    moe, dense = (
        next(
            op for op in block_operators(V3, kind, "attn", "B", 2048, 2048, 16384, 4) if op.name == "grad_add"
        )
        for kind in ("moe", "dense")
    )
    assert MODEL.operator_time(moe, True).seconds == pytest.approx(
        2 * MODEL.operator_time(dense, True).seconds
    )


def test_an_unknown_name_is_the_model() -> None:
    op = kernels.gemm_fp8("new", 4096, 7168, 8192)
    assert MODEL.operator_time(op, True) == MODEL.model_time(op, True)
    assert MODEL.operator_time(op, True).origin == "model"


def test_expert_rows_lie_on_a_line_through_the_measured_points() -> None:
    # routed_gateup_fwd: rows 31104, 30976, 36864, 31104 took 1739, 1766, 2126, 1819 us;
    # numpy's fit of a line is the oracle
    points = np.polyfit([31104, 30976, 36864, 31104], [1739.0, 1766.0, 2126.0, 1819.0], 1)
    for rows in (31000, 32768, 36864):
        op = kernels.grouped_gemm_fp8("routed_gateup_fwd", rows, 4096, 7168, 4)
        time = MODEL.operator_time(op, True)
        assert time.origin == "table"
        assert time.seconds * 1e6 == pytest.approx(np.polyval(points, rows))


def test_rows_beyond_the_measured_are_proportional_and_say_so() -> None:
    def seconds(rows: int) -> float:
        return MODEL.operator_time(
            kernels.grouped_gemm_fp8("routed_gateup_fwd", rows, 4096, 7168, 4), True
        ).seconds

    twice = MODEL.operator_time(kernels.grouped_gemm_fp8("routed_gateup_fwd", 2 * 36864, 4096, 7168, 4), True)
    assert twice.origin == "extrapolated"
    assert twice.seconds == pytest.approx(2 * seconds(36864))
    # none: the weights read once, at the peak of HBM
    assert seconds(0) == pytest.approx(4 * 4096 * 7168 / 3.35e12)


def test_calls_of_a_role_add_up() -> None:
    # 34 small gate kernels of 3.4 us
    op = next(op for op in moe_ops("attn", "F") if op.name == "gate_topk_aux_ops")
    assert MODEL.operator_time(op, True).seconds == pytest.approx(34 * 3.4e-6)


@pytest.mark.parametrize(("block", "phase"), TRACE_MS)
def test_overlapped_blocks_against_the_public_trace(block: str, phase: str) -> None:
    """Busy time, without gaps; the two-stream weight gradients are wall times, so a sum is right."""
    time = MODEL.block_time(moe_ops(block, phase), beside_transfer=True)
    assert time.busy_s * 1e3 == pytest.approx(TRACE_MS[block, phase], rel=0.005)
    assert time.by_origin["table"] == pytest.approx(time.seconds)


def test_overlapped_layer_against_the_public_trace() -> None:
    # GPU-busy time of a layer 31.072 ms, and 1.80 ms idle between kernels of four layers
    times = [MODEL.block_time(moe_ops(*key), beside_transfer=True) for key in TRACE_MS]
    assert sum(t.busy_s for t in times) * 1e3 == pytest.approx(31.072, rel=0.002)
    assert sum(t.gap_s for t in times) * 1e3 == pytest.approx(1.799 / 4, rel=0.03)


# --- the two contexts ---


def test_alone_is_what_was_measured_without_a_transfer() -> None:
    # ffn_norm_fwd: 105 us without, 171 us with, 121.5 us on average
    op = next(op for op in moe_ops("attn", "F") if op.name == "ffn_norm_fwd")
    assert MODEL.operator_time(op, True).seconds == pytest.approx(121.5e-6)
    assert MODEL.operator_time(op, False).seconds == pytest.approx(105e-6)


def test_alone_is_derived_where_a_transfer_was_always_there() -> None:
    # flash_attn_fwd, 1237 us beside a transfer; class slow-down 0.137 of all but the 2 us of the launch
    op = next(op for op in moe_ops("attn", "F") if op.name == "flash_attn_fwd")
    assert MODEL.operator_time(op, False).seconds == pytest.approx(1237e-6 / 1.137, rel=0.001)


@pytest.mark.parametrize("op", all_ops(), ids=lambda op: op.name)
def test_nothing_is_slower_alone(op: Operator) -> None:
    assert MODEL.operator_time(op, False).seconds <= MODEL.operator_time(op, True).seconds


# --- the class model ---


def test_a_gemm_runs_in_waves_of_tiles() -> None:
    # 4096 x 7168 in 128 x 128: 32 x 56 = 1792 tiles, 16 full waves on 112 SMs. One tile of k = 16384:
    # 1.54 us + 2 x 128 x 128 x 16384 / (0.670 x 1979e12 / 132) = 55.00 us; launch 2 us
    op = kernels.gemm_fp8("new", 4096, 7168, 16384)
    tile_us = 1.54 + 2 * 128 * 128 * 16384 / (0.67 * 1979e12 / 132) * 1e6
    assert MODEL.model_time(op, False).seconds * 1e6 == pytest.approx(16 * tile_us + 2.0)
    # one more column of tiles is 32 tiles, a 17th wave
    wider = kernels.gemm_fp8("new", 4096, 7168 + 128, 16384)
    assert MODEL.model_time(wider, False).seconds * 1e6 == pytest.approx(17 * tile_us + 2.0)
    # a transfer beside it, which is there 62 % of the time and costs 3.2 %
    assert MODEL.model_time(op, True).seconds * 1e6 == pytest.approx(16 * tile_us * (1 + 0.62 * 0.032) + 2.0)


def test_a_copy_of_fine_grain_is_bytes_over_the_achieved_rate() -> None:
    # 100 MB at 0.964 x 3.35 TB/s and 2 us; beside a transfer 14.7 % and 2 us more, 62 % of the time
    op = Operator("new", "elementwise", 0.0, 1e8, (1, 1))
    body = 1e8 / (0.964 * 3.35e12)
    time = MODEL.model_time(op, False)
    assert time.seconds == pytest.approx(body + 2e-6)
    assert (time.origin, time.bound) == ("model", "memory")
    assert MODEL.model_time(op, True).seconds == pytest.approx(body * (1 + 0.62 * 0.147) + 2e-6 + 0.62 * 2e-6)


def test_half_of_the_blocks_in_flight_drain_at_the_end() -> None:
    # a cast of 4096 rows of 7168: 16 blocks of one row on each of 132 SMs = 2112 rows in flight, half of them
    # 1056: as much as 4096 + 1056 rows would take
    op = kernels.cast("new", 4096, 7168)
    body = (4096 + 1056) / 4096 * op.bytes / (0.798 * 3.35e12)
    assert MODEL.model_time(op, False).seconds == pytest.approx(body + 2e-6)
    fine = kernels.dequantise("new", 4096, 7168)  # the same bytes, in a loop over the values
    assert MODEL.model_time(fine, False).seconds == pytest.approx(op.bytes / (0.798 * 3.35e12) + 2e-6)


def test_a_persistent_kernel_runs_the_blocks_without_a_place_afterwards() -> None:
    # ffn_norm_fwd: 235 MB at 0.681 x 3.35 TB/s = 102.9 us alone; its 29.4 M values x 0.288 ns / 132 SMs = 64.1 us
    # come again beside a transfer. Measured 105 and 171 us.
    op = kernels.norm("new", 4096, 7168, tensors=4)
    again = 4096 * 7168 * 0.288e-9 / 132
    assert MODEL.model_time(op, False).seconds == pytest.approx(op.bytes / (0.681 * 3.35e12) + 2e-6)
    beside = MODEL.model_time(op, True, share=1.0).seconds
    assert beside - MODEL.model_time(op, False).seconds == pytest.approx(again + 2e-6)
    assert beside == pytest.approx(171e-6, rel=0.01)


def test_what_was_never_seen_is_extrapolated() -> None:
    # the logits: n = 129,280 against 7,168 at most among the BF16 GEMMs of the trace
    op = block_operators(V3, "head", "head", "F", 4096, 4096)[1]
    time = MODEL.model_time(op, True)
    assert (time.origin, time.bound) == ("extrapolated", "compute")


def test_bounds_are_named() -> None:
    assert MODEL.model_time(kernels.small("new", 1, 1), True).bound == "launch"
    assert MODEL.model_time(kernels.gemm_bf16("new", 4096, 7168, 256), True).bound in ("compute", "memory")


@settings(deadline=None, max_examples=200)
@given(
    kind=st.sampled_from([k for k in KERNEL_KINDS if k not in ("small", "index") and "fp4" not in k]),
    size=st.tuples(*[st.integers(1, 60_000)] * 3),
    groups=st.integers(1, 64),
    beside=st.booleans(),
)
def test_no_prediction_beats_the_peaks(
    kind: str, size: tuple[int, int, int], groups: int, beside: bool
) -> None:
    m, n, k = size
    role, word = role_of(kind), format_of(kind)
    shape = (m, n, k, groups) if role.startswith("grouped") else (m, n, k)
    attention = Operator("x", kind, 2.0 * m * n * k, 2.0 * (m + n), (1, m, n, 192, 128))  # type: ignore[arg-type]
    plain = Operator("x", kind, 0.0, 2.0 * m * n, (m, n))  # type: ignore[arg-type]
    op = attention if "attention" in kind else plain
    if role in kernels.PRODUCT_ROLES:
        op = kernels.PRODUCT_ROLES[role]("x", *shape, products=word)
    peak = 989e12 if word == "bf16" else 1979e12
    for model in (MODEL, BOLD):
        time = model.model_time(op, beside)
        assert time.seconds >= op.flops / peak * (1 - 1e-12)
        assert time.seconds >= op.bytes / 3.35e12


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("op", all_ops(), ids=lambda op: op.name)
def test_no_table_row_beats_the_peaks(op: Operator, beside: bool) -> None:
    assert MODEL.operator_time(op, beside).seconds >= floor_s(op, measured_device(PROFILE))


@pytest.mark.parametrize("depth", [16384, 8192])
def test_a_row_that_claims_too_much_is_held_to_the_peaks(depth: int) -> None:
    """Looked up at its own depth, carried over to half of it."""
    rows = tuple(
        row.model_copy(update={"overlapped": 1e-6}) if row.name == "o_proj_fwd" else row
        for row in PROFILE.operators
    )
    wrong = ComputeModel(PROFILE.model_copy(update={"operators": rows}), HARDWARE)
    op = kernels.gemm_fp8("o_proj_fwd", 4096, 7168, depth)
    assert wrong.operator_time(op, True).seconds == pytest.approx(op.flops / 1979e12)


@given(tokens=st.integers(1, 64).map(lambda n: 128 * n), n=st.sampled_from([576, 4096, 24576]))
def test_more_work_never_takes_less_time(tokens: int, n: int) -> None:
    less, more = (kernels.gemm_fp8("x", t, n, 7168) for t in (tokens, tokens + 128))
    assert MODEL.model_time(less, True).seconds <= MODEL.model_time(more, True).seconds


def test_the_class_models_reproduce_what_they_were_fitted_to() -> None:
    ops = {op.name: op for key in TRACE_MS for op in moe_ops(*key)}
    for row in PROFILE.operators:
        if row.split == "cal":
            predicted = MODEL.model_time(ops[row.name], True, share=row.transport_share).seconds
            assert predicted == pytest.approx(row.overlapped * row.calls, rel=0.03), row.name


def errors_on_held_out_rows(products_only: bool) -> np.ndarray:
    ops = {op.name: op for key in TRACE_MS for op in moe_ops(*key)}
    rows = [r for r in PROFILE.operators if r.split == "val_op"]
    if products_only:
        rows = [r for r in rows if r.kind.endswith("fp8")]
    measured = np.array([r.overlapped * r.calls for r in rows])
    predicted = np.array([MODEL.model_time(ops[r.name], True, share=r.transport_share).seconds for r in rows])
    return np.abs(predicted / measured - 1.0)


def test_matrix_products_that_were_not_fitted() -> None:
    """23 FP8 GEMMs, grouped GEMMs and weight gradients, from six fitted rows."""
    error = errors_on_held_out_rows(products_only=True)
    print(f"{len(error)} held-out matrix products: median {np.median(error):.1%}, max {error.max():.1%}")
    assert np.median(error) < 0.03
    assert np.percentile(error, 90) < 0.08


def test_all_operators_that_were_not_fitted() -> None:
    """125 kernels from 20 fitted rows: median within 8 %. The 90th percentile is a known miss (goal 20 %): short
    kernels of few blocks, which no fitted row is like."""
    error = errors_on_held_out_rows(products_only=False)
    print(f"{len(error)} held-out: median {np.median(error):.1%}, p90 {np.percentile(error, 90):.1%}")
    assert len(error) == 125
    assert np.median(error) < 0.08
    assert np.percentile(error, 90) < 0.40


@pytest.mark.parametrize(("block", "phase"), TRACE_MS)
def test_blocks_by_the_class_models_alone(block: str, phase: str) -> None:
    """Without the table, every block is within 5 % (its fitted rows are a third of it)."""
    seconds = sum(MODEL.model_time(op, True).seconds for op in moe_ops(block, phase))
    assert seconds * 1e3 == pytest.approx(TRACE_MS[block, phase], rel=0.05)


def test_a_constant_efficiency_would_be_worse() -> None:
    """The same fitted GEMMs as one efficiency: short products and half-empty waves are missed."""
    ops = {op.name: op for key in TRACE_MS for op in moe_ops(*key)}
    gemms = [r for r in PROFILE.operators if r.kind in ("gemm_fp8", "grouped_gemm_fp8")]
    fitted = [r for r in gemms if r.split == "cal"]
    rate = math.exp(np.mean([math.log(ops[r.name].flops / r.overlapped) for r in fitted]))
    held_out = [r for r in gemms if r.split == "val_op"]
    constant = [abs(ops[r.name].flops / rate / r.overlapped - 1) for r in held_out]
    waves = [abs(MODEL.model_time(ops[r.name], True).seconds / r.overlapped - 1) for r in held_out]
    assert np.median(waves) < np.median(constant) / 2


# --- another GPU, transfers ---


def test_a_faster_memory_shortens_what_memory_bounds_and_says_so() -> None:
    gpu = HARDWARE.gpu.model_copy(update={"hbm_rate": 6.7e12})
    faster = ComputeModel(PROFILE, HARDWARE.model_copy(update={"gpu": gpu}))
    cast = next(op for op in moe_ops("attn", "F") if op.name == "cast_fp8_attn_out")
    time = faster.operator_time(cast, True)
    # the class model says a launch (2 us, 3.24 us on average beside transfers) and bytes over the rate: twice the
    # rate halves all but the launch
    here, launch = MODEL.model_time(cast, True).seconds, 2e-6 + 0.62 * 2e-6
    assert time.seconds == pytest.approx(107.2e-6 * ((here - launch) / 2 + launch) / here)
    assert time.origin == "extrapolated"
    gemm = kernels.gemm_fp8("o_proj_fwd", 4096, 7168, 16384)
    assert faster.operator_time(gemm, True).seconds == pytest.approx(900.8e-6)


def test_transfer_rates_and_what_runs_before() -> None:
    # DeepEP's 46 GB/s at EP64 counts the rank's own host: 7/8 of it is on the wire
    assert MODEL.transfer_rate("dispatch", False) == pytest.approx(46e9 * 7 / 8, rel=0.002)
    assert MODEL.transfer_rate("combine", False) == pytest.approx(45e9 * 7 / 8, rel=0.002)
    assert MODEL.transfer_rate("dispatch", True) == 24.4e9
    assert MODEL.transfer_rate("send_forward", True) == math.inf
    # the FP8 cast of the gradient takes 52 us by itself
    assert MODEL.transfer_setup_s("cached_dispatch", beside_compute=False) == pytest.approx(52e-6)
    assert MODEL.transfer_setup_s("cached_dispatch") == pytest.approx(270.2e-6)
    assert MODEL.transfer_setup_s("combine") == 0.0


def test_a_class_that_is_not_in_the_profile_is_one_line() -> None:
    classes = {k: v for k, v in PROFILE.classes.items() if k != "optimizer"}
    poor = ComputeModel(PROFILE.model_copy(update={"classes": classes}), HARDWARE)
    with pytest.raises(NetsimError, match="kernel class 'optimizer' is not in the profile"):
        poor.block_time(optimizer_operators(1e6), False)


# --- the profile against its source ---


@pytest.mark.skipif(not EVIDENCE.is_file(), reason="the evidence folder is not part of the repository")
def test_every_row_of_the_profile_is_a_row_of_the_evidence() -> None:
    with EVIDENCE.open() as file:
        evidence = {
            (r["block"], r["role"]): r for r in csv.DictReader(file) if r["split"] in ("cal", "val_op")
        }
    compute = {key for key in evidence if not key[0].startswith(("dispatch", "combine"))}
    assert {(f"{row.block}({row.phase})", row.role) for row in PROFILE.operators} == compute
    for row in PROFILE.operators:
        source = evidence[f"{row.block}({row.phase})", row.role]
        assert row.split == source["split"]
        assert row.calls == float(source["calls_per_layer"])
        assert row.overlapped * 1e6 == pytest.approx(float(source["mean_us"]))
        for ours, column in ((row.alone, "mean_us_no_transport"), (row.beside, "mean_us_with_transport")):
            assert ours == (pytest.approx(float(source[column]) * 1e-6) if source[column] else None)
        if row.rows and source["M0"]:
            assert row.rows == tuple(int(float(source[f"M{i}"])) for i in range(4))
        for i, time in enumerate(row.row_times):
            assert time * 1e6 == pytest.approx(float(source[f"d{i}_us"]))


@pytest.mark.skipif(not EVIDENCE.is_file(), reason="the evidence folder is not part of the repository")
def test_transfers_against_the_evidence() -> None:
    """Wire bytes of the trace over the kernel's time."""
    roles = {
        "dispatch": "dispatch_fwd(FP8)",
        "cached_dispatch": "combine_bwd=cached dispatch(FP8)",
        "combine": "combine_fwd(BF16)",
        "combine_backward": "dispatch_bwd=combine(BF16)",
    }
    with EVIDENCE.open() as file:
        by_role = {r["role"]: r for r in csv.DictReader(file)}
    for kind, role in roles.items():
        rate = float(by_role[role]["bytes"]) / (float(by_role[role]["mean_us"]) * 1e-6)
        assert MODEL.transfer_rate(kind, True) == pytest.approx(rate, rel=0.003)
        for step in PROFILE.transfers[kind].prework:
            if step.role:
                assert step.overlapped * 1e6 == pytest.approx(float(by_role[step.role]["mean_us"]), rel=0.001)


def test_products_asked_for_other_sms_say_which() -> None:
    fewer = ComputeModel(PROFILE, HARDWARE, communication_sms=52)
    product = kernels.gemm_fp8("q_a_proj_fwd", 4096, 1536, 7168)
    assert fewer.operator_time(product, False).seconds > MODEL.operator_time(product, False).seconds
    with pytest.raises(DomainError, match=r"products on 112 SMs, asked for 80 \(communication\.sms\)"):
        fewer.require_known([product])
    with pytest.raises(SpecError, match="must leave some of the 132 SMs"):
        ComputeModel(PROFILE, HARDWARE, communication_sms=132).operator_time(product, False)
