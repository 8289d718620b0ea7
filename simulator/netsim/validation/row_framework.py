"""How a published row's framework runs its plan: which exchanges run beside compute, and formats of what travels.

Flags that the source prints are taken; for the rest stands what the framework does by default:

    Megatron (NeMo, Megatron-Bridge, Megatron-LM)   gradients and parameters by bucket beside backward and forward, ring
                                                    attention under context parallelism, pipeline sends beside compute
                                                    when interleaved only
    torchtitan                                      FSDP2; keys and values gathered; gradients reduced in FP32

Gradients are reduced in BF16 by NeMo and Megatron-Bridge (`grad_reduce_in_fp32 = False` of their performance recipes)
and in FP32 by Megatron-LM (its default with BF16).

Source: NVIDIA-NeMo/Megatron-Bridge, scripts/performance; NVIDIA/Megatron-LM, arguments.py; pytorch/torchtitan,
benchmarks of 2024-12 and its defaults then.
"""

from __future__ import annotations

from typing import Any

from netsim.specs import catalog
from netsim.validation.training_row import TrainingRow


def family(row: TrainingRow) -> str:
    """The family of a row's framework.

    >>> family(TrainingRow(id="a", gpu="H100", gpus=8, model="m", framework="NVIDIA NeMo Framework Release 25.01"))
    'megatron'
    """
    return "torchtitan" if "torchtitan" in row.framework.lower() else "megatron"


def framework_tables(row: TrainingRow) -> dict[str, Any]:
    """`framework` and `overlap` of a row's job."""
    names = catalog.names("framework")
    preset = next((name for name in (family(row), "fsdp2") if name in names), None)
    if family(row) == "megatron" and preset == "fsdp2" and (row.fsdp or 1) <= 1:
        preset = None
    overlap = _torchtitan(row) if family(row) == "torchtitan" else _megatron(row)
    return {**({"framework": preset} if preset else {}), "overlap": overlap}


def _megatron(row: TrainingRow) -> dict[str, Any]:
    interleaved = (row.vp or 1) > 1 and (row.pp or 1) > 1
    return {
        "streams": "each",
        "expert": bool(row.expert_overlap) and (row.ep or 1) > 1,
        "weight_delayed": "always" if row.delayed_wgrad else "tensor",
        "tensor": bool(row.tp_overlap) and (row.tp or 1) > 1,
        "context": (row.cp or 1) > 1,
        "gradient": row.gradient_overlap is not False,
        "parameter": row.parameter_overlap is not False,
        "pipeline": "always"
        if (interleaved if row.pipeline_overlap is None else row.pipeline_overlap)
        else "never",
        "sms": "resident",
    }


def _torchtitan(row: TrainingRow) -> dict[str, Any]:
    return {
        "streams": "each",
        "tensor": bool(row.tp_overlap) and (row.tp or 1) > 1,
        "sms": "resident",
    }


def gradient_format(row: TrainingRow) -> str:
    """The format in which gradients are reduced."""
    in_fp32 = family(row) == "torchtitan" or row.framework.startswith("Megatron-L") or "Core" in row.framework
    return "fp32" if in_fp32 else "bf16"
