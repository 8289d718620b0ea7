"""Arithmetic intensity against the counts in the head."""

import pytest

from netsim.specs import ModelSpec, WorkloadSpec, load
from netsim.workloads.intensity import Shares, decode_token, decode_work, sequence_work
from netsim.workloads.model import active_parameters, layer_flops, total_parameters


@pytest.fixture(scope="module")
def v3() -> ModelSpec:
    return load(WorkloadSpec, "workload", "deepseek-v3").model


def grouped(v3: ModelSpec, keys: int) -> ModelSpec:
    kind = {1: "mqa", 128: "mha"}.get(keys, "gqa")
    attention = {"kind": kind, "heads": 128, "kv_heads": keys, "head_dim": 128}
    return ModelSpec.model_validate(v3.model_dump() | {"attention": attention})


def test_the_core_of_a_cache_shared_by_all_heads(v3: ModelSpec) -> None:
    # 2 x 128 heads x (2 x 512 + 64) operations a cached token over (512 + 64) x 2 B = 241.8, whatever batch and length
    for batch, context in ((1, 1024), (64, 32768)):
        core = decode_work(v3, batch, context)["attention core"]
        assert core.intensity == pytest.approx(2 * 128 * 1088 / (576 * 2))
        assert core.bytes == batch * context * 576 * 2


@pytest.mark.parametrize("keys", [1, 8, 128])
def test_the_core_of_heads_is_as_intense_as_heads_share_keys(v3: ModelSpec, keys: int) -> None:
    # 4 heads d operations over 2 kv_heads d values of 2 B: heads / kv_heads
    core = decode_work(grouped(v3, keys), 7, 4096)["attention core"]
    assert core.intensity == pytest.approx(128 / keys)


def test_half_the_bytes_are_twice_the_intensity(v3: ModelSpec) -> None:
    fp8, bf16 = (decode_work(v3, 8, 4096, size, size) for size in ("fp8", "bf16"))
    for block in ("projections", "attention core", "dense FFN", "experts"):
        assert fp8[block].intensity == pytest.approx(2 * bf16[block].intensity)
        assert fp8[block].flops == bf16[block].flops


def test_products_of_a_batch_read_weights_once(v3: ModelSpec) -> None:
    # 2 W B operations over 2 W bytes: B
    assert decode_work(v3, 33, 4096)["dense FFN"].intensity == pytest.approx(33)
    assert decode_work(v3, 33, 4096)["head"].intensity == pytest.approx(33)


def test_one_token_reads_the_experts_it_chose_and_many_read_all(v3: ModelSpec) -> None:
    expert = 3 * 7168 * 2048
    one = decode_work(v3, 1, 1)["experts"]
    assert one.bytes == pytest.approx(2 * (9 * expert + 256 * 7168))
    many = decode_work(v3, 100_000, 1)["experts"]
    assert many.bytes == pytest.approx(2 * (257 * expert + 256 * 7168))


def test_a_token_reads_active_parameters_and_a_large_batch_all_of_them(v3: ModelSpec) -> None:
    # without the embedding, norms and biases (0.2 %): 36.6 B and 670 B weights of 2 B
    table = v3.vocabulary * v3.hidden
    alone = decode_token(v3, 1, 0)
    assert alone.bytes == pytest.approx(2 * (active_parameters(v3) - table), rel=0.002)
    assert alone.flops == pytest.approx(2 * (active_parameters(v3) - table), rel=0.002)
    assert decode_token(v3, 100_000, 0).bytes == pytest.approx(2 * (total_parameters(v3) - table), rel=0.002)


def test_sequences_do_the_operations_of_a_layer(v3: ModelSpec) -> None:
    found = sequence_work(v3, 4096, 4096, Shares(expert=64, products="fp8"))
    assert found.keys() == {"attention", "dense FFN", "experts", "head"}
    layer = found["attention"].flops + found["dense FFN"].flops
    assert layer == pytest.approx(layer_flops(v3, "dense", 4096, 4096))
    # every expert of the group meets 1/64 of 64 x 4,096 tokens' rows: far above the 591 operations a byte of FP8
    assert found["experts"].intensity > 200
