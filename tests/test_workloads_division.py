"""Tensor and context parallelism: what the ranks do adds up to what one would do alone."""

import pytest

from netsim.compute import ComputeModel
from netsim.errors import SpecError
from netsim.specs import HardwareSpec, ModelSpec, WorkloadSpec, load
from netsim.specs.model import HeadAttentionSpec
from netsim.specs.profile import ProfileSpec
from netsim.workloads.model import layer_parameters
from netsim.workloads.operators import KINDS, Operator, block_operators

TOKENS = 4096
BLOCKS = [(kind, block) for kind, blocks in KINDS.items() for block in blocks]
#: the shared latents and keys, whose rows are whole on every rank, and what is too small to be divided
REPEATED = {"rope_k_pe_fwd", "rope_k_pe_recompute", "norm_bwd_finalize"}


@pytest.fixture(scope="module")
def v3() -> ModelSpec:
    """DeepSeek-V3 with windowed heads in every other layer, so that it has layers of every kind."""
    made = load(WorkloadSpec, "workload", "deepseek-v3").model
    other = HeadAttentionSpec(
        kind="gqa", heads=128, kv_heads=8, head_dim=128, qkv_bias=True, out_bias=True, qk_norm="head", window=512,
        output_gate=True,
    )  # fmt: skip
    return made.model_copy(update={"alternate": other, "full_every": 2})


def ops(model: ModelSpec, kind: str, block: str, phase: str, tensor: int, context: int) -> list[Operator]:
    rows = TOKENS * 8 // (tensor * context)
    made = block_operators(model, kind, block, phase, TOKENS, TOKENS, rows, 4, tensor=tensor, context=context)
    return list(made)


@pytest.mark.parametrize(("tensor", "context"), [(8, 1), (1, 4), (4, 2)])
@pytest.mark.parametrize("phase", "FBW")
@pytest.mark.parametrize(("kind", "block"), BLOCKS)
def test_operations_of_all_ranks_add_up_to_the_undivided(
    v3: ModelSpec, kind: str, block: str, phase: str, tensor: int, context: int
) -> None:
    whole = ops(v3, kind, block, phase, 1, 1)
    share = ops(v3, kind, block, phase, tensor, context)
    assert [op.name for op in share] == [op.name for op in whole]
    for one, part in zip(whole, share, strict=True):
        assert tensor * context * part.flops == pytest.approx(one.flops), one.name


def test_products_divide_heads_and_width_and_the_rest_divides_tokens(v3: ModelSpec) -> None:
    # TP8 CP2 of 4,096 tokens: products meet 2,048 rows, the norms between them 256
    attn = {op.name: op for op in ops(v3, "dense", "attn", "F", 8, 2)}
    assert attn["attn_norm_fwd"].shape == (256, 7168)
    assert attn["q_a_proj_fwd"].shape == (256, 1536, 7168)
    assert attn["q_b_proj_fwd"].shape == (2048, 16 * 192, 1536)
    assert attn["o_proj_fwd"].shape == (2048, 7168, 16 * 128)
    mlp = {op.name: op for op in ops(v3, "dense", "mlp", "F", 8, 2)}
    assert mlp["dense_gateup_fwd"].shape == (2048, 2 * 18432 // 8, 7168)
    head = {op.name: op for op in ops(v3, "head", "head", "F", 8, 2)}
    assert head["head_proj_fwd"].shape == (2048, 129280 // 8, 7168)
    assert head["final_norm_fwd"].shape == (256, 7168)


def test_a_share_of_the_context_meets_all_keys_and_values(v3: ModelSpec) -> None:
    # bytes: own queries and outputs (1,024 of 4,096 tokens), keys and values of 4,096; BF16, 128 heads
    core = next(op for op in ops(v3, "moe", "attn", "F", 1, 4) if op.name == "flash_attn_fwd")
    assert core.bytes == 2 * 128 * (1024 * (192 + 128) + 4096 * (192 + 128))
    assert core.flops == 2 * 128 * 4096**2 * (192 + 128) / 2 / 4
    assert core.context == 4


def test_time_of_a_shared_context_is_near_its_share(v3: ModelSpec) -> None:
    profile, host = load(ProfileSpec, "profile", "h800"), load(HardwareSpec, "hardware", "h800")
    model = ComputeModel(profile, host)
    one, quarter = (
        next(op for op in ops(v3, "moe", "attn", "F", 1, context) if op.name == "flash_attn_fwd")
        for context in (1, 4)
    )
    whole, part = (model.operator_time(op, False).seconds for op in (one, quarter))
    # never below a quarter, and the launch and the last block are all that is not divided
    assert 0.25 <= part / whole < 0.35


def test_tokens_between_the_products_are_divided(v3: ModelSpec) -> None:
    for kind, block in BLOCKS:
        for phase in "FBW":
            whole = ops(v3, kind, block, phase, 1, 1)
            for one, part in zip(whole, ops(v3, kind, block, phase, 8, 1), strict=True):
                if one.kind in ("norm", "act", "rope") and one.name not in REPEATED:
                    assert 8 * part.bytes == pytest.approx(one.bytes), one.name


@pytest.mark.parametrize(
    ("tensor", "context", "words"),
    [
        (3, 1, "parallelism.tensor = 3, must divide heads = 128"),
        (1, 3, "tensor x context = 3, must divide the sequence of 4096 tokens"),
        (0, 1, "parallelism.tensor = 0, must be at least 1"),
        (1, 0, "parallelism.context = 0, must be at least 1"),
    ],
)
def test_what_cannot_be_divided_is_one_line(v3: ModelSpec, tensor: int, context: int, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        block_operators(v3, "dense", "attn", "F", TOKENS, TOKENS, tensor=tensor, context=context)


@pytest.mark.parametrize("width", ["vocabulary", "dense_width"])
def test_widths_must_divide_too(v3: ModelSpec, width: str) -> None:
    odd = v3.model_copy(update={width: 1001})
    with pytest.raises(SpecError, match=f"tensor = 8, must divide {width} = 1001"):
        block_operators(odd, "dense", "mlp", "F", TOKENS, TOKENS, tensor=8)


def test_parameters_of_a_rank_are_whole_latents_and_divided_heads(v3: ModelSpec) -> None:
    # TP8: q_a, kv_a and norms whole; q_b, kv_b, o, the FFN and the vocabulary divided by 8; experts whole
    latents = 7168 * (1536 + 512 + 64) + 2 * 7168 + 1536 + 512
    heads = 1536 * 128 * 192 + 512 * 128 * 256 + 128 * 128 * 7168
    assert layer_parameters(v3, "dense", 8) == (latents + heads / 8 + 3 * 7168 * 18432 / 8, 0.0)
    assert layer_parameters(v3, "moe", 8).expert == layer_parameters(v3, "moe").expert
    assert layer_parameters(v3, "embedding", 8).total == 129280 * 7168 / 8
    assert layer_parameters(v3, "head", 8).total == 129280 * 7168 / 8 + 7168
