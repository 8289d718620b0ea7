"""Configurations of training frameworks: Megatron-Bridge and NeMo YAML, DeepSpeed JSON, torchtitan TOML.

Each is turned into Megatron's arguments (`netsim.importers.job`). A configuration names its model in code more often
than by widths: then --workload lends it. Left out: recipes in Python, which would have to run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netsim.importers.job import make_job
from netsim.importers.report import Imported, Notes, Wanted
from netsim.importers.source import Source

#: keys of DeepSpeed that say nothing of a step's time
_QUIET = ("optimizer", "scheduler", "gradient_clipping", "steps_per_print", "wall_clock_breakdown", "bf16", "fp16",
          "zero_optimization", "zero_allow_untested_optimizer", "tensorboard", "wandb")  # fmt: skip
#: torchtitan's flavors -> jobs that ship with netsim
FLAVORS = {("llama3", "8B"): "llama-3.1-8b", ("llama3", "70B"): "llama-3.1-70b", ("llama3", "405B"): "llama-3.1-405b",
           ("deepseek_v3", "671B"): "deepseek-v3", ("qwen3", "30B-A3B"): "qwen3-30b-a3b"}  # fmt: skip


def is_bridge(source: Source) -> bool:
    return _has(source, "model:", "tensor_model_parallel_size") or _has(
        source, "tensor_model_parallel_size:", ":"
    )


def is_deepspeed(source: Source) -> bool:
    return source.text.lstrip().startswith("{") and (
        '"zero_optimization"' in source.text or '"train_micro_batch_size_per_gpu"' in source.text
    )


def is_titan(source: Source) -> bool:
    return "[training]" in source.head and any(
        word in source.head for word in ("data_parallel_shard_degree", "tensor_parallel_degree", "flavor")
    )


def _has(source: Source, *words: str) -> bool:
    return source.path.suffix in (".yaml", ".yml") and all(word in source.text for word in words)


def read_bridge(source: Source, wanted: Wanted) -> Imported:
    """A ConfigContainer of Megatron-Bridge, a NeMo configuration, or a flat list of Megatron's arguments in YAML."""
    data, notes = source.yaml(), Notes()
    if not isinstance(data, dict):
        raise source.fail("must be a table of settings")
    given: dict[str, Any] = {}
    for name, table in data.items():
        if isinstance(table, dict):
            given |= {str(key): _plain(value) for key, value in table.items() if not isinstance(value, dict)}
            given |= {
                str(key): value for key, value in table.items() if isinstance(value, dict) and name == "model"
            }
        else:
            given[str(name)] = _plain(table)
    for theirs, ours in (
        ("sequence_length", "seq_length"), ("num_moe_experts", "num_experts"), ("encoder_seq_length", "seq_length"),
        ("gated_linear_unit", "swiglu"), ("share_embeddings_and_output_weights", "tied"), ("num_nodes", "nodes"),
    ):  # fmt: skip
        if theirs in given:
            given.setdefault(ours, given[theirs])
    if "tied" in given:
        given["untie_embeddings_and_output_weights"] = not given["tied"]
    if isinstance(given.get("nodes"), int) and isinstance(given.get("devices"), int):
        given.setdefault("world_size", given["nodes"] * given["devices"])
    if given.get("tensor_model_parallel_size") is None:
        raise source.fail("no key tensor_model_parallel_size: no settings of Megatron-Bridge or NeMo")
    recipe = str(given.get("mixed_precision") or given.get("precision") or "")
    if "fp8" in recipe or "mxfp8" in recipe:
        words = ("mxfp8", "current", "delayed", "blockwise", "subchannel")
        given |= {"fp8": "hybrid", "fp8_recipe": next((word for word in words if word in recipe), "delayed")}
        given["fp8_recipe"] = {"subchannel": "blockwise"}.get(given["fp8_recipe"], given["fp8_recipe"])
    notes.read.append(f"{len(given)} settings of {', '.join(map(str, list(data)[:8]))}")
    return make_job("megatron-bridge", source, given, notes, wanted)


def _plain(value: object) -> object:
    return (
        {"null": None, "None": None, "true": True, "false": False}.get(value, value)
        if isinstance(value, str)
        else value
    )


def read_deepspeed(source: Source, wanted: Wanted) -> Imported:
    """A DeepSpeed configuration; the model is that of --workload."""
    data, notes = source.json(), Notes()
    if not isinstance(data, dict):
        raise source.fail("must be a JSON object")
    automatic = [key for key, value in data.items() if value == "auto"]
    notes.many("settings that the launcher fills in (auto)", automatic)
    value: Mapping[str, Any] = {key: each for key, each in data.items() if each != "auto"}
    zero = value.get("zero_optimization", {})
    stage = zero.get("stage", 0) if isinstance(zero, dict) else 0
    known = ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", *_QUIET)
    notes.many("settings", sorted(key for key in value if key not in known))
    micro, accumulate = (
        value.get("train_micro_batch_size_per_gpu"),
        value.get("gradient_accumulation_steps", 1),
    )
    whole = value.get("train_batch_size")
    gpus = wanted.gpus
    if (
        gpus is None
        and all(isinstance(each, int) for each in (whole, micro, accumulate))
        and micro
        and accumulate
    ):
        gpus = whole // (micro * accumulate)
        notes.assumed.append(
            f"{gpus} GPUs: the batch over that of a GPU and its steps; no tensor parallelism"
        )
    if whole is None and gpus and isinstance(micro, int):
        whole = micro * accumulate * gpus
    given = {
        "world_size": gpus, "global_batch_size": whole, "micro_batch_size": micro, "zero_stage": stage,
        "tensor_model_parallel_size": 1, "pipeline_model_parallel_size": 1, "context_parallel_size": 1,
        "overlap_grad_reduce": bool(zero.get("overlap_comm", False)) if isinstance(zero, dict) else False,
    }  # fmt: skip
    if isinstance(zero, dict) and (zero.get("offload_optimizer") or zero.get("offload_param")):
        notes.not_understood.append(
            "offloading to CPU or disk: not modelled, the simulated step is a lower bound"
        )
    return make_job("deepspeed", source, given, notes, wanted, framework="fsdp2")


def read_titan(source: Source, wanted: Wanted) -> Imported:
    """Settings of torchtitan as TOML (up to 2025; now they are Python)."""
    data, notes = source.toml(), Notes()
    part: dict[str, dict[str, Any]] = {name: table for name, table in data.items() if isinstance(table, dict)}
    plan = {**part.get("training", {}), **part.get("experimental", {}), **part.get("parallelism", {})}
    model = part.get("model", {})
    lender = wanted.workload or FLAVORS.get((str(model.get("name")), str(model.get("flavor"))))
    if lender is None:
        raise source.fail(
            f"model {model.get('name')} {model.get('flavor')}: not one of netsim's, give --workload"
        )
    shard, replicas = (
        plan.get("data_parallel_shard_degree", -1),
        plan.get("data_parallel_replicate_degree", 1),
    )
    degrees = [int(plan.get(f"{name}_parallel_degree", 1)) for name in ("tensor", "pipeline", "context")]
    gpus = wanted.gpus
    if gpus is None and shard == -1:
        raise source.fail("data_parallel_shard_degree = -1 takes all GPUs: give --gpus")
    product = degrees[0] * degrees[1] * degrees[2]
    gpus = gpus or int(shard) * int(replicas) * product
    local = int(plan.get("local_batch_size", plan.get("batch_size", 1)))
    micro = local if degrees[1] == 1 else int(plan.get("pipeline_parallel_microbatch_size", 1))
    given = {
        "world_size": gpus, "tensor_model_parallel_size": degrees[0], "pipeline_model_parallel_size": degrees[1],
        "context_parallel_size": degrees[2], "expert_model_parallel_size": plan.get("expert_parallel_degree", 1),
        "micro_batch_size": micro, "global_batch_size": int(plan.get("global_batch_size", -1)),
        "seq_length": plan.get("seq_len", 2048), "zero_stage": 3 if degrees[1] == 1 else 2, "overlap_grad_reduce": True,
    }  # fmt: skip
    if given["global_batch_size"] < 0:
        given["global_batch_size"] = local * gpus // product
    mode = part.get("activation_checkpoint", {}).get("mode", "selective")
    given["recompute_granularity"] = "full" if mode == "full" else None
    if mode == "selective":
        notes.assumed.append("selective activation checkpointing computes every second product again")
        given |= {"recompute_granularity": "selective", "recompute_modules": ["half"]}
    if part.get("float8") or "float8" in str(model.get("converters", "")):
        given |= {"fp8": "hybrid", "fp8_recipe": "delayed"}
    notes.many("tables", [name for name in part if name not in (
        "model", "training", "parallelism", "experimental", "activation_checkpoint", "float8", "optimizer", "metrics",
        "job", "profiling", "lr_scheduler", "checkpoint", "comm", "compile", "validation")])  # fmt: skip
    lent = Wanted(wanted.topology, gpus, wanted.hardware, lender, wanted.nodes, wanted.profile)
    return make_job("torchtitan", source, given, notes, lent, framework="torchtitan")
