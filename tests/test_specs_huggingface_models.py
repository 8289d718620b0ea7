"""Public models by their config.json: what netsim counts against the published size of each.

Whole numbers are the parameters of the published checkpoints (their safetensors index); rounded ones are of the model
card or report that the comment names, and hold to half of their last digit where that is more than 2 %. Configs hold
the sizes of the public files.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from netsim.errors import NetsimError
from netsim.specs import ModelSpec, validate
from netsim.specs.huggingface import ARCHITECTURES, model_tables
from netsim.workloads.layers import attention_of
from netsim.workloads.model import active_parameters, total_parameters
from netsim.workloads.operators import block_operators, blocks_of


def config(
    architecture: str,
    hidden: int,
    layers: int,
    words: int,
    heads: int,
    keys: int,
    width: int | None,
    **more: Any,
) -> dict[str, Any]:
    return {
        "architectures": [architecture], "hidden_size": hidden, "num_hidden_layers": layers, "vocab_size": words,
        "num_attention_heads": heads, "num_key_value_heads": keys, "intermediate_size": width, **more,
    }  # fmt: skip


def switched(layers: int, every: int, word: str = "sliding_attention") -> list[str]:
    return ["full_attention" if (n + 1) % every == 0 else word for n in range(layers)]


GPT_OSS = {"head_dim": 64, "num_experts_per_tok": 4, "attention_bias": True, "sliding_window": 128}
MLA = {
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "q_lora_rank": 1536,
}
V3 = {
    **MLA, "moe_intermediate_size": 2048, "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8,
    "first_k_dense_replace": 3, "n_group": 8, "topk_group": 4,
}  # fmt: skip
K2 = {**V3, "n_routed_experts": 384, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1}
QWEN_MOE = {
    "head_dim": 128,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
}
GLM = {
    "head_dim": 128, "attention_bias": True, "n_shared_experts": 1, "num_experts_per_tok": 8, "n_group": 1,
    "topk_group": 1, "num_nextn_predict_layers": 1,
}  # fmt: skip
LING = {
    "head_dim": 128, "num_experts": 256, "num_experts_per_tok": 8, "num_shared_experts": 1, "n_group": 8,
    "topk_group": 4, "use_qkv_bias": False, "use_bias": False, "use_qk_norm": True,
    "moe_router_enable_expert_bias": True, "num_nextn_predict_layers": 0,
}  # fmt: skip

#: name -> config, total, active in billions (None: all of it, or none published)
MODELS: dict[str, tuple[dict[str, Any], int | float, str | None]] = {
    "llama-2-7b": (config("LlamaForCausalLM", 4096, 32, 32000, 32, 32, 11008), 6_738_415_616, None),
    "llama-2-70b": (config("LlamaForCausalLM", 8192, 80, 32000, 64, 8, 28672), 68_976_648_192, None),
    "llama-3.1-70b": (config("LlamaForCausalLM", 8192, 80, 128256, 64, 8, 28672), 70_553_706_496, None),
    "llama-3.1-405b": (config("LlamaForCausalLM", 16384, 126, 128256, 128, 8, 53248), 405_853_388_800, None),
    "llama-3.2-1b": (
        config("LlamaForCausalLM", 2048, 16, 128256, 32, 8, 8192, head_dim=64, tie_word_embeddings=True),
        1_235_814_400, None,
    ),
    # model card of Llama 4: 109 B and 17 B active, 400 B and 17 B active; 0.8 B of them read pictures
    "llama-4-scout": (
        {"architectures": ["Llama4ForConditionalGeneration"], "text_config": config(
            "", 5120, 48, 202048, 40, 8, 8192, model_type="llama4_text", head_dim=128, num_local_experts=16,
            num_experts_per_tok=1, interleave_moe_layer_step=1, intermediate_size_mlp=16384, attention_chunk_size=8192,
            use_qk_norm=True, no_rope_layers=[], architectures=None)},
        109.0 - 0.8, "17",
    ),
    "llama-4-maverick": (
        {"architectures": ["Llama4ForConditionalGeneration"], "text_config": config(
            "", 5120, 48, 202048, 40, 8, 8192, model_type="llama4_text", head_dim=128, num_local_experts=128,
            num_experts_per_tok=1, interleave_moe_layer_step=2, intermediate_size_mlp=16384, attention_chunk_size=8192,
            use_qk_norm=False, no_rope_layers=[1, 1, 1, 0] * 12, architectures=None)},
        400.0, "17",
    ),
    "mistral-7b": (config("MistralForCausalLM", 4096, 32, 32000, 32, 8, 14336, sliding_window=4096),
                   7_241_732_096, None),
    "mistral-nemo": (config("MistralForCausalLM", 5120, 40, 131072, 32, 8, 14336, head_dim=128), 12_247_782_400, None),
    "mixtral-8x22b": (
        config("MixtralForCausalLM", 6144, 56, 32000, 48, 8, 16384, num_local_experts=8, num_experts_per_tok=2),
        140_620_634_112, "39.0",
    ),
    "qwen2.5-7b": (
        config("Qwen2ForCausalLM", 3584, 28, 152064, 28, 4, 18944, use_sliding_window=False, sliding_window=131072,
               max_window_layers=28),
        7_615_616_512, None,
    ),
    "qwen1.5-moe-a2.7b": (  # model card: 14.3 B and 2.7 B active
        config("Qwen2MoeForCausalLM", 2048, 24, 151936, 16, 16, 5632, num_experts=60, num_experts_per_tok=4,
               moe_intermediate_size=1408, shared_expert_intermediate_size=5632, decoder_sparse_step=1,
               use_sliding_window=False, max_window_layers=21),
        14_315_784_192, "2.69",
    ),
    "qwen2-57b-a14b": (  # report, arXiv 2407.10671, table 1
        config("Qwen2MoeForCausalLM", 3584, 28, 151936, 28, 4, 18944, num_experts=64, num_experts_per_tok=8,
               moe_intermediate_size=2560, shared_expert_intermediate_size=20480, decoder_sparse_step=1),
        57.4, "14.2",
    ),
    "qwen3-0.6b": (
        config("Qwen3ForCausalLM", 1024, 28, 151936, 16, 8, 3072, head_dim=128, tie_word_embeddings=True),
        596_049_920, None,
    ),
    "qwen3-8b": (config("Qwen3ForCausalLM", 4096, 36, 151936, 32, 8, 12288, head_dim=128), 8_190_735_360, None),
    "qwen3-32b": (config("Qwen3ForCausalLM", 5120, 64, 151936, 64, 8, 25600, head_dim=128), 32_762_123_264, None),
    "qwen3-30b-a3b": (
        config("Qwen3MoeForCausalLM", 2048, 48, 151936, 32, 4, 6144, moe_intermediate_size=768, **QWEN_MOE),
        30_532_122_624, "3.353",
    ),
    "qwen3-235b-a22b": (
        config("Qwen3MoeForCausalLM", 4096, 94, 151936, 64, 4, 12288, moe_intermediate_size=1536, **QWEN_MOE),
        235_093_634_560, "22.191",
    ),
    # model card, arXiv 2508.10925, table 1: 116.83 and 5.13, 20.91 and 3.61
    "gpt-oss-120b": (
        config("GptOssForCausalLM", 2880, 36, 201088, 64, 8, 2880, num_local_experts=128, layer_types=switched(36, 2),
               **GPT_OSS),
        116.83, "5.13",
    ),
    "gpt-oss-20b": (
        config("GptOssForCausalLM", 2880, 24, 201088, 64, 8, 2880, num_local_experts=32, **GPT_OSS), 20.91, "3.61",
    ),
    "deepseek-v3.2": (  # V3 with an indexer; card of V3: 671 B and 37 B active
        config("DeepseekV32ForCausalLM", 7168, 61, 129280, 128, 128, 18432, index_head_dim=128, index_n_heads=64,
               index_topk=2048, num_nextn_predict_layers=1, **V3),
        671.0, "37",
    ),
    "kimi-k2.5": (  # card: 1 T and 32 B active; the text model's checkpoint holds 1,026.4 B
        {"architectures": ["KimiK25ForConditionalGeneration"], "model_type": "kimi_k25", "text_config": config(
            "DeepseekV3ForCausalLM", 7168, 61, 163840, 64, 64, 18432, model_type="kimi_k2",
            num_nextn_predict_layers=0, topk_method="noaux_tc", **K2)},
        1026.4, "32.6",
    ),
    "glm-4.5": (  # report, arXiv 2508.06471, table 1: 355 B and 32 B active, 106 B and 12 B active, without vocabulary
        config("Glm4MoeForCausalLM", 5120, 92, 151552, 96, 8, 12288, n_routed_experts=160, moe_intermediate_size=1536,
               first_k_dense_replace=3, use_qk_norm=True, **GLM),
        355.0, "32",
    ),
    "glm-4.5-air": (
        config("Glm4MoeForCausalLM", 4096, 46, 151552, 96, 8, 10944, n_routed_experts=128, moe_intermediate_size=1408,
               first_k_dense_replace=1, use_qk_norm=False, **GLM),
        106.0, "12",
    ),
    "minimax-m2": (  # the checkpoint holds 228.7 B; card: 230 B and 10 B active
        config("MiniMaxM2ForCausalLM", 3072, 62, 200064, 48, 8, 1536, head_dim=128, num_local_experts=256,
               num_experts_per_tok=8, shared_intermediate_size=0, use_qk_norm=True, qk_norm_type="per_layer",
               num_mtp_modules=3, use_routing_bias=True, attn_type_list=[1] * 62),
        228.7, "10",
    ),
    "olmoe": (
        config("OlmoeForCausalLM", 2048, 16, 50304, 16, 16, 1024, num_experts=64, num_experts_per_tok=8),
        6_919_161_856, "1.28",
    ),
    "olmo-2-7b": (config("Olmo2ForCausalLM", 4096, 32, 100352, 32, 32, 11008), 7_298_617_344, None),
    "ernie-4.5-21b-a3b": (  # report: 21 B and 3 B active; 300 B and 47 B active
        config("Ernie4_5_MoeForCausalLM", 2560, 28, 103424, 20, 4, 12288, moe_num_experts=64, moe_k=6, head_dim=128,
               moe_num_shared_experts=2, moe_intermediate_size=1536, moe_layer_start_index=1, moe_layer_end_index=27,
               moe_layer_interval=1, tie_word_embeddings=True, use_bias=False),
        21_825_437_888, "3",
    ),
    "ernie-4.5-300b-a47b": (
        config("Ernie4_5_MoeForCausalLM", 8192, 54, 103424, 64, 8, 28672, moe_num_experts=64, moe_k=8,
               moe_num_shared_experts=0, moe_intermediate_size=3584, moe_layer_start_index=3, moe_layer_end_index=53,
               moe_layer_interval=1, tie_word_embeddings=False, use_bias=False),
        300.0, "47",
    ),
    "ling-mini-2.0": (  # card: 16 B (16.3 B) and 1.4 B active
        config("BailingMoeV2ForCausalLM", 2048, 20, 157184, 16, 4, 5120, moe_intermediate_size=512,
               first_k_dense_replace=1, **LING),
        16.26, "1.43",
    ),
    "ling-flash-2.0": (  # card: 100 B (103 B) and 6.1 B active
        config("BailingMoeV2ForCausalLM", 4096, 32, 157184, 32, 4, 9216, moe_intermediate_size=1024,
               first_k_dense_replace=1, **LING),
        103.0, "6.1",
    ),
    "hunyuan-a13b": (  # report: 80 B and 13 B active
        config("HunYuanMoEV1ForCausalLM", 4096, 32, 128167, 32, 8, 3072, num_experts=64, moe_topk=[8] * 32,
               num_shared_expert=[1] * 32, moe_intermediate_size=[3072] * 32, use_mixed_mlp_moe=True, use_cla=False,
               attention_head_dim=128, use_qk_norm=True, tie_word_embeddings=True),
        80.4, "13",
    ),
    "gemma-7b": (config("GemmaForCausalLM", 3072, 28, 256000, 16, 16, 24576, head_dim=256), 8_537_680_896, None),
    "gemma-2-9b": (
        config("Gemma2ForCausalLM", 3584, 42, 256000, 16, 8, 14336, head_dim=256, sliding_window=4096),
        9_241_705_984, None,
    ),
    "gemma-2-27b": (
        config("Gemma2ForCausalLM", 4608, 46, 256000, 32, 16, 36864, head_dim=128, sliding_window=4096),
        27_227_128_320, None,
    ),
    # the text models of Gemma 3: total of the checkpoint less its 416.9 M and the projection of pictures
    "gemma-3-4b": (
        {"architectures": ["Gemma3ForConditionalGeneration"], "text_config": {
            "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
            "sliding_window": 1024}},
        3_880_263_168, None,
    ),
    "gemma-3-1b": (
        config("Gemma3ForCausalLM", 1152, 26, 262144, 4, 1, 6912, head_dim=256, sliding_window=512,
               sliding_window_pattern=6),
        999_885_952, None,
    ),
    "phi-2": (config("PhiForCausalLM", 2560, 32, 51200, 32, 32, 10240), 2_779_683_840, None),
    "phi-4": (config("Phi3ForCausalLM", 5120, 40, 100352, 40, 10, 17920), 14_659_507_200, None),
    "phi-3.5-moe": (
        config("PhiMoEForCausalLM", 4096, 32, 32064, 32, 8, 6400, num_local_experts=16, num_experts_per_tok=2,
               attention_bias=True, lm_head_bias=True, sliding_window=131072),
        41_873_153_344, "6.6",
    ),
    "grok-1": (  # release: 314 B, two of eight experts
        config("Grok1ModelForCausalLM", 6144, 64, 131072, 48, 8, 32768, num_experts=8, num_experts_per_tok=2),
        314.0, None,
    ),
    "grok-2": (  # weights as published: 270 B
        config("Grok1ForCausalLM", 8192, 64, 131072, 64, 8, 32768, num_local_experts=8, num_experts_per_tok=2,
               moe_intermediate_size=16384, residual_moe=True),
        270.0, None,
    ),
    "dbrx": (
        {"architectures": ["DbrxForCausalLM"], "d_model": 6144, "n_heads": 48, "n_layers": 40, "vocab_size": 100352,
         "attn_config": {"kv_n_heads": 8, "clip_qkv": 8, "rope_theta": 500000},
         "ffn_config": {"ffn_hidden_size": 10752, "moe_num_experts": 16, "moe_top_k": 4}},
        131_596_523_520, "36.0",
    ),
    "nemotron-4-15b": (  # arXiv 2402.16819: 15.6 B
        config("NemotronForCausalLM", 6144, 32, 256000, 48, 8, 24576), 15.6, None,
    ),
    "nemotron-4-340b": (  # arXiv 2406.11704, table 1: 9.4 B of embeddings and 331.6 B
        config("NemotronForCausalLM", 18432, 96, 256000, 96, 8, 73728), 341.0, None,
    ),
    "gpt2": (
        {"architectures": ["GPT2LMHeadModel"], "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024,
         "n_ctx": 1024, "vocab_size": 50257},
        124_439_808, None,
    ),
    "gpt-3": (  # arXiv 2005.14165, table 2.1: 175.0 B (174.6 B with embeddings of its 50,257 words)
        {"architectures": ["GPT2LMHeadModel"], "n_embd": 12288, "n_layer": 96, "n_head": 96, "n_positions": 2048,
         "vocab_size": 50257},
        175.0, None,
    ),
    "gpt-neox-20b": (
        config("GPTNeoXForCausalLM", 6144, 44, 50432, 64, 64, 24576, use_parallel_residual=True), 20_554_567_680, None,
    ),
    "opt-175b": (  # arXiv 2205.01068
        {**config("OPTForCausalLM", 12288, 96, 50272, 96, 96, None), "ffn_dim": 49152, "max_position_embeddings": 2048,
         "word_embed_proj_dim": 12288},
        175.0, None,
    ),
    "falcon-40b": (
        {"architectures": ["FalconForCausalLM"], "hidden_size": 8192, "num_hidden_layers": 60, "vocab_size": 65024,
         "num_attention_heads": 128, "num_kv_heads": 8, "new_decoder_architecture": True, "bias": False,
         "parallel_attn": True, "multi_query": True},
        41_303_293_952, None,
    ),
    "starcoder2-15b": (
        config("Starcoder2ForCausalLM", 6144, 40, 49152, 48, 4, 24576, sliding_window=4096, use_bias=True,
               tie_word_embeddings=False),
        15_957_889_024, None,
    ),
    # models with layers that carry a state: cards say 80 B and 3 B active, 52 B and 12 B, 32 B and 9 B, 9.78 B
    "qwen3-next-80b-a3b": (
        config("Qwen3NextForCausalLM", 2048, 48, 151936, 16, 2, 5120, head_dim=256, num_experts=512,
               num_experts_per_tok=10, moe_intermediate_size=512, shared_expert_intermediate_size=512,
               linear_num_value_heads=32, linear_num_key_heads=16, linear_key_head_dim=128, linear_value_head_dim=128,
               linear_conv_kernel_dim=4, full_attention_interval=4, decoder_sparse_step=1, mlp_only_layers=[]),
        80.0, "3",
    ),
    "jamba-v0.1": (
        config("JambaForCausalLM", 4096, 32, 65536, 32, 8, 14336, attn_layer_period=8, attn_layer_offset=4,
               expert_layer_period=2, expert_layer_offset=1, num_experts=16, num_experts_per_tok=2, mamba_d_state=16,
               mamba_d_conv=4, mamba_expand=2, mamba_dt_rank=256, mamba_conv_bias=True),
        51_570_323_328, "12",
    ),
    "granite-4.0-h-small": (
        config("GraniteMoeHybridForCausalLM", 4096, 40, 100352, 32, 8, 768, num_local_experts=72,
               num_experts_per_tok=10,
               shared_intermediate_size=1536, mamba_n_heads=128, mamba_d_head=64, mamba_d_state=128, mamba_d_conv=4,
               mamba_n_groups=1, mamba_expand=2, mamba_conv_bias=True, tie_word_embeddings=True,
               layer_types=["attention" if n in (5, 15, 25, 35) else "mamba" for n in range(40)]),
        32.2, "9",
    ),
    "bamba-9b": (
        config("BambaForCausalLM", 4096, 32, 128256, 32, 8, 14336, attn_layer_indices=[9, 18, 27], mamba_n_heads=128,
               mamba_d_head=64, mamba_d_state=256, mamba_d_conv=4, mamba_n_groups=1, mamba_expand=2,
               mamba_conv_bias=True),
        9.78, None,
    ),
    "seed-oss-36b": (
        config("SeedOssForCausalLM", 5120, 64, 155136, 80, 8, 27648, head_dim=128, attention_bias=True,
               attention_out_bias=False),
        36_151_104_512, None,
    ),
}  # fmt: skip


def model(folder: Path, keys: dict[str, Any]) -> ModelSpec:
    path = folder / "config.json"
    path.write_text(json.dumps(keys))
    return validate(ModelSpec, model_tables(path), "config.json")


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_those_published(tmp_path: Path, name: str) -> None:
    keys, total, active = MODELS[name]
    made = model(tmp_path, keys)
    found = total_parameters(made)
    if isinstance(total, int):
        assert found == pytest.approx(total, rel=1e-4)
    else:
        assert found / 1e9 == pytest.approx(total, rel=0.01)
    used, words = active_parameters(made), made.vocabulary * made.hidden
    if active is None:
        assert used == found or made.moe
    else:
        # some count embedding and head among what a token uses, some one of them, some neither
        counts = [(used - n * words) / 1e9 for n in range(3)]
        rounding = 0.5 * 10.0 ** -len(active.partition(".")[2])
        assert min(abs(one - float(active)) for one in counts) < max(0.02 * float(active), rounding), counts


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_of_every_model_has_operators(tmp_path: Path, name: str) -> None:
    made = model(tmp_path, MODELS[name][0])
    for kind in made.kind_counts:
        if attention_of(made, kind).kind == "recurrent":
            with pytest.raises(NetsimError, match="are counted and not timed"):
                block_operators(made, kind, "attn", "F", 4096, 4096, 4096, 1)
            continue
        for block in blocks_of(kind):
            for phase in "FBW":
                assert block_operators(made, kind, block, phase, 4096, 4096, 4096, 1)


def test_a_model_that_knows_no_such_key_names_it(tmp_path: Path) -> None:
    keys = MODELS["qwen3-8b"][0]
    with pytest.raises(NetsimError, match="extra_experts = 4, is not understood in a Qwen3ForCausalLM"):
        model(tmp_path, keys | {"extra_experts": 4})
    # what says no size, or says that there is none, is no matter
    harmless = {
        "rope_theta": 1e6,
        "bos_token_id": 1,
        "initializer_range": 0.02,
        "extra_experts": 0,
        "norm_eps": None,
    }
    assert model(tmp_path, keys | harmless) == model(tmp_path, keys)


def test_v3_without_topk_method_keeps_its_limit_of_groups(tmp_path: Path) -> None:
    keys = config("DeepseekV3ForCausalLM", 7168, 61, 129280, 128, 128, 18432, **V3)
    assert model(tmp_path, keys) == model(tmp_path, keys | {"topk_method": "noaux_tc"})
    assert model(tmp_path, keys).experts.group_limit == 4
    greedy = model(tmp_path, keys | {"architectures": ["DeepseekV2ForCausalLM"]})
    assert (greedy.experts.groups, greedy.experts.gate_bias) == (1, False)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("gpt-oss-20b", {"moe_alternate": 12, "moe": 12}),
        ("gemma-2-9b", {"dense_alternate": 21, "dense": 21}),
        ("gemma-3-4b", {"dense_alternate": 29, "dense": 5}),
        ("llama-4-scout", {"moe_alternate": 36, "moe": 12}),
        ("llama-4-maverick", {"dense_alternate": 24, "moe_alternate": 12, "moe": 12}),
        ("glm-4.5", {"dense": 3, "moe": 89}),
        ("mistral-7b", {"dense": 32}),
    ],
)
def test_layers_alternate_as_they_do_in_the_model(tmp_path: Path, name: str, kinds: dict[str, int]) -> None:
    assert model(tmp_path, MODELS[name][0]).kind_counts == kinds


def test_windows_and_pieces_are_read(tmp_path: Path) -> None:
    assert model(tmp_path, MODELS["mistral-7b"][0]).attention.window == 4096
    oss, scout = (model(tmp_path, MODELS[name][0]) for name in ("gpt-oss-120b", "llama-4-scout"))
    assert oss.alternate is not None
    assert oss.alternate.window == 128
    assert oss.attention.window is None
    assert scout.alternate is not None
    assert scout.alternate.chunk == 8192


def test_a_model_of_pictures_and_text_is_its_text_model(tmp_path: Path) -> None:
    inner = MODELS["qwen3-30b-a3b"][0] | {"model_type": "qwen3_vl_moe_text"}
    outer = {
        "architectures": ["Qwen3VLMoeForConditionalGeneration"],
        "text_config": inner,
        "vision_config": {"depth": 27},
    }
    assert model(tmp_path, outer) == model(tmp_path, inner)


def test_the_list_of_architectures_is_tested() -> None:
    seen = {
        str(keys.get("text_config", keys).get("architectures") or [""])[2:-2]
        for keys, _, _ in MODELS.values()
    }
    # those beside: the same functions as others of the table
    assert len(ARCHITECTURES.keys() - seen) < len(ARCHITECTURES) / 2


@pytest.mark.parametrize(
    ("name", "change", "line"),
    [
        ("qwen3-30b-a3b", {"mlp_only_layers": [3]}, r"mlp_only_layers = \[3\], is not modelled"),
        ("hunyuan-a13b", {"moe_topk": [8] * 31 + [4]}, "moe_topk = .* is not modelled: layers differ"),
        (
            "gpt-oss-20b",
            {"layer_types": ["full_attention"]},
            "must be a list with an entry for each of 24 layers",
        ),
        ("minimax-m2", {"attn_type_list": [0] + [1] * 61}, "attn_type_list = .* must be 1, full attention"),
        ("ernie-4.5-21b-a3b", {"moe_layer_interval": 2}, "moe_layer_interval = 2, is not modelled"),
        ("phi-2", {"qk_layernorm": True}, "qk_layernorm = True, is not modelled"),
        ("glm-4.5", {"use_qk_norm": "yes"}, "use_qk_norm = 'yes', must be true or false"),
    ],
)
def test_what_is_not_modelled_is_refused(
    tmp_path: Path, name: str, change: dict[str, Any], line: str
) -> None:
    with pytest.raises(NetsimError, match=line):
        model(tmp_path, MODELS[name][0] | change)
