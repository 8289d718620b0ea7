"""How a published row's framework runs its plan: its preset, and above it the flags that the source prints.

    NeMo, and NVIDIA's containers in MLPerf, which hold it       nemo-25.01
    Megatron-Bridge, Megatron-LM                                 megatron-26.04
    torchtitan                                                   torchtitan

Gradients are reduced in BF16 by NeMo and Megatron-Bridge (`grad_reduce_in_fp32 = False` of their performance recipes)
and in FP32 by Megatron-LM (its default with BF16) and torchtitan.

Source: NVIDIA-NeMo/Megatron-Bridge, scripts/performance; NVIDIA/Megatron-LM, arguments.py; pytorch/torchtitan,
benchmarks of 2024-12 and its defaults then.
"""

from __future__ import annotations

from typing import Any

from netsim.validation.row_model import is_adapter
from netsim.validation.training_row import TrainingRow

#: what a framework's name holds -> its preset; the first that fits
PRESETS = {
    "torchtitan": "torchtitan", "megatron": "megatron-26.04", "nemo": "nemo-25.01", "nvidia": "nemo-25.01",
    "ngc": "nemo-25.01", "": "megatron-26.04",
}  # fmt: skip


def preset(row: TrainingRow) -> str:
    """The framework preset of a row.

    >>> preset(TrainingRow(id="a", gpu="H100", gpus=8, model="m", framework="NVIDIA NeMo Framework Release 25.01"))
    'nemo-25.01'
    """
    return next(name for part, name in PRESETS.items() if part in row.framework.lower())


def framework_tables(row: TrainingRow) -> dict[str, Any]:
    """`framework` and `overlap` of a row's job."""
    flags: dict[str, Any] = {"gradient": row.gradient_overlap, "parameter": row.parameter_overlap}
    if (row.tp or 1) > 1:
        flags["tensor"] = row.tp_overlap
    if is_adapter(row.model) and (row.tp or 1) > 1:
        # TP_COMM_OVERLAP_RS_DGRAD was off in v4.0; the gathered input of attention is what the adapter reads
        flags["tensor_apart"] = ["qkv", "dgrad"] if "v4.0" in row.id else ["qkv"]
        if row.sequence_parallel is False:
            flags["tensor"] = False  # user buffers need sequence parallelism
    if row.pipeline_overlap is not None:
        flags["pipeline"] = "always" if row.pipeline_overlap else "never"
    if row.expert_overlap and (row.ep or 1) > 1:
        flags["expert"] = True
    if row.delayed_wgrad:
        flags["weight_delayed"] = "always"
    if preset(row) == "torchtitan" and (row.pp or 1) > 1:
        flags["gradient"] = False  # run_post_backward reduces all of a stage behind its last backward
    said = {key: value for key, value in flags.items() if value is not None}
    return {"framework": preset(row), "overlap": said, **host_table(row)}


def host_table(row: TrainingRow) -> dict[str, Any]:
    """`host` of a row's job: what CUDA graphs launch, of layers or of whole steps.

    Megatron-Bridge's performance recipes of MoE models launch attention, router and the preparation of the dispatch as
    graphs (38 of 45 that say); a table without a recipe is taken to do the same. Parts of a layer count as all of it.
    """
    text = (row.cuda_graph or "").lower()
    recipe = row.framework.startswith("Megatron-Bridge 2") and (row.ep or 1) > 1
    if recipe and (not text or text.startswith("transformer_engine")):
        return {"host": {"graph": "layer"}}
    if text.startswith("full") or "local" in text:
        return {"host": {"graph": "full"}}
    return {"host": {"graph": "layer"}} if text.startswith(("layer", "mcore")) else {}


def dispatcher(row: TrainingRow) -> str:
    """What moves tokens to experts: an all-to-all of every copy where the source says NCCL or alltoall, else DeepEP's
    way, which HybridEP and UCCL-EP share (a copy for each host or domain)."""
    text = (row.dispatcher or "").lower()
    return "alltoall" if (row.ep or 1) > 1 and ("nccl" in text or "alltoall" in text) else "deepep"


def gradient_format(row: TrainingRow) -> str:
    """The format in which gradients are reduced."""
    in_fp32 = preset(row) == "torchtitan" or row.framework.startswith("Megatron-L") or "Core" in row.framework
    return "fp32" if in_fp32 else "bf16"
