"""Sizes and FLOPs of a model against published numbers and by hand."""

from typing import Any

import pytest

from netsim.errors import NetsimError
from netsim.specs import ModelSpec, WorkloadSpec, load, validate
from netsim.workloads.model import (
    active_parameters,
    flops_per_token,
    layer_flops,
    layer_matrices,
    layer_parameters,
    mtp_parameters,
    parameters_by_part,
    parameters_by_role,
    total_parameters,
)
from netsim.workloads.operators import block_operators


@pytest.fixture(scope="module")
def v3() -> ModelSpec:
    return load(WorkloadSpec, "workload", "deepseek-v3").model


def test_deepseek_v3_is_671_billion_with_37_active(v3: ModelSpec) -> None:
    # technical report, abstract: 671 B total, 37 B active (without the embedding: 36.6 B)
    assert total_parameters(v3) / 1e9 == pytest.approx(671.0, abs=0.1)
    embedding = layer_parameters(v3, "embedding").total
    assert round((active_parameters(v3) - embedding) / 1e9) == 37
    # weights README of the model: 11.5 B unique to the MTP module
    assert mtp_parameters(v3) / 1e9 == pytest.approx(11.5, rel=0.015)


def test_parts_add_up(v3: ModelSpec) -> None:
    assert sum(parameters_by_part(v3).values()) == total_parameters(v3)


def test_a_moe_layer_by_hand(v3: ModelSpec) -> None:
    # MLA: 7168 x (1536 + 576) + 1536 x 24576 + 512 x 32768 + 16384 x 7168 = 187,105,280
    # norms: 2 x 7168 + 1536 + 512; gate: 256 x 7168 + 256; an expert: 3 x 7168 x 2048 = 44,040,192
    dense, expert = layer_parameters(v3, "moe")
    assert dense == 187_105_280 + 16_384 + 1_835_264 + 44_040_192
    assert expert == 256 * 44_040_192


def test_a_dense_layer_by_hand(v3: ModelSpec) -> None:
    # 187,105,280 + 16,384 + 3 x 7168 x 18432
    assert layer_parameters(v3, "dense") == (187_105_280 + 16_384 + 396_361_728, 0.0)


def test_embedding_and_head_are_not_shared(v3: ModelSpec) -> None:
    assert layer_parameters(v3, "embedding").total == 129_280 * 7168
    assert layer_parameters(v3, "head").total == 129_280 * 7168 + 7168


def test_training_flops_per_token_against_the_paper(v3: ModelSpec) -> None:
    # 385 causal and 432 non-causal TFLOPS x 19.926 s x 2048 GPUs / (15,360 x 4,096 tokens)
    # = 249.7 and 280.2 GFLOP a token (Insights, table 4; table 2 prints 250)
    gpu_seconds_per_token = 19.926 * 2048 / (15_360 * 4096)
    causal = flops_per_token(v3, 4096)
    noncausal = flops_per_token(v3, 4096, causal=False)
    assert causal == pytest.approx(385e12 * gpu_seconds_per_token, rel=0.005)
    assert noncausal == pytest.approx(432e12 * gpu_seconds_per_token, rel=0.005)


def test_training_flops_are_six_times_the_matrices_and_three_times_the_attention(v3: ModelSpec) -> None:
    # attention of a token, causal, forward: 2 x 128 heads x 4096 / 2 x (192 + 128) x 61 layers
    matrices = 3 * layer_matrices(v3, "dense") + 58 * layer_matrices(v3, "moe") + layer_matrices(v3, "head")
    attention = 61 * 2 * 128 * 4096 / 2 * 320
    assert flops_per_token(v3, 4096) == pytest.approx(3 * (2 * matrices + attention))
    assert flops_per_token(v3, 4096, training=False) == pytest.approx(2 * matrices + attention)


def test_table_2_of_the_dense_models_by_hand() -> None:
    # LLaMA-405B: 2,448 is six operations a weight and half of three times the causal core; netsim counts all of it
    llama, qwen = (load(WorkloadSpec, "workload", name).model for name in ("llama-3.1-405b", "qwen2.5-72b"))
    matrices = 126 * layer_matrices(llama, "dense") + layer_matrices(llama, "head")
    core = 3 * 126 * 2 * 128 * 4096 / 2 * 256
    assert flops_per_token(llama, 4096) == pytest.approx(6 * matrices + core)
    assert round((6 * matrices + core / 2) / 1e9) == 2448
    # Qwen-72B: 394 is less than the products of its layers alone
    assert 6 * 80 * layer_matrices(qwen, "dense") > 420e9


def test_a_moe_layer_forward_is_4_795_and_0_687_teraflop(v3: ModelSpec) -> None:
    # 2 x 4096 x 585,302,016 weights = 4.795e12; attention 0.687e12
    assert layer_flops(v3, "moe", 4096, 4096) / 1e12 == pytest.approx(4.795 + 0.687, abs=1e-3)


@pytest.mark.parametrize("kind", ["moe", "dense", "head", "mtp_in"])
def test_operators_and_closed_form_agree(v3: ModelSpec, kind: str) -> None:
    blocks = ("attn", "mlp") if kind in ("moe", "dense") else (kind,)
    made = [op for b in blocks for op in block_operators(v3, kind, b, "F", 8192, 4096, 8192 * 8, 4)]
    assert sum(op.flops for op in made) == pytest.approx(layer_flops(v3, kind, 8192, 4096))


def test_an_unknown_kind_offers_the_nearest(v3: ModelSpec) -> None:
    with pytest.raises(NetsimError, match="did you mean 'dense'"):
        layer_parameters(v3, "dens")
    with pytest.raises(NetsimError, match="did you mean 'head'"):
        layer_matrices(v3, "heat")


# -- what other families add --------------------------------------------------------------------------------

SMALL: dict[str, Any] = {
    "name": "small", "layers": 6, "hidden": 256, "vocabulary": 1000, "dense_width": 512,
    "attention": {"kind": "gqa", "heads": 4, "kv_heads": 2, "head_dim": 64},
}  # fmt: skip
MOE = {"experts": 8, "width": 128, "top_k": 2}


def small(**more: Any) -> ModelSpec:
    return validate(ModelSpec, SMALL | more, "small.toml")


def heads(**more: Any) -> dict[str, Any]:
    return {"attention": SMALL["attention"] | more}


@pytest.mark.parametrize(
    ("change", "more"),
    [
        # six layers of hidden 256, 4 heads and 2 of keys, 64 wide
        (heads(qkv_bias=True), 6 * (4 + 2 * 2) * 64),
        (heads(out_bias=True), 6 * 256),
        (heads(qk_norm="head"), 6 * 2 * 64),
        (heads(qk_norm="width"), 6 * (4 + 2) * 64),
        (heads(sinks=True), 6 * 4),
        (heads(output_gate=True), 6 * 256 * 4 * 64),
        (heads(window=128), 0),
        ({"gated": False}, -6 * 256 * 512),
        ({"ffn_bias": True}, 6 * (2 * 512 + 256)),
        ({"ffn_bias": True, "gated": False}, 6 * (512 + 256) - 6 * 256 * 512),
        ({"layer_norms": 4}, 6 * 2 * 256),
        ({"layer_norms": 1}, -6 * 256),
        ({"norm_bias": True}, (6 * 2 + 1) * 256),
        ({"head_bias": True}, 1000),
        ({"positions": 2048}, 2048 * 256),
        ({"tied_embeddings": True}, -1000 * 256),
    ],
    ids=str,
)
def test_each_feature_adds_its_own_parameters(change: dict[str, Any], more: int) -> None:
    plain, made = small(), small(**change)
    assert total_parameters(made) - total_parameters(plain) == more
    assert sum(parameters_by_role(made).values()) == total_parameters(made)
    if change.get("gated", True):
        # vectors are no products: operations of the body change with matrices alone
        matrices = layer_matrices(made, "dense") - layer_matrices(plain, "dense")
        assert matrices == (256 * 256 if "output_gate" in str(change) else 0)


def test_shared_experts_have_a_width_and_a_gate_of_their_own() -> None:
    plain = small(moe=MOE | {"shared": 1})
    made = small(moe=MOE | {"shared": 1, "shared_width": 512, "shared_gate": True})
    # six layers: three matrices of 256 x (512 - 128), and a gate of 256
    assert total_parameters(made) - total_parameters(plain) == 6 * (3 * 256 * (512 - 128) + 256)
    assert active_parameters(made) - active_parameters(plain) == 6 * (3 * 256 * (512 - 128) + 256)


def test_experts_in_every_second_layer_behind_the_first_dense_one() -> None:
    made = small(moe=MOE, moe_every=2, dense_layers=1, layers=7)
    assert made.kinds == ("dense", "dense", "moe", "dense", "moe", "dense", "moe")
    assert (made.moe_layers, made.dense_count) == (3, 4)
    assert made.kind_counts == {"dense": 4, "moe": 3}
    dense, moe = layer_parameters(made, "dense").total, layer_parameters(made, "moe").total
    ends = sum(layer_parameters(made, kind).total for kind in ("embedding", "head"))
    assert total_parameters(made) == 4 * dense + 3 * moe + ends


def test_windows_alternate_with_full_attention() -> None:
    other = SMALL["attention"] | {"window": 128}
    made = small(alternate=other, full_every=3)
    assert made.kinds == ("dense_alternate", "dense_alternate", "dense") * 2
    named = small(alternate=other, full_layers=[2, 5])
    assert named.kinds == made.kinds
    assert total_parameters(made) == total_parameters(small())
    # four of six layers meet 128 - 128^2 / 2L keys where the others meet L / 2: 2 x 4 heads x (64 + 64) each
    length = 4096
    less = 4 * 2 * 4 * 128 * (length / 2 - (128 - 128**2 / (2 * length)))
    assert flops_per_token(small(), length, training=False) - flops_per_token(
        made, length, training=False
    ) == pytest.approx(less)
    assert flops_per_token(made, 64) == flops_per_token(small(), 64)


@pytest.mark.parametrize("change", [{}, {"gated": False, "ffn_bias": True}, {"moe": MOE}, {"layer_norms": 4}])
@pytest.mark.parametrize("window", [None, 128])
def test_operators_and_closed_form_agree_for_other_families(
    change: dict[str, Any], window: int | None
) -> None:
    other = SMALL["attention"] | {"window": window, "qk_norm": "head", "output_gate": True}
    made = small(alternate=other, full_every=2, **change)
    for kind in made.kind_counts:
        ops = [
            op for b in ("attn", "mlp") for op in block_operators(made, kind, b, "F", 8192, 4096, 8192 * 2, 8)
        ]
        assert sum(op.flops for op in ops) == pytest.approx(layer_flops(made, kind, 8192, 4096))
        names = " ".join(op.name for op in ops)
        assert ("swiglu" in names) == made.gated
        assert ("post_norm" in names) == (made.layer_norms == 4)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"alternate": SMALL["attention"]}, "alternate: needs full_every or full_layers, one of them"),
        ({"full_every": 2}, "full_every = 2: has no effect without alternate"),
        ({"alternate": SMALL["attention"], "full_every": 1}, "full_every = 1, must be 2 to layers = 6"),
        ({"alternate": SMALL["attention"], "full_layers": [6]}, "full_layers: 6, must be below layers = 6"),
        ({"moe_every": 2}, "moe_every = 2: has no effect in a model without moe"),
        ({"moe": MOE | {"shared_gate": True}}, "shared_gate = True: has no effect with shared = 0"),
        (heads(window=128, chunk=256), "window = 128: has no effect beside chunk = 256"),
    ],
)
def test_a_pattern_that_contradicts_itself_is_one_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(NetsimError, match=line):
        small(**change)
