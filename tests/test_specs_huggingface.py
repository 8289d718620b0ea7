"""A model from the config.json of its checkpoint: the facts of public files, and what is said when one is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from netsim.errors import NetsimError
from netsim.specs import ModelSpec, WorkloadSpec, load, validate
from netsim.specs.case import make_case
from netsim.specs.huggingface import model_tables
from netsim.workloads.attention import kv_cache_bytes
from netsim.workloads.model import active_parameters, total_parameters

#: the keys of the public files that say what the arithmetic is
DEEPSEEK_V3 = {
    "architectures": ["DeepseekV3ForCausalLM"], "hidden_size": 7168, "num_hidden_layers": 61, "vocab_size": 129280,
    "num_attention_heads": 128, "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "v_head_dim": 128, "intermediate_size": 18432, "first_k_dense_replace": 3,
    "moe_layer_freq": 1, "n_routed_experts": 256, "n_shared_experts": 1, "moe_intermediate_size": 2048,
    "num_experts_per_tok": 8, "n_group": 8, "topk_group": 4, "topk_method": "noaux_tc",
    "num_nextn_predict_layers": 1, "tie_word_embeddings": False,
}  # fmt: skip
DEEPSEEK_V2_LITE = {
    "architectures": ["DeepseekV2ForCausalLM"], "hidden_size": 2048, "num_hidden_layers": 27, "vocab_size": 102400,
    "num_attention_heads": 16, "q_lora_rank": None, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "v_head_dim": 128, "intermediate_size": 10944, "first_k_dense_replace": 1,
    "moe_layer_freq": 1, "n_routed_experts": 64, "n_shared_experts": 2, "moe_intermediate_size": 1408,
    "num_experts_per_tok": 6, "n_group": 1, "topk_group": 1, "topk_method": "greedy",
}  # fmt: skip
LLAMA_8B = {
    "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 128256,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "tie_word_embeddings": False,
}  # fmt: skip
QWEN_0_5B = {
    "architectures": ["Qwen2ForCausalLM"], "hidden_size": 896, "num_hidden_layers": 24, "vocab_size": 151936,
    "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864, "tie_word_embeddings": True,
    "use_sliding_window": False, "sliding_window": 32768,
}  # fmt: skip
MIXTRAL_8X7B = {
    "architectures": ["MixtralForCausalLM"], "hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 32000,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "num_local_experts": 8,
    "num_experts_per_tok": 2, "sliding_window": None,
}  # fmt: skip


def written(folder: Path, config: dict[str, Any], name: str = "config.json") -> str:
    path = folder / name
    path.write_text(json.dumps(config))
    return str(path)


def model(folder: Path, config: dict[str, Any]) -> ModelSpec:
    return validate(ModelSpec, model_tables(Path(written(folder, config))), "config.json")


@pytest.mark.parametrize(
    ("config", "total", "active"),
    [
        # exact counts of the public checkpoints (V3 without its MTP module)
        (DEEPSEEK_V3, 671_026_419_200, None),
        (DEEPSEEK_V2_LITE, 15_706_484_224, None),
        (LLAMA_8B, 8_030_261_248, 8_030_261_248),
        (QWEN_0_5B, 494_032_768, 494_032_768),
        (MIXTRAL_8X7B, 46_702_792_704, 12_879_925_248),
    ],
    ids=["deepseek-v3", "deepseek-v2-lite", "llama-3.1-8b", "qwen2.5-0.5b", "mixtral-8x7b"],
)
def test_parameters_equal_those_of_the_checkpoint(
    tmp_path: Path, config: dict[str, Any], total: int, active: int | None
) -> None:
    made = model(tmp_path, config)
    assert total_parameters(made) == total
    if active:
        assert active_parameters(made) == active


def test_the_preset_of_deepseek_v3_is_its_config(tmp_path: Path) -> None:
    preset = load(WorkloadSpec, "workload", "deepseek-v3").model
    assert model(tmp_path, DEEPSEEK_V3 | {"_name_or_path": "deepseek-ai/DeepSeek-V3"}) == preset


def test_a_null_query_rank_is_one_product(tmp_path: Path) -> None:
    made = model(tmp_path, DEEPSEEK_V2_LITE)
    assert made.attention.kind == "mla"
    assert made.attention.q_rank is None
    # latents of 512 + 64 values in 27 layers, BF16
    assert kv_cache_bytes(made) == 27 * 576 * 2


@pytest.mark.parametrize(("keys", "kind"), [(1, "mqa"), (8, "gqa"), (32, "mha")])
def test_attention_kind_follows_the_heads_of_keys(tmp_path: Path, keys: int, kind: str) -> None:
    made = model(tmp_path, LLAMA_8B | {"num_key_value_heads": keys})
    assert made.attention.kind == kind
    assert kv_cache_bytes(made) == 32 * 2 * keys * 128 * 2


def test_a_job_takes_a_model_from_its_config(tmp_path: Path) -> None:
    path = written(tmp_path, DEEPSEEK_V2_LITE, "lite.json")
    case = make_case(overrides={"workload.model": path, "parallelism.expert": 8})
    assert case.workload.model.name == "lite"
    assert case.workload.model.experts.experts == 64
    assert "lite.json" in case.workload.sources["model"]
    # the same as a key of the table, and with a key of its own over it
    again = make_case(overrides={"model.config": path, "model.mtp_depth": 2})
    assert again.workload.model == case.workload.model.model_copy(update={"mtp_depth": 2})
    wider = make_case(overrides={"model": path, "model.attention.kv_rank": 256})
    assert wider.workload.model.attention.kind == "mla"
    assert wider.workload.model.attention.kv_rank == 256


def test_a_job_file_names_a_config_beside_it(tmp_path: Path) -> None:
    import tomli_w

    written(tmp_path, MIXTRAL_8X7B, "mixtral.json")
    job = make_case().workload.model_dump(mode="json", exclude_none=True)
    job["model"] = {"config": "mixtral.json", "name": "Mixtral 8x7B"}
    path = tmp_path / "job.toml"
    path.write_text(tomli_w.dumps(job))
    spec = load(WorkloadSpec, "workload", str(path))
    assert spec.model.name == "Mixtral 8x7B"
    assert spec.model.dense_layers == 0
    # the resolved job stands alone
    path.write_text(tomli_w.dumps(spec.model_dump(mode="json", exclude_none=True)))
    (tmp_path / "mixtral.json").unlink()
    assert load(WorkloadSpec, "workload", str(path)) == spec


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"architectures": ["FalconMambaForCausalLM"]}, "is not modelled; known: ArceeForCausalLM, "),
        ({"architectures": None}, "architectures is missing"),
        ({"num_attention_heads": None}, "num_attention_heads is missing, LlamaForCausalLM has it"),
        ({"hidden_size": "big"}, "hidden_size = 'big', must be a whole number of at least 1"),
        ({"num_hidden_layers": 0}, "num_hidden_layers = 0, must be a whole number of at least 1"),
        ({"attention_bias": 1}, "attention_bias = 1, must be true or false"),
        ({"num_key_value_heads": 5}, "kv_heads = 5, must divide heads = 32"),
    ],
)
def test_a_config_that_cannot_be_read_is_one_clear_line(
    tmp_path: Path, change: dict[str, Any], line: str
) -> None:
    path = written(tmp_path, LLAMA_8B | change)
    with pytest.raises(NetsimError) as caught:
        make_case(overrides={"workload.model": path})
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "change", "line"),
    [
        (DEEPSEEK_V3, {"moe_layer_freq": 2}, "moe_layer_freq = 2, is not modelled"),
        (DEEPSEEK_V3, {"topk_method": "random"}, "topk_method = 'random', is not modelled"),
    ],
)
def test_what_changes_the_arithmetic_and_is_not_modelled_is_refused(
    tmp_path: Path, config: dict[str, Any], change: dict[str, Any], line: str
) -> None:
    with pytest.raises(NetsimError, match=line):
        model_tables(Path(written(tmp_path, config | change)))


@pytest.mark.parametrize(
    ("text", "line"), [("{", "not valid JSON"), ("[1]", "must hold an object"), ("\xff", "not valid JSON")]
)
def test_a_broken_file_is_one_clear_line(tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(NetsimError, match=line):
        model_tables(path)


def test_a_config_is_no_job(tmp_path: Path) -> None:
    path = written(tmp_path, LLAMA_8B)
    with pytest.raises(NetsimError, match="a model, not a job: name a job and give it the model"):
        make_case(workload=path)
    with pytest.raises(NetsimError, match=r"no such config\.json of a model"):
        make_case(overrides={"workload.model": "nowhere.json"})
    with pytest.raises(NetsimError, match="given twice"):
        make_case(overrides={"workload.model": path, "model.config": path})
