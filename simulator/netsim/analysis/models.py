"""What a model is, and what its job asks of a GPU and a network, before anything is simulated.

    parameters      total, active a token, by role
    operations      a token, forward and training, causal and not, at one sequence length
    cache           keys and values a token, by kind of attention and precision
    intensity       operations a byte of HBM, of blocks over whole sequences and of a decode step
    memory          of the rank that needs most, under the job's plan
    traffic         bytes sent a token, by kind

A bare model (a config.json) has no job: its memory and traffic are left out, and its sequences run undivided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from netsim.errors import NetsimError, SpecError
from netsim.specs import HardwareSpec, WorkloadSpec, load, validate
from netsim.specs.case import sort_overrides
from netsim.specs.huggingface import find, model_tables
from netsim.specs.idle import COUNTS, refuse_unread
from netsim.specs.workload import ModelSpec, Precision
from netsim.workloads.attention import KINDS, cache_values, kv_cache_bytes, with_attention
from netsim.workloads.intensity import Shares, decode_token, decode_work, sequence_work
from netsim.workloads.memory import Memory, memory_by_rank
from netsim.workloads.model import (
    active_parameters,
    flops_per_token,
    mtp_parameters,
    parameters_by_role,
    total_parameters,
)
from netsim.workloads.moe import routing_statistics
from netsim.workloads.plan import Plan, make_plan
from netsim.workloads.stages import job_order, job_stages
from netsim.workloads.token_traffic import token_traffic

SCHEMA = 1
_PRECISIONS = ("bf16", "fp8")


@dataclass(frozen=True)
class ModelRequest:
    """For which tokens: of a sequence, cached in decode, sequences that decode together; GPUs (None: as published)."""

    sequence_length: int = 4096
    context: int = 4096
    batch: int = 128
    gpus: int | None = None


@dataclass(frozen=True)
class Subject:
    """A model, and the job that trains it on hosts, if there is one."""

    name: str
    model: ModelSpec
    job: WorkloadSpec | None = None
    hardware: HardwareSpec | None = None


def subject(name: str, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> Subject:
    """A preset, a job's TOML, or the config.json of a model; `overrides` by spec.

    Raises NetsimError where there is no such thing, or it is wrong.
    """
    if name.endswith(".json"):
        path = find(name)
        return Subject(name, validate(ModelSpec, model_tables(path), Path(name).name))
    given = overrides or {}
    job = load(WorkloadSpec, "workload", name, given.get("workload"))
    return Subject(name, job.model, job, load(HardwareSpec, "hardware", job.hardware, given.get("hardware")))


def compare(
    names: Sequence[str], ask: ModelRequest, overrides: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The records of several models and jobs; `overrides` as `--set` has them, for all jobs.

    Raises NetsimError for a name, key or value that is wrong or has no effect.
    """
    for key, value in asdict(ask).items():
        if value is not None and value < 1:
            raise NetsimError(f"{key} = {value}, must be at least 1")
    given = sort_overrides(overrides or {})
    refuse_unread(given, COUNTS, "a workload")
    if all(name.endswith(".json") for name in names):
        for key in overrides or {}:
            raise NetsimError(f"--set {key}: has no effect on a config.json; edit it, or name a job")
        if ask.gpus is not None:
            raise NetsimError(f"--gpus {ask.gpus}: has no effect on a config.json, which has no job")
    return {
        "schema": SCHEMA,
        "models": [describe(subject(name, given), ask) for name in dict.fromkeys(names)],
    }


def describe(one: Subject, ask: ModelRequest) -> dict[str, Any]:
    """The record of a model and its job.

    Raises SpecError when the job cannot be laid out on the GPUs.
    """
    model, job = one.model, one.job
    plan = make_plan(job, ask.gpus or usual_gpus(job)) if job else None
    return {
        "name": one.name,
        "model": _shape(model),
        "parameters": _parameters(model),
        "flops_per_token": _flops(model, ask.sequence_length),
        "kv_cache": _cache(model),
        "intensity": _intensity(one, plan, ask),
        "job": _job(job, one.hardware, plan) if job and plan and one.hardware else None,
    }


def usual_gpus(job: WorkloadSpec) -> int:
    """The GPUs on which the job's micro-batches a pipeline and its sequences a step say the same.

    Raises SpecError where no number does.
    """
    batch, spread = job.batch, job.parallelism
    share = batch.microbatches * batch.microbatch_sequences
    if batch.sequences % share:
        rule = f"must be a multiple of microbatches x microbatch_sequences = {share}, or say --gpus"
        raise SpecError(job.name, "batch.sequences", batch.sequences, rule)
    return batch.sequences // share * spread.pipeline * spread.tensor * spread.context


def _shape(model: ModelSpec) -> dict[str, Any]:
    a, moe = model.attention, model.moe
    experts = {"experts": moe.experts, "shared": moe.shared, "top_k": moe.top_k} if moe else None
    return {
        "name": model.name,
        "layers": model.layers,
        "dense_layers": model.dense_count,
        "hidden": model.hidden,
        "attention": a.kind,
        "heads": a.heads,
        "moe": experts,
        "mtp_depth": model.mtp_depth,
    }


def _parameters(model: ModelSpec) -> dict[str, Any]:
    return {
        "total": total_parameters(model),
        "active": active_parameters(model),
        "active_without_embedding": active_parameters(model) - model.vocabulary * model.hidden,
        "mtp": mtp_parameters(model),
        "by_role": parameters_by_role(model),
    }


def _flops(model: ModelSpec, length: int) -> dict[str, float]:
    values: dict[str, float] = {"sequence_length": length}
    for name, training in (("forward", False), ("training", True)):
        for mask, causal in (("causal", True), ("noncausal", False)):
            values[f"{name}_{mask}"] = flops_per_token(model, length, causal=causal, training=training)
    return values


def _cache(model: ModelSpec) -> dict[str, Any]:
    other = {kind: with_attention(model, kind) for kind in KINDS}
    return {
        "kind": model.attention.kind,
        "values_per_layer": cache_values(model.attention),
        "bytes_per_token": {size: kv_cache_bytes(model, size) for size in _PRECISIONS},
        "bytes_per_token_by_kind": {kind: kv_cache_bytes(made) for kind, made in other.items()},
    }


def _intensity(one: Subject, plan: Plan | None, ask: ModelRequest) -> dict[str, Any]:
    """Operations a byte; sequences as the job runs them, decode with everything in the precision of its products."""
    job, model = one.job, one.model
    shares = Shares()
    if job and plan:
        how, bits = job.compute.products, job.storage.attention_bits
        shares = Shares(plan.tensor, plan.context, plan.expert, how, bits)
    length = ask.sequence_length
    sequence = sequence_work(model, length, length, shares)
    weights: Precision = "fp8" if shares.products == "fp8_tensor" else shares.products
    decode = decode_work(model, ask.batch, ask.context, weights)
    token = decode_token(model, ask.batch, ask.context, weights)
    ridge = None
    if one.hardware:
        gpu = one.hardware.gpu
        peaks = {"bf16": gpu.bf16_peak, **({"fp8": gpu.fp8_peak} if gpu.fp8_peak else {})}
        ridge = {name: peak / gpu.hbm_rate for name, peak in peaks.items()}
    return {
        "products": shares.products,
        "sequence": {"tokens": length, **{name: work.intensity for name, work in sequence.items()}},
        "decode": {
            "batch": ask.batch,
            "context": ask.context,
            **{name: work.intensity for name, work in decode.items()},
            "whole token": token.intensity,
        },
        "ridge": ridge,
    }


def _job(job: WorkloadSpec, hardware: HardwareSpec, plan: Plan) -> dict[str, Any]:
    order = job_order(job, plan)
    stages = job_stages(job, order)
    routing = routing_statistics(job.model.moe, plan.expert, hardware.gpus_per_host)
    memory = memory_by_rank(job, plan, order, stages, routing.devices)
    return {
        "gpus": plan.gpus,
        "hardware": hardware.name,
        "parallelism": plan.describe(),
        "schedule": job.schedule.name,
        "tokens_per_step": plan.tokens_per_step,
        "memory": _memory(max(memory, key=lambda rank: rank.total), hardware),
        "traffic_bytes_per_token": token_traffic(job, plan, order, stages, routing),
    }


def _memory(worst: Memory, hardware: HardwareSpec) -> dict[str, Any]:
    return {
        "rank": worst.rank,
        **{f"{name}_gb": size / 1e9 for name, size in worst.parts.items()},
        "total_gb": worst.total / 1e9,
        "capacity_gb": hardware.gpu.hbm / 1e9,
        "fits": worst.total <= hardware.gpu.hbm,
    }


def flat(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """The numbers of nested tables under dotted keys.

    >>> flat({"a": {"b": 1, "c": None}, "d": "x"})
    [('a.b', 1)]
    """
    found: list[tuple[str, Any]] = []
    for key, value in record.items():
        if isinstance(value, Mapping):
            found += flat(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((prefix + key.replace(" ", "_"), value))
    return found
