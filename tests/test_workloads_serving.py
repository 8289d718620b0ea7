"""Operators and memory of serving by hand: cache reads, absorbed attention, weights and the batch that fits."""

from dataclasses import replace

import pytest

from netsim.errors import NetsimError
from netsim.specs import WorkloadSpec, load
from netsim.specs.model import ModelSpec
from netsim.workloads.decode import CORE, STAGES, DecodeLoad, decode_layer, head
from netsim.workloads.model import mtp_parameters, total_parameters
from netsim.workloads.operators import Operator
from netsim.workloads.prefill import TRAINING_ONLY, PrefillLoad, prefill_layer
from netsim.workloads.serving import Unit, cache_bytes_per_token, local_experts, serving_memory

JOB = load(WorkloadSpec, "workload", "deepseek-v3")
V3 = JOB.model
LOAD = DecodeLoad(64, 2, 4989, 1, 1024, 2)


def by_heads(kind: str, kv_heads: int | None = None) -> ModelSpec:
    attention = {"kind": kind, "heads": 128, "head_dim": 128} | ({"kv_heads": kv_heads} if kv_heads else {})
    return ModelSpec.model_validate(V3.model_dump() | {"attention": attention})


def core_of(model: ModelSpec, load_: DecodeLoad) -> Operator:
    return next(op for op in decode_layer(model, "moe", load_)["attn_1"] if op.name == CORE)


def test_the_cache_is_read_once_for_each_request_however_many_tokens_it_has() -> None:
    one, two = core_of(V3, replace(LOAD, queries=1)), core_of(V3, LOAD)
    cache = 64 * 4989 * 576 * 2
    assert two.flops == 2 * one.flops == 2.0 * 64 * 2 * 128 * 4989 * (576 + 512)
    assert one.bytes == cache + 64 * 128 * (576 + 512) * 2
    assert two.bytes == cache + 2 * 64 * 128 * (576 + 512) * 2


@pytest.mark.parametrize(
    ("kind", "kv_heads", "values"), [("gqa", 8, 2048), ("mqa", None, 256), ("mha", None, 32768)]
)
def test_attention_by_heads_reads_the_heads_it_keeps(kind: str, kv_heads: int | None, values: int) -> None:
    op = core_of(by_heads(kind, kv_heads), LOAD)
    assert op.flops == 2.0 * 64 * 2 * 128 * 4989 * (128 + 128)
    assert op.bytes == 64 * 4989 * values * 2 + 2 * 64 * 128 * 256 * 2
    assert not any(
        "absorb" in op.name for op in decode_layer(by_heads(kind, kv_heads), "moe", LOAD)["attn_1"]
    )


def test_an_expert_reads_its_weights_once_and_computes_whole_tiles() -> None:
    few = decode_layer(V3, "moe", replace(LOAD, expert_rows=2))["experts"]
    up, _, down = few
    assert up.bytes == pytest.approx(2 * 4096 * 7168, rel=1e-3)
    assert down.bytes == pytest.approx(2 * 2048 * 7168, rel=2e-3)
    assert up.flops == 2.0 * 2 * 4096 * 7168
    assert up.shape == (128, 4096, 7168, 2)  # one row each, in a tile of 64


def test_weights_of_a_layer_in_products_are_the_models() -> None:
    # FP8 products read each weight as one byte: as many bytes more as weights, whatever the tokens
    stages = decode_layer(V3, "moe", LOAD)
    assert tuple(stages) == STAGES
    products = [op for ops in stages.values() for op in ops if op.kind == "gemm_fp8"]
    weights = sum(op.shape[1] * op.shape[2] for op in products)
    kv_up = 512 * 128 * 256  # runs absorbed, in BF16
    attention = 7168 * (1536 + 576) + 1536 * 24576 + 16384 * 7168
    assert weights == attention + 3 * 7168 * 2048
    absorbed = [op for op in stages["attn_1"] if "absorb" in op.name]
    assert sum(op.flops for op in absorbed) == 2.0 * 128 * kv_up


def test_tensor_parallel_attention_divides_heads_and_sees_all_tokens() -> None:
    whole, part = core_of(V3, LOAD), core_of(V3, replace(LOAD, tensor=4))
    assert part.shape == (256, 32, 4989, 576, 512)
    assert part.flops == whole.flops  # four times the requests, a quarter of the heads
    assert part.bytes - 2 * 64 * 128 * 1088 * 2 == 4 * 64 * 4989 * 576 * 2  # every GPU holds the latents
    assert head(V3, 8, 2)[1].shape == (16, V3.vocabulary // 2, 7168)


def test_products_in_bf16_read_twice_the_weights() -> None:
    fp8, bf16 = (decode_layer(V3, "moe", LOAD, products=p) for p in ("fp8", "bf16"))  # type: ignore[arg-type]
    down = [next(op for op in layer["attn_1"] if op.name == "decode_o_proj") for layer in (fp8, bf16)]
    assert [op.kind for op in down] == ["gemm_fp8", "gemm_bf16"]
    assert down[1].flops == down[0].flops
    assert not any(op.kind == "quant" for ops in bf16.values() for op in ops)


def test_prefill_of_whole_prompts_is_the_forward_of_training_without_its_stashes() -> None:
    stages = prefill_layer(V3, "moe", PrefillLoad(8192, 4096, 0.0, 65536, 9))
    names = {op.name for ops in stages.values() for op in ops}
    assert not names & TRAINING_ONLY
    core = next(op for op in stages["attn_1"] if op.kind == "attention_fwd")
    assert core.shape == (2, 128, 4096, 192, 128)
    assert core.flops == 2 * 687194767360.0


def test_cached_prompts_compute_fewer_tokens_and_the_same_pairs() -> None:
    plain, cached = (PrefillLoad(4096, 8192, share, 0, 1) for share in (0.0, 0.5))
    # of 8,192 tokens the later half: 4096 x 4096 pairs with the cached, 4096^2 / 2 among themselves
    assert cached.pairs == 4096 * 4096 * 1.5
    assert plain.pairs == 4096 * 8192 / 2
    up = [
        next(op for op in prefill_layer(V3, "dense", x)["attn_0"] if op.name == "kv_b_proj_fwd")
        for x in (plain, cached)
    ]
    assert up[1].flops == 2 * up[0].flops  # cached latents are projected up again
    assert up[1].shape[0] == 8192


def test_a_prompt_in_chunks_has_the_pairs_of_the_whole() -> None:
    chunk = prefill_layer(V3, "dense", PrefillLoad(2048, 8192, 0.0, 0, 1))["attn_1"][0]
    whole = prefill_layer(V3, "dense", PrefillLoad(8192, 8192, 0.0, 0, 1))["attn_1"][0]
    assert 4 * chunk.flops == whole.flops
    assert chunk.shape[2] == 4096  # 2048 x 8192 / 2 pairs are those of a sequence of 4,096


def test_weights_of_all_gpus_are_the_model_and_its_replicas() -> None:
    unit = Unit(256, 0)
    m = serving_memory(V3, unit, 1, 1, ("bf16", "bf16"), 0.0, 80e9)
    experts = 58 * 256 * 3 * 7168 * 2048 * 2.0
    assert 256 * m.experts == experts
    assert m.experts * 256 + m.replicas == 2.0 * total_parameters(V3)
    own = serving_memory(V3, Unit(1, 0), 1, 1, ("bf16", "bf16"), 0.0, 80e9)
    assert own.mtp == 2.0 * mtp_parameters(V3)


def test_the_largest_batch_is_the_last_that_fits() -> None:
    def at(batch: int) -> bool:
        return serving_memory(V3, Unit(128), batch, 4989, ("fp8", "bf16"), 8e9, 80e9).fits

    limit = serving_memory(V3, Unit(128), 1, 4989, ("fp8", "bf16"), 8e9, 80e9).limit
    assert at(limit)
    assert not at(limit + 1)


def test_cache_of_attention_kinds_and_precisions() -> None:
    assert cache_bytes_per_token(V3, "bf16") == 70272.0  # table 1
    assert cache_bytes_per_token(V3, "fp8") == 70272.0 / 2
    assert cache_bytes_per_token(V3, "bf16", mtp=True) == 70272.0 * 62 / 61
    assert (
        cache_bytes_per_token(V3, "bf16", tensor=4) == 4 * 70272.0
    )  # four times the requests, whole latents
    gqa = by_heads("gqa", 8)
    assert (
        cache_bytes_per_token(gqa, "bf16", tensor=4) == cache_bytes_per_token(gqa, "bf16") == 61 * 2048 * 2.0
    )


def test_experts_that_do_not_divide_name_what_would() -> None:
    assert local_experts(V3, Unit(144, 32)) == 2
    with pytest.raises(NetsimError, match="nearest: redundant = 32"):
        local_experts(V3, Unit(144, 0))
    dense = V3.model_copy(update={"moe": None, "dense_layers": 61})
    assert local_experts(dense, Unit(1)) == 0
    with pytest.raises(NetsimError, match="has no experts, must be 1"):
        local_experts(dense, Unit(8))


def test_gpus_that_share_attention_divide_its_heads_and_not_its_latents() -> None:
    # 4 GPUs of 8 tokens each: 32 tokens, 128 / 4 heads of 128 to 7,168, and the latents of 32 tokens for every GPU
    stages = decode_layer(V3, "moe", DecodeLoad(8, 1, 100, tensor=4, expert_rows=64, local_experts=4))
    flops = {op.name: op.flops for stage in stages.values() for op in stage}
    assert flops["decode_o_proj"] == 2 * 32 * (32 * 128) * 7168
    assert flops["decode_absorb_keys"] == 2 * 32 * 32 * 128 * 512
    assert flops["decode_qkv_down_proj"] == 2 * 32 * 7168 * (1536 + 512 + 64)
    assert flops[CORE] == 2 * 32 * 32 * 100 * (512 + 64 + 512)
