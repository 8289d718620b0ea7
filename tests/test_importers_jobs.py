"""Training logs and configurations to jobs: the plan in the file, and the measured step beside the simulated."""

import json
import tomllib

import pytest

from import_files import LLAMA_8B, megatron_log
from netsim.api.files import import_file
from netsim.cli.app import run_app
from netsim.errors import NetsimError
from netsim.importers.report import Wanted
from netsim.specs import WorkloadSpec, load


def job(tmp_path, text, name, **wanted):
    """The workload that a file becomes, checked as a spec, and the record; nothing is simulated."""
    from netsim.importers.kinds import read

    (tmp_path / name).write_text(text)
    imported = read(tmp_path / name, None, Wanted(**wanted))
    (tmp_path / "job.toml").write_text(imported.files[".toml"])
    return load(WorkloadSpec, "workload", str(tmp_path / "job.toml")), imported


def test_a_megatron_log_is_step_plan_and_comparison_in_one_command(tmp_path, capsys):
    (tmp_path / "train.log").write_text(megatron_log({**LLAMA_8B, "num_layers": 8, "global_batch_size": 32,
                                                      "num_layers_per_virtual_pipeline_stage": 1}))  # fmt: skip
    assert run_app(["import", str(tmp_path / "train.log"), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    step = record["step"]
    assert (record["kind"], record["gpus"]) == ("megatron-log", 16)
    assert step["measured_s"] == pytest.approx(5.9264, rel=2e-3)  # the slow first iteration is left out
    assert step["error_pct"] == pytest.approx(100 * (step["simulated_s"] / step["measured_s"] - 1))
    assert step["explain"]["waterfall"]
    assert run_app(["import", str(tmp_path / "train.log")]) == 0
    assert (
        f"measured {step['measured_s']:.3f} s, simulated {step['simulated_s']:.3f} s ("
        in capsys.readouterr().out
    )


def test_megatron_arguments_are_the_plan(tmp_path):
    workload, imported = job(tmp_path, megatron_log(LLAMA_8B), "train.log")
    plan, batch, model = workload.parallelism, workload.batch, workload.model
    assert (plan.tensor, plan.pipeline, plan.zero, workload.schedule.virtual_stages) == (2, 2, 1, 4)
    # 16 GPUs / (TP2 PP2) = 4 replicas; 64 sequences / 4 = 16 micro-batches
    assert (batch.sequences, batch.microbatches, batch.microbatch_sequences) == (64, 16, 1)
    assert (model.layers, model.hidden, model.attention.kv_heads, model.dense_width) == (32, 4096, 8, 14336)
    assert imported.question["gpus"] == 16


def test_megatron_experts_layout_and_recomputation(tmp_path):
    arguments = {
        **LLAMA_8B, "num_layers": 61, "num_experts": 256, "moe_router_topk": 8, "moe_ffn_hidden_size": 2048,
        "moe_layer_freq": "([0]*3+[1]*58)", "moe_shared_expert_intermediate_size": 2048,
        "expert_model_parallel_size": 8,
        "multi_latent_attention": True, "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_head_dim": 128, "v_head_dim": 128,
        "qk_pos_emb_head_dim": 64, "mtp_num_layers": 1, "fp8": "e4m3", "fp8_recipe": "blockwise", "world_size": 64,
        "recompute_granularity": "selective", "recompute_modules": "['mla_up_proj', 'layernorm']", "hidden_size": 7168,
        "pipeline_model_parallel_layout": "Et*4|(t*4|)*14tmL", "pipeline_model_parallel_size": 4,
        "virtual_pipeline_model_parallel_size": "None", "num_layers_per_virtual_pipeline_stage": "None",
        "num_attention_heads": 128, "ffn_hidden_size": 18432, "moe_router_num_groups": 8, "moe_router_group_topk": 4,
        "group_query_attention": False,
    }  # fmt: skip
    workload, _ = job(tmp_path, megatron_log(arguments), "v3.log", hardware="gb200_nvl72")
    model = workload.model
    assert (model.dense_layers, model.mtp_depth, model.moe.experts, model.moe.group_limit) == (3, 1, 256, 4)
    assert (model.attention.kind, model.attention.kv_rank) == ("mla", 512)
    assert workload.schedule.virtual_stages == 4
    assert (workload.compute.products, workload.storage.recompute) == ("fp8", ("mla_up", "norm"))
    assert workload.profile == "gb200"


def test_batch_that_does_not_divide_is_refused(tmp_path):
    with pytest.raises(NetsimError, match="global_batch_size = 63, no multiple"):
        job(tmp_path, megatron_log({**LLAMA_8B, "global_batch_size": 63}), "train.log")


def test_log_without_iterations_is_a_job_without_a_measured_step(tmp_path):
    _, imported = job(tmp_path, megatron_log(LLAMA_8B, iterations=0), "train.log")
    assert imported.step_s is None
    assert "nothing is measured" in imported.notes.not_understood[0]


BRIDGE = """model:
  _target_: megatron.bridge.models.llama.Llama31ModelProvider70B
  num_layers: 80
  hidden_size: 8192
  ffn_hidden_size: 28672
  num_attention_heads: 64
  num_query_groups: 8
  vocab_size: 128256
  gated_linear_unit: true
  seq_length: 8192
  tensor_model_parallel_size: 4
  pipeline_model_parallel_size: 4
  virtual_pipeline_model_parallel_size: 5
train:
  global_batch_size: 128
  micro_batch_size: 1
ddp:
  use_distributed_optimizer: true
  overlap_grad_reduce: true
comm_overlap:
  tp_comm_overlap: true
mixed_precision: bf16_with_fp8_current_scaling_mixed
"""


def test_bridge_yaml(tmp_path):
    workload, _ = job(tmp_path, BRIDGE, "conf.yaml", gpus=64)
    assert (workload.model.layers, workload.compute.products, workload.overlap.tensor) == (
        80,
        "fp8_tensor",
        True,
    )
    assert (workload.batch.microbatches, workload.schedule.virtual_stages) == (32, 5)
    with pytest.raises(NetsimError, match="give --gpus"):
        job(tmp_path, BRIDGE, "conf.yaml")


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system ''"])
def test_yaml_runs_no_code(tmp_path, tag):
    with pytest.raises(NetsimError, match="not plain YAML"):
        job(tmp_path, BRIDGE + f"extra: {tag}\n", "conf.yaml", gpus=64)


def test_mlperf_config_is_read_and_not_run(tmp_path):
    text = """source $(dirname ${BASH_SOURCE[0]})/config_common.sh
export MINIBS=1024
export TENSOR_MODEL_PARALLEL=4   #  training.model.tensor_model_parallel_size
export PIPELINE_MODEL_PARALLEL=8 #  same
export INTERLEAVED_PIPELINE=6   # 0 to disable
export MICRO_BATCH_SIZE=2
export CONTEXT_PARALLEL=${CP:-1}
export DGXNNODES=8
export DGXNGPU=8
export DGXSYSTEM=$(basename $(readlink -f ${BASH_SOURCE[0]}) | sed 's/^config_//')
export FP8=True
: "${SEQ_LENGTH:=2048}"
export WALLTIME=$((5 + ${NEXP:-1} * (470 + 5)))
touch /tmp/never
"""
    workload, imported = job(tmp_path, text, "config_DGXB200_8x8.sh", workload="gpt3-175b")
    # MINIBS is per data-parallel replica: 64 GPUs / (TP4 PP8) = 2 replicas
    assert (imported.question["gpus"], workload.batch.sequences, workload.batch.microbatches) == (
        64,
        2048,
        512,
    )
    assert (workload.hardware, workload.schedule.virtual_stages, workload.batch.sequence_length) == (
        "b200",
        6,
        2048,
    )
    assert "touch" in " ".join(imported.notes.not_understood)


def test_mlperf_log_has_batch_and_measured_step(tmp_path):
    lines = [
        (":::MLLOG", {"key": "global_batch_size", "value": 512}),
        (":::MLLOG", {"key": "max_sequence_length", "value": 8192}),
    ]
    lines += [
        ("0: :::MLLOG", {"key": "tracked_stats", "value": {"train_step_time": 2.5, "n": n}})
        for n in range(10)
    ]
    text = "\n".join(f"{mark} {json.dumps(entry)}" for mark, entry in lines) + "\n:::MLLOG {broken\n"
    workload, imported = job(tmp_path, text, "result.txt", workload="llama-3.1-70b", gpus=256)
    assert (imported.step_s, workload.batch.sequences, imported.notes.not_understood) == (
        2.5,
        512,
        ["lines: line 13"],
    )
    with pytest.raises(NetsimError, match="--workload"):
        job(tmp_path, text, "result.txt")


def test_torchtitan_toml(tmp_path):
    text = """[model]
name = "llama3"
flavor = "8B"
[training]
local_batch_size = 2
seq_len = 8192
steps = 10
[parallelism]
data_parallel_shard_degree = 8
tensor_parallel_degree = 2
[activation_checkpoint]
mode = "selective"
"""
    workload, imported = job(tmp_path, text, "llama3_8b.toml")
    assert (imported.question["gpus"], workload.parallelism.zero, workload.framework) == (16, 3, "torchtitan")
    assert (workload.batch.sequences, workload.storage.recompute) == (16, ("half",))


def test_deepspeed_json(tmp_path):
    text = json.dumps({"train_batch_size": 64, "train_micro_batch_size_per_gpu": 2, "gradient_accumulation_steps": 4,
                       "zero_optimization": {"stage": 3, "overlap_comm": True}, "bf16": {"enabled": True},
                       "hpz": 1, "scheduler": "auto"})  # fmt: skip
    workload, imported = job(tmp_path, text, "ds.json", workload="llama-3.1-8b")
    assert (imported.question["gpus"], workload.parallelism.zero, workload.batch.microbatches) == (8, 3, 4)
    assert any("hpz" in line for line in imported.notes.not_understood)
    with pytest.raises(NetsimError, match="--workload"):
        job(tmp_path, text, "ds.json")


def test_plan_read_from_a_log_is_the_plan_of_the_toml_again(tmp_path):
    """Round trip: what is written reads as the job that was simulated."""
    (tmp_path / "t.log").write_text(megatron_log(LLAMA_8B, iterations=0))
    record = import_file(tmp_path / "t.log", output=tmp_path / "mine.toml")
    table = tomllib.loads((tmp_path / "mine.toml").read_text())
    assert record["files"] == [str(tmp_path / "mine.toml")]
    assert table["parallelism"] == record["parallelism"]
    with pytest.raises(NetsimError, match="--force"):
        import_file(tmp_path / "t.log", output=tmp_path / "mine.toml")
