"""Kinds of attention, dense models and BF16 products: each choice changes what it should, by hand."""

from typing import Any

import pytest

from netsim.errors import NetsimError
from netsim.specs import ModelSpec, WorkloadSpec, load, validate
from netsim.specs.case import make_case
from netsim.specs.formats import Products
from netsim.workloads.attention import attention_matrices, attention_vectors, kv_cache_bytes
from netsim.workloads.model import flops_per_token, layer_flops, layer_parameters, total_parameters
from netsim.workloads.moe import routing_statistics, token_bytes
from netsim.workloads.operators import Operator, block_operators

H, HEADS, D, WIDTH, V, LAYERS = 8192, 64, 128, 28672, 128256, 80
#: Llama 3.1 70B
LLAMA: dict[str, Any] = {
    "name": "llama", "layers": LAYERS, "hidden": H, "vocabulary": V, "dense_width": WIDTH,
    "attention": {"kind": "gqa", "heads": HEADS, "kv_heads": 8, "head_dim": D},
}  # fmt: skip
PHASES = "FBW"


def model(**attention: Any) -> ModelSpec:
    return validate(ModelSpec, LLAMA | {"attention": LLAMA["attention"] | attention}, "llama.toml")


@pytest.fixture(scope="module")
def llama() -> ModelSpec:
    return model()


@pytest.fixture(scope="module")
def v3() -> ModelSpec:
    return load(WorkloadSpec, "workload", "deepseek-v3").model


def ops(spec: ModelSpec, kind: str, block: str, phase: str, **how: Any) -> tuple[Operator, ...]:
    return block_operators(spec, kind, block, phase, 4096, 4096, 32768, 4, **how)


def all_ops(spec: ModelSpec, kind: str, phase: str, **how: Any) -> list[Operator]:
    return [op for block in ("attn", "mlp") for op in ops(spec, kind, block, phase, **how)]


# -- attention by heads -------------------------------------------------------------------------------------


def test_a_dense_layer_by_hand(llama: ModelSpec) -> None:
    # q and o: 8192 x 8192 each; k and v: 8192 x 1024 each; FFN 3 x 8192 x 28672; two norms
    assert attention_matrices(llama.attention, H) == 2 * H * H + 2 * H * 1024
    dense, expert = layer_parameters(llama, "dense")
    assert dense == 2 * H * H + 2 * H * 1024 + 3 * H * WIDTH + 2 * H
    assert expert == 0
    # the published checkpoint of Llama 3.1 70B
    assert total_parameters(llama) == 70_553_706_496


@pytest.mark.parametrize(("kind", "keys"), [("mha", 64), ("gqa", 8), ("mqa", 1)])
def test_heads_of_keys_change_cache_projections_and_nothing_else(
    llama: ModelSpec, kind: str, keys: int
) -> None:
    made = model(kind=kind, kv_heads=keys)
    assert kv_cache_bytes(made) == LAYERS * 2 * keys * D * 2
    assert kv_cache_bytes(made, "fp8") * 2 == kv_cache_bytes(made)
    assert attention_matrices(made.attention, H) - attention_matrices(llama.attention, H) == 2 * H * D * (
        keys - 8
    )
    # the core and the FFN stay, so FLOPs differ by the projections alone: 2 a weight, three times in training
    difference = flops_per_token(made, 4096) - flops_per_token(llama, 4096)
    assert difference == pytest.approx(6 * LAYERS * 2 * H * D * (keys - 8))


def test_latents_against_groups_of_heads(v3: ModelSpec) -> None:
    # table 1 of arXiv 2505.09343: 61 x (512 + 64) x 2 B; the same model with 8 groups of 128-wide heads
    assert kv_cache_bytes(v3) == 70_272
    grouped = v3.model_copy(update={"attention": model(heads=128).attention})
    assert kv_cache_bytes(grouped) == 61 * 2 * 8 * 128 * 2
    # experts, dense FFN, vocabulary and what leaves a layer stay
    attention = attention_matrices(v3.attention, 7168) + attention_vectors(v3.attention, 7168)
    other = attention_matrices(grouped.attention, 7168)
    assert total_parameters(v3) - total_parameters(grouped) == 61 * (attention - other)
    assert ops(v3, "moe", "mlp", "F") == ops(grouped, "moe", "mlp", "F")


def test_biases_are_parameters_and_no_operations(llama: ModelSpec) -> None:
    biased = model(qkv_bias=True)
    assert total_parameters(biased) - total_parameters(llama) == LAYERS * (64 + 2 * 8) * D
    assert flops_per_token(biased, 4096) == flops_per_token(llama, 4096)


def test_a_tied_head_is_counted_once(llama: ModelSpec) -> None:
    tied = llama.model_copy(update={"tied_embeddings": True})
    assert total_parameters(llama) - total_parameters(tied) == V * H
    assert flops_per_token(tied, 4096) == flops_per_token(llama, 4096)


@pytest.mark.parametrize("products", ["fp8", "bf16"])
def test_operators_and_closed_form_agree(llama: ModelSpec, products: str) -> None:
    made = all_ops(llama, "dense", "F", products=products)
    assert sum(op.flops for op in made) == pytest.approx(layer_flops(llama, "dense", 4096, 4096))


def test_backward_repeats_the_products_and_a_half_more_of_the_core(llama: ModelSpec) -> None:
    # without recomputed products: B = F's products + 5/2 of the core, W = F's products
    flops = {phase: sum(op.flops for op in all_ops(llama, "dense", phase)) for phase in PHASES}
    core = next(op.flops for op in ops(llama, "dense", "attn", "F") if op.kind == "attention_fwd")
    assert flops["B"] == pytest.approx(flops["F"] + 1.5 * core)
    assert flops["W"] == pytest.approx(flops["F"] - core)


def test_the_core_reads_keys_and_values_of_the_groups_only(llama: ModelSpec) -> None:
    # BF16: 64 heads of queries and outputs, 8 of keys and values
    core = next(op for op in ops(llama, "dense", "attn", "F") if op.kind == "attention_fwd")
    assert core.bytes == 2 * 4096 * 2 * 128 * (64 + 8)
    assert core.flops == 4 * 64 * 128 * 4096**2 / 2


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("products", ["fp8", "bf16"])
def test_tensor_parallel_ranks_add_up(llama: ModelSpec, phase: str, products: str) -> None:
    whole = all_ops(llama, "dense", phase, products=products)
    share = all_ops(llama, "dense", phase, products=products, tensor=8, context=2)
    assert [op.name for op in share] == [op.name for op in whole]
    assert 16 * sum(op.flops for op in share) == pytest.approx(sum(op.flops for op in whole))
    named = {op.name: op for op in share}
    if phase == "F":
        # a rank of eight: 8 query heads, 1 of keys, 1 of values
        assert named["qkv_proj_fwd"].shape == (2048, 10 * 128, H)


def test_more_ranks_than_heads_of_keys_repeat_them() -> None:
    few = model(kind="mqa", kv_heads=1)
    made = {op.name: op for op in ops(few, "dense", "attn", "F", tensor=8)}
    assert made["qkv_proj_fwd"].shape == (4096, (8 + 2) * 128, H)
    assert kv_cache_bytes(few, tensor=8) == kv_cache_bytes(few)
    # latents are whole on every rank too, heads of keys are divided
    assert kv_cache_bytes(model(), tensor=8) * 8 == kv_cache_bytes(model())


def test_queries_without_a_rank_are_one_product(v3: ModelSpec) -> None:
    direct = v3.model_copy(update={"attention": v3.attention.model_copy(update={"q_rank": None})})
    # q_a and q_b against one matrix: 7168 x 1536 + 1536 x 24576 against 7168 x 24576
    assert attention_matrices(direct.attention, 7168) - attention_matrices(
        v3.attention, 7168
    ) == 7168 * 24576 - 1536 * (7168 + 24576)
    for phase in PHASES:
        made = all_ops(direct, "dense", phase)
        assert len({op.name for op in made}) == len(made)
        assert not any("q_a" in op.name or "q_lora" in op.name for op in made)
    forward = sum(op.flops for op in all_ops(direct, "dense", "F"))
    assert forward == pytest.approx(layer_flops(direct, "dense", 4096, 4096))
    weights = sum(op.flops for op in all_ops(direct, "dense", "W"))
    core = next(op.flops for op in ops(direct, "dense", "attn", "F") if op.kind == "attention_fwd")
    assert weights == pytest.approx(forward - core)


# -- precision and recompute --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["moe", "dense"])
@pytest.mark.parametrize("phase", PHASES)
def test_bf16_products_do_the_same_operations_without_any_cast(v3: ModelSpec, kind: str, phase: str) -> None:
    fp8, bf16 = all_ops(v3, kind, phase), all_ops(v3, kind, phase, products="bf16")
    assert sum(op.flops for op in bf16) == pytest.approx(sum(op.flops for op in fp8))
    kinds = {op.kind for op in bf16}
    assert not kinds & {"gemm_fp8", "wgrad_fp8", "grouped_gemm_fp8", "grouped_wgrad_fp8"}
    quants = {op.name for op in bf16 if op.kind == "quant"}
    assert quants <= {"cast_e5m6_attn_out", "attn_out_e5m6_decode"}
    assert not kinds & {"cast_transpose", "weight_transpose", "gather_transpose"}
    # what is left keeps its order
    order = [op.name for op in fp8]
    assert [name for name in order if name in {op.name for op in bf16}] == [op.name for op in bf16]


def test_bf16_moves_two_bytes_where_fp8_moved_one(llama: ModelSpec) -> None:
    # down-projection of 4,096 tokens: 2 B x (m k + n k + m n) against FP8 in and weights, BF16 out
    made = {op.name: op for op in ops(llama, "dense", "mlp", "F", products="bf16")}
    assert made["dense_down_fwd"].bytes == 2 * (4096 * WIDTH + H * WIDTH + 4096 * H)
    assert made["dense_swiglu_fwd"].bytes == 6 * 4096 * WIDTH
    # a weight gradient reads and writes an FP32 main gradient
    gradient = {op.name: op for op in ops(llama, "dense", "mlp", "W", products="bf16")}["dense_down_wgrad"]
    assert gradient.bytes == 2 * 4096 * (H + WIDTH) + 8 * H * WIDTH


def test_grouped_products_in_bf16_do_the_work_of_one_for_each_expert(v3: ModelSpec) -> None:
    # 32,768 rows at 4 experts: four products of 8,192 x 4,096 x 7,168
    made = {op.name: op for op in ops(v3, "moe", "mlp", "F", products="bf16")}["routed_gateup_fwd"]
    assert (made.kind, made.shape, made.calls) == ("grouped_gemm_bf16", (32768, 4096, 7168, 4), 1)
    assert made.flops == 2 * 32768 * 4096 * 7168
    assert made.bytes == 4 * 2 * (8192 * 7168 + 4096 * 7168 + 8192 * 4096)


def test_recomputation_is_what_the_backward_runs_again(v3: ModelSpec) -> None:
    both = {op.name: op for op in all_ops(v3, "moe", "B")}
    no_up = {op.name for op in all_ops(v3, "moe", "B", recompute=("norm", "act"))}
    no_norm = {op.name for op in all_ops(v3, "moe", "B", recompute=("mla_up", "act"))}
    # 4,096 x (24,576 x 1,536 + 32,768 x 512) products are what the up-projections cost
    gone = both.keys() - no_up
    assert sum(both[name].flops for name in gone) == 2 * 4096 * (24576 * 1536 + 32768 * 512)
    assert both.keys() - no_norm == {"attn_norm_recompute", "ffn_norm_recompute", "cast_fp8_ffn_in_recompute"}
    for phase in "FW":
        assert all_ops(v3, "moe", phase) == all_ops(v3, "moe", phase, recompute=())


@pytest.mark.parametrize("products", ["fp8", "bf16"])
def test_kept_activations_are_read_and_not_made_again(v3: ModelSpec, products: Products) -> None:
    words = ("norm", "mla_up")
    for kind, width in (("moe", 2048), ("dense", 18432)):
        again = all_ops(v3, kind, "B", products=products, recompute=(*words, "act"))
        kept = all_ops(v3, kind, "B", products=products, recompute=words)
        assert sum(op.bytes for op in again) > sum(op.bytes for op in kept)
        assert sum(op.flops for op in again) == sum(op.flops for op in kept)
        assert not any("swiglu" in op.name and "recompute" in op.name for op in kept), width
    # 9 experts a token of 2,048, or one FFN of 18,432: gate and up read, the product written, in BF16 not at all
    if products == "bf16":
        names = {op.name for op in all_ops(v3, "dense", "B", products="bf16", recompute=words)}
        assert "dense_swiglu_out_cast_transpose" not in names


def test_the_core_and_shared_experts_run_again_inside_their_block(v3: ModelSpec) -> None:
    plain = all_ops(v3, "moe", "B")
    core = all_ops(v3, "moe", "B", recompute=("norm", "mla_up", "act", "core"))
    assert {op.name for op in core} - {op.name for op in plain} == {"flash_attn_fwd_again"}
    shared = all_ops(v3, "moe", "B", recompute=("norm", "mla_up", "act", "shared_experts"))
    more = sum(op.flops for op in shared) - sum(op.flops for op in plain)
    assert more == 2 * 4096 * 3 * 7168 * 2048
    # whole layers are tasks of their own: nothing is computed again inside a block
    full = {op.name for op in all_ops(v3, "moe", "B", recompute=("layer",))}
    assert not any("recompute" in name for name in full)


# -- what a choice does to the wire -------------------------------------------------------------------------


def test_fp8_dispatch_is_half_the_bytes_and_the_scales() -> None:
    # 7,168 values of 1 B and 56 scales of 4 B, against 2 B each; the rest of the message stays
    fp8, bf16 = (token_bytes("dispatch", 7168, 8, precision) for precision in ("fp8", "bf16"))
    assert bf16 - fp8 == 7168 - 4 * 56


@pytest.mark.parametrize(("precision", "bits", "together"), [("logfmt8", 8, 8), ("logfmt10", 10, 8)])
def test_logarithmic_formats_carry_a_least_value_and_a_step(precision: str, bits: int, together: int) -> None:
    # 16 bytes of metadata and 4 for each of 8 weights stay
    expected = 7168 * bits / 8 + 56 * together + 16 + 32
    assert token_bytes("combine", 7168, 8, precision) == expected
    spec = make_case(overrides={"communication.combine": precision}).workload.communication
    assert spec.combine == precision


@pytest.mark.parametrize("products", ["fp8", "bf16"])
def test_attention_kept_in_16_bits_needs_no_cast(v3: ModelSpec, products: str) -> None:
    for phase, name in (("F", "cast_e5m6_attn_out"), ("B", "attn_out_e5m6_decode")):
        twelve, sixteen = (
            {op.name for op in all_ops(v3, "moe", phase, products=products, attention_bits=bits)}
            for bits in (12, 16)
        )
        assert twelve - sixteen == {name}


def test_a_group_limit_bounds_hosts_and_so_wire_bytes(v3: ModelSpec) -> None:
    free = v3.experts.model_copy(update={"groups": 1, "group_limit": 1})
    limited, unlimited = (routing_statistics(moe, 64, 8) for moe in (v3.experts, free))
    # 8 choices of 256 over 8 hosts of 32: 8 (1 - C(224, 8)/C(256, 8)) = 5.31 hosts against at most 4
    expected = 8.0
    missed = 1.0
    for n in range(8):
        missed *= (224 - n) / (256 - n)
    assert unlimited.hosts == pytest.approx(expected * (1 - missed), rel=0.01)
    assert limited.hosts <= 4.0
    assert limited.remote_hosts / unlimited.remote_hosts == pytest.approx(limited.hosts / unlimited.hosts)
    # parameters and operations do not know of the limit
    other = v3.model_copy(update={"moe": free})
    assert total_parameters(other) == total_parameters(v3)
    assert flops_per_token(other, 4096) == flops_per_token(v3, 4096)


def test_a_token_without_experts_stays() -> None:
    assert routing_statistics(None, 1, 8).remote_hosts == 0.0


# -- what is said when it does not fit -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"attention": {"kind": "gqa", "heads": 64, "head_dim": 128}}, "kv_heads is missing"),
        ({"attention": {"kind": "mqa", "heads": 64, "kv_heads": 8, "head_dim": 128}}, "kv_heads = 8, must be 1"),
        ({"attention": {"kind": "mha", "heads": 64, "kv_heads": 8, "head_dim": 128}}, "kv_heads = 8, must be 64"),
        ({"attention": {"kind": "gqa", "heads": 64, "kv_heads": 7, "head_dim": 128}}, "kv_heads = 7, must divide"),
        ({"attention": {"kind": "gqs"}}, "attention.kind = 'gqs', no such kind: did you mean 'gqa'?"),
        ({"attention": {"heads": 64}}, "attention.kind is missing"),
        ({"attention": LLAMA["attention"] | {"kv_head": 8}}, "attention.kv_head = 8, unknown key: did you mean"),
        ({"dense_layers": 3}, "dense_layers = 3, must be layers = 80 in a model without moe"),
        ({"dense_width": 0}, "dense_width is missing: 80 layers are dense"),
    ],
)  # fmt: skip
def test_a_model_that_does_not_fit_is_one_clear_line(change: dict[str, Any], line: str) -> None:
    with pytest.raises(NetsimError) as caught:
        validate(ModelSpec, LLAMA | change, "llama.toml")
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_keys_of_both_kinds_are_known_to_set() -> None:
    wider = make_case(overrides={"model.attention.kv_rank": 256}).workload.model
    assert kv_cache_bytes(wider) == 61 * (256 + 64) * 2
    with pytest.raises(NetsimError, match="kv_heads = 8, unknown key"):
        make_case(overrides={"model.attention.kv_heads": 8})
    grouped = {"kind": "gqa", "heads": 128, "kv_heads": 8, "head_dim": 128}
    assert (
        kv_cache_bytes(make_case(overrides={"model.attention": grouped}).workload.model) == 61 * 2 * 1024 * 2
    )


def test_experts_are_asked_only_of_a_model_that_has_some(llama: ModelSpec) -> None:
    with pytest.raises(NetsimError, match=r"has no experts: model\.moe is missing"):
        _ = llama.experts
