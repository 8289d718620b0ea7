"""Experiments on the compute side: held-out operators, the overlapped pair, the training step, sizes of models.

Operators are predicted by the calibrated model alone, without the table that a step looks them up in. The pair and its
operators come from one public trace; the lengths of its blocks calibrate the table, its total is not used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from netsim.errors import NetsimError
from netsim.specs import HardwareSpec, ModelSpec, WorkloadSpec, load
from netsim.specs.catalog import root

Where = Mapping[str, Any]

#: rows that reached the experts in the traced layers; source: h800 trace, launch geometry of the grouped GEMMs
_TRACE_ROWS = {"F": 32512, "B": 32128, "W": 32128}


def model_size(where: Sequence[Where]) -> list[float | None]:
    """GFLOP a token at 4,096 tokens, causal; billions of parameters; KB of keys and values a token."""
    return [_size(load(WorkloadSpec, "workload", w["model"]).model, w["quantity"]) for w in where]


def _size(model: ModelSpec, quantity: str) -> float:
    from netsim.workloads import model as sizes
    from netsim.workloads.attention import kv_cache_bytes

    match quantity:
        case "kv_cache":
            return kv_cache_bytes(model) / 1e3
        case "gflop_per_token":
            return sizes.flops_per_token(model, 4096, causal=True) / 1e9
        case "total":
            return sizes.total_parameters(model) / 1e9
        case "active":
            return sizes.active_parameters(model) / 1e9
        case "without_embedding":
            return (sizes.active_parameters(model) - model.vocabulary * model.hidden) / 1e9
        case "without_vocabulary":
            return (sizes.active_parameters(model) - 2 * model.vocabulary * model.hidden) / 1e9
        case "mtp":
            return sizes.mtp_parameters(model) / 1e9
    raise NetsimError(f"model_size: no quantity {quantity!r}")


def training_step(where: Sequence[Where]) -> list[float | None]:
    """The step of table 4, its phases, and the ratio of the fabrics."""
    return [
        _step("mrft")["step"] / _step("mpft")["step"]
        if w["quantity"] == "ratio"
        else _step(w["fabric"], w.get("ranks", ""), w.get("speed", ""))[w["quantity"]]
        for w in where
    ]


#: trillion tokens that DeepSeek-V3 was pre-trained on (arXiv 2412.19437)
PRETRAINING_T = 14.8


@lru_cache(maxsize=4)
def _step(fabric: str, ranks: str = "", speed: str = "") -> dict[str, float]:
    """`ranks`, `speed` : "as traced", or left out for what a run has without asking."""
    from netsim.analysis.trace_pair import TRACE_SPEED, TRACE_VARIATION
    from netsim.specs.case import make_case
    from netsim.training.simulate import simulate
    from netsim.training.step_record import contract

    overrides = (TRACE_VARIATION if ranks == "as traced" else {}) | (
        TRACE_SPEED if speed == "as traced" else {}
    )
    case = make_case(fabric, overrides=overrides)
    step = contract(simulate(case, 2048))["step"]
    return {
        **step["phases_s"],
        "step": step["time_s"],
        "tokens_per_day": step["tokens_per_day"] / 1e9,
        "gpu_hours": step["gpu_hours_per_trillion_tokens"] / 1e3,
        "days": step["days_per_trillion_tokens"],
        "pretraining": PRETRAINING_T * step["gpu_hours_per_trillion_tokens"] / 1e3,
        "tflops_causal": step["tflops_per_gpu_causal"],
        "tflops_noncausal": step["tflops_per_gpu_noncausal"],
        "mfu_causal": 100 * step["mfu_causal"],
        "mfu_noncausal": 100 * step["mfu_noncausal"],
    }


def training_throughput(where: Sequence[Where]) -> list[float | None]:
    """TFLOPS a GPU of Llama 3.1 405B, causal, or their ratio to the plan of the row above it in the table."""
    smaller = {16: (16384, 1, 8192), 1: (8192, 1, 8192)}
    found: list[float | None] = []
    for w in where:
        value = _throughput(int(w["gpus"]), int(w["context"]), int(w["length"]))
        if w.get("quantity") == "ratio":
            value /= _throughput(*smaller[int(w["context"])])
        found.append(value)
    return found


@lru_cache(maxsize=4)
def _throughput(gpus: int, context: int, length: int) -> float:
    from netsim.specs.case import make_case
    from netsim.training.simulate import simulate
    from netsim.training.step_record import contract

    tokens = 2048 * 8192
    overrides = {
        "parallelism.context": context,
        "batch.sequence_length": length,
        "batch.sequences": tokens // length,
    }
    case = make_case("ft3", "llama-3.1-405b", overrides=overrides)
    return float(contract(simulate(case, gpus, scaling="strong"))["step"]["tflops_per_gpu_causal"])


def trace_pair(where: Sequence[Where]) -> list[float | None]:
    """Milliseconds of the pair, replayed or simulated; percent of its transport that is hidden; waits for other ranks.

    The replay is left out where the trace's blocks are not installed.
    """
    from netsim.analysis.trace_pair import (
        TRACE_SPEED,
        TRACE_VARIATION,
        notify_waits_s,
        read_trace,
        replay,
        simulate_pair,
    )
    from netsim.specs.case import make_case

    pair = simulate_pair(make_case(overrides=TRACE_SPEED))
    found: dict[str, float | None] = {"simulated": pair.seconds * 1e3, "hidden": pair.hidden_fraction * 100}
    here = (root() / "reports/studies/h800_trace/blocks.csv").is_file()
    found["replayed"] = replay(read_trace()) * 1e3 if here else None
    if any(w["quantity"] == "notify_waits" for w in where):
        found["notify_waits"] = (
            notify_waits_s(make_case(overrides=TRACE_SPEED | TRACE_VARIATION), range(8)) * 1e3
        )
    return [found[w["quantity"]] for w in where]


def held_out_operators(where: Sequence[Where]) -> list[float | None]:
    """Quantiles of the absolute error over the operators that no class model was fitted to, in percent."""
    errors = _operator_errors()
    return [float(np.percentile(errors[w["of"]], w["percentile"])) for w in where]


@lru_cache(maxsize=1)
def _operator_errors() -> dict[str, list[float]]:
    from netsim.compute import ComputeModel
    from netsim.specs.profile import ProfileSpec
    from netsim.workloads.operators import block_operators

    job, profile = load(WorkloadSpec, "workload", "deepseek-v3"), load(ProfileSpec, "profile", "h800")
    model = ComputeModel(profile, load(HardwareSpec, "hardware", "h800"))
    tokens, local = job.batch.sequence_length, job.model.experts.experts // job.parallelism.expert
    ops = {
        op.name: op
        for block in ("attn", "mlp")
        for phase, rows in _TRACE_ROWS.items()
        for op in block_operators(job.model, "moe", block, phase, tokens, tokens, rows, local)
    }
    errors: dict[str, list[float]] = {"all": [], "matrix_products": []}
    for row in profile.operators:
        if row.split != "val_op":
            continue
        seconds = model.model_time(ops[row.name], True, share=row.transport_share).seconds
        error = 100 * abs(seconds / (row.overlapped * row.calls) - 1.0)
        errors["all"].append(error)
        if row.kind.endswith("fp8"):
            errors["matrix_products"].append(error)
    return errors
