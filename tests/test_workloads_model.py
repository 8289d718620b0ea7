"""Sizes and FLOPs of a model against published numbers and by hand."""

import pytest

from netsim.errors import NetsimError
from netsim.specs import ModelSpec, WorkloadSpec, load
from netsim.workloads.model import (
    active_parameters,
    flops_per_token,
    layer_flops,
    layer_matrices,
    layer_parameters,
    mtp_parameters,
    parameters_by_part,
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
