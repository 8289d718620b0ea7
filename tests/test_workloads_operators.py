"""Operators of a block: shapes from dimensions, counted by hand, and against the public trace."""

import csv
from pathlib import Path

import pytest

from netsim.errors import NetsimError
from netsim.specs import ModelSpec, WorkloadSpec, load
from netsim.workloads.kernels import FP8_BYTES, Operator, received_tokens
from netsim.workloads.operators import KINDS, Load, block_operators, optimizer_operators

EVIDENCE = Path(__file__).parents[1] / "../shared/evidence/h800_ops.csv"
TOKENS, ROWS, LOCAL = 4096, 32768, 4
#: mean rows of the rank in the trace, forward and backward
TRACE_ROWS = {"F": 32512, "B": 32128, "W": 32128}


@pytest.fixture(scope="module")
def v3() -> ModelSpec:
    return load(WorkloadSpec, "workload", "deepseek-v3").model


def ops(model: ModelSpec, kind: str, block: str, phase: str, rows: int = ROWS) -> dict[str, Operator]:
    made = block_operators(model, kind, block, phase, TOKENS, TOKENS, rows, LOCAL)
    by_name = {op.name: op for op in made}
    assert len(by_name) == len(made), "names are unique in a block"
    return by_name


def flops(model: ModelSpec, kind: str, phase: str) -> float:
    return sum(op.flops for block in KINDS[kind] for op in ops(model, kind, block, phase).values())


def test_a_gemm_counts_two_operations_a_product(v3: ModelSpec) -> None:
    # o_proj: 4096 tokens, 128 heads x 128 -> 7168. 2 x 4096 x 7168 x 16384 = 962,072,674,304.
    # bytes: FP8 activations with a 4-byte scale per 128, FP8 weights, BF16 out
    op = ops(v3, "moe", "attn", "F")["o_proj_fwd"]
    assert op.shape == (4096, 7168, 16384)
    assert op.flops == 962_072_674_304
    assert op.bytes == 4096 * 16384 * FP8_BYTES + 7168 * 16384 + 2 * 4096 * 7168


def test_attention_is_two_products_over_half_the_pairs(v3: ModelSpec) -> None:
    # 2 x 128 heads x 4096^2 x (192 + 128) / 2 forward; five backward, three of width 192
    forward = ops(v3, "moe", "attn", "F")["flash_attn_fwd"]
    backward = ops(v3, "moe", "attn", "B")["flash_attn_bwd"]
    assert forward.flops == 2 * 128 * 4096**2 * 320 / 2
    assert backward.flops == 2 * 128 * 4096**2 * (3 * 192 + 2 * 128) / 2


def test_more_sequences_of_the_same_tokens_cost_less_attention(v3: ModelSpec) -> None:
    one = block_operators(v3, "dense", "attn", "F", 4096, 4096)
    four = block_operators(v3, "dense", "attn", "F", 4096, 1024)
    core = [next(op for op in made if op.name == "flash_attn_fwd") for made in (one, four)]
    assert core[0].flops == 4 * core[1].flops
    assert core[1].shape == (4, 128, 1024, 192, 128)


def test_balanced_experts_do_the_work_of_every_token(v3: ModelSpec) -> None:
    # gate+up and down: 2 x (4096 x 8 rows) x (2 x 2048 x 7168 + 2048 x 7168)
    made = ops(v3, "moe", "mlp", "F")
    routed = made["routed_gateup_fwd"].flops + made["routed_down_fwd"].flops
    assert routed == 2 * TOKENS * 8 * 3 * 2048 * 7168


@pytest.mark.parametrize("kind", ["moe", "dense", "head", "mtp_in"])
def test_weight_gradients_repeat_the_products_of_the_forward(v3: ModelSpec, kind: str) -> None:
    # dW = dY^T X has the m n k of Y = X W^T; attention has no weights, and the gate's dW runs inside B
    attention = gate = 0.0
    if kind in ("moe", "dense"):
        attention = ops(v3, kind, "attn", "F")["flash_attn_fwd"].flops
    if kind == "moe":
        gate = ops(v3, kind, "attn", "B")["gate_wgrad"].flops
    assert flops(v3, kind, "W") == pytest.approx(flops(v3, kind, "F") - attention - gate)


def test_backward_adds_only_the_recomputed_up_projections(v3: ModelSpec) -> None:
    # B of a dense layer = forward products + 5 attention products + q_b and kv_b once more
    forward, backward = ops(v3, "dense", "attn", "F"), ops(v3, "dense", "attn", "B")
    extra = backward["q_b_proj_recompute"].flops + backward["kv_b_proj_recompute"].flops
    assert extra == forward["q_b_proj_fwd"].flops + forward["kv_b_proj_fwd"].flops
    expected = flops(v3, "dense", "F") - forward["flash_attn_fwd"].flops + backward["flash_attn_bwd"].flops
    assert flops(v3, "dense", "B") == pytest.approx(expected + extra)


def test_a_dense_layer_has_the_attention_of_a_moe_layer_without_its_gate(v3: ModelSpec) -> None:
    moe, dense = ops(v3, "moe", "attn", "F"), ops(v3, "dense", "attn", "F")
    assert set(moe) - set(dense) == {
        "gate_matmul_fwd",
        "gate_topk_aux_ops",
        "gate_topk_gathertopk",
        "cast_fp8_x_for_dispatch",
    }
    assert all(moe[name] == op for name, op in dense.items())


def test_head_and_embedding_follow_the_vocabulary(v3: ModelSpec) -> None:
    head = ops(v3, "head", "head", "F")
    assert head["head_proj_fwd"].shape == (4096, 129280, 7168)
    assert head["cross_entropy"].bytes == 6 * 4096 * 129280
    # BF16 rows read and written; the gradient is added to FP32
    assert ops(v3, "embedding", "embedding", "F")["embedding_gather"].bytes == 4 * 4096 * 7168
    assert ops(v3, "embedding", "embedding", "W")["embedding_scatter_add"].bytes == 10 * 4096 * 7168
    assert ops(v3, "embedding", "embedding", "B") == {}


def test_mtp_projects_two_hidden_states_to_one(v3: ModelSpec) -> None:
    assert ops(v3, "mtp_in", "mtp_in", "F")["mtp_proj_fwd"].shape == (4096, 7168, 2 * 7168)


def test_the_optimizer_moves_22_bytes_a_parameter_and_reads_gradients_once_more() -> None:
    # FP32 gradient 4, FP32 master 4 + 4, two BF16 moments 4 + 4, BF16 weight 2 = 22
    norm, update = optimizer_operators(1e9)
    # FP32 moments: 4 + 2 x (4 + 4 + 4) + 2 = 30; BF16 gradients: 2 less each time they are read
    assert optimizer_operators(1e9, moments="fp32")[1].bytes == 30e9
    assert [op.bytes for op in optimizer_operators(1e9, gradient="bf16")] == [2e9, 20e9]
    assert (norm.bytes, update.bytes) == (4e9, 22e9)


def test_received_tokens_need_each_device_once(v3: ModelSpec) -> None:
    # one device with all reachable experts: every token arrives once for its 8 rows
    everything = Load(TOKENS, TOKENS, ROWS, 256)
    assert received_tokens(v3, everything) == TOKENS
    # one expert a device: nothing is shared
    single = Load(TOKENS, TOKENS, ROWS, 1)
    assert received_tokens(v3, single) == ROWS


def test_a_rank_without_rows_still_runs_its_shared_expert(v3: ModelSpec) -> None:
    made = ops(v3, "moe", "mlp", "F", rows=0)
    assert made["routed_gateup_fwd"].flops == 0
    assert made["shared_gateup_fwd"].flops > 0


def test_a_model_without_shared_experts(v3: ModelSpec) -> None:
    moe = v3.moe.model_copy(update={"shared": 0})
    bare = v3.model_copy(update={"moe": moe})
    for phase in "FBW":
        assert not any(name.startswith("shared") for name in ops(bare, "moe", "mlp", phase))


@pytest.mark.parametrize(
    ("kind", "block", "phase", "tokens", "words"),
    [
        ("mow", "mlp", "F", 4096, "no layer kind 'mow': did you mean 'moe'?"),
        ("moe", "head", "F", 4096, "no block 'head'"),
        ("moe", "mlp", "X", 4096, "no phase 'X'"),
        ("dense", "mlp", "F", 5000, "tokens = 5000, must be whole sequences of 4096"),
        ("moe", "mlp", "F", 4096, "must be at least 0 and 1 in a MoE layer"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    v3: ModelSpec, kind: str, block: str, phase: str, tokens: int, words: str
) -> None:
    with pytest.raises(NetsimError, match=words.replace("?", r"\?")):
        block_operators(v3, kind, block, phase, tokens, 4096)


@pytest.mark.skipif(not EVIDENCE.is_file(), reason="the evidence folder is not part of the repository")
@pytest.mark.parametrize("block", ["attn(F)", "mlp(F)", "mlp(B)", "attn(B)", "mlp(W)", "attn(W)"])
def test_work_and_order_of_a_block_against_the_public_trace(v3: ModelSpec, block: str) -> None:
    """Launch by launch: same kernels in the same order, FLOPs equal, bytes within 2 %."""
    with EVIDENCE.open() as file:
        rows = [r for r in csv.DictReader(file) if r["block"] == block and r["split"] in ("cal", "val_op")]
    made = list(ops(v3, "moe", block[:-3], block[-2], rows=TRACE_ROWS[block[-2]]).values())
    assert len(made) == len(rows)
    for op, row in zip(made, rows, strict=True):
        assert op.calls == float(row["calls_per_layer"]), row["role"]
        assert op.flops == pytest.approx(float(row["flops"]), abs=1.0), row["role"]
        if row["bytes"]:
            # the evidence counts each tensor once; columns that become rows read a 32-byte sector for 4 bytes
            moved = 36 / 8 if row["role"] == "scale_contiguous" else 1
            assert op.bytes == pytest.approx(moved * float(row["bytes"]) * op.calls, rel=0.02), row["role"]
        if row["gemm_m"] and op.kind in ("gemm_fp8", "gemm_bf16", "wgrad_fp8"):
            assert op.shape == tuple(int(float(row[f"gemm_{axis}"])) for axis in "mnk"), row["role"]
