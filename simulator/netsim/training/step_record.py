"""The JSON of `netsim run`: one nested record, the same bits for the same question.

Everything that depends on the clock of the machine is under `run`; nothing else is.
"""

from __future__ import annotations

from typing import Any

import netsim
from netsim.cost.bill import network_cost
from netsim.cost.owning import YEARS, network_usd_per_hour, usd_per_hour
from netsim.specs.overlaps import assumed
from netsim.topologies import latency_us, summary
from netsim.training.result import Phases, collective_statistics, nic_bytes, phases, spine_bytes, step_time_s
from netsim.training.simulate import Step
from netsim.training.skew import skew
from netsim.workloads.layers import is_body
from netsim.workloads.model import flops_per_token

SCHEMA = 1
_DAY_S = 86400.0
#: bytes/s of the NICs that transfer kernels were measured with: 400 Gb/s ConnectX-7 (DeepEP, and the H800 trace)
_MEASURED_LINE_RATE = 50e9


def contract(step: Step) -> dict[str, Any]:
    """The result as the documented record; numbers in SI or as the key says."""
    cost = network_cost(step.topology, step.case.prices)
    return {
        "schema": SCHEMA,
        "topology": summary(step.topology),
        "workload": _workload(step),
        "step": _step(step, phases(step), cost),
        "collectives": _collectives(step),
        "placement": _placement(step),
        "latency_us": latency_us(step.topology),
        "cost": cost,
        "memory": _memory(step),
        **({} if step.ranks is None else {"skew": skew(step)}),
        "warnings": warnings(step),
        "provenance": _provenance(step),
    }


def _workload(step: Step) -> dict[str, Any]:
    plan, batch = step.plan, step.case.workload.batch
    return {
        "name": step.case.workload.name,
        "model": step.case.workload.model.name,
        "parallelism": plan.describe(),
        "pipeline_ranks": plan.pipeline,
        "stages": len(step.stages),
        "expert_parallel": plan.expert,
        "tensor_parallel": plan.tensor,
        "context_parallel": plan.context,
        "zero_stage": plan.zero,
        "data_parallel": plan.data,
        "schedule": step.case.workload.schedule.name,
        "framework": step.case.workload.framework,
        "exchanges": assumed(step.case.workload),
        "scaling": plan.scaling,
        "microbatches_per_pipeline": plan.microbatches,
        "microbatch_tokens": plan.microbatch_tokens,
        "sequence_length": batch.sequence_length,
        "tokens_per_step": plan.tokens_per_step,
        "layers_per_stage": [sum(is_body(kind) for kind in stage) for stage in step.stages],
        "distinct_hosts_per_token": step.routing.hosts,
        "remote_hosts_per_token": step.routing.remote_hosts,
        "distinct_devices_per_token": step.routing.devices,
    }


def _step(step: Step, found: Phases, network: dict[str, Any]) -> dict[str, Any]:
    seconds, plan = step_time_s(step), step.plan
    tokens_per_s = plan.tokens_per_step / seconds
    peak = step.case.hardware.gpu.bf16_peak
    model = step.case.workload.model
    rates = {
        name: flops_per_token(model, plan.sequence_length, causal=causal) * tokens_per_s / plan.gpus
        for name, causal in (("causal", True), ("noncausal", False))
    }
    return {
        "time_s": seconds,
        "tokens_per_day": tokens_per_s * _DAY_S,
        **{f"tflops_per_gpu_{name}": rate / 1e12 for name, rate in rates.items()},
        **{f"mfu_{name}": rate / peak for name, rate in rates.items()},
        "gpu_hours_per_trillion_tokens": plan.gpus * 1e12 / tokens_per_s / 3600.0,
        "days_per_trillion_tokens": 1e12 / tokens_per_s / _DAY_S,
        "cost": _training_cost(step, seconds, network),
        "phases_s": found.mean_s,
        "phases_range_s": {phase: list(pair) for phase, pair in found.range_s.items()},
        "chunk_idle_s": found.idle_s,
        "exposed_comm_s": found.exposed_s,
        "hidden_comm_fraction": found.hidden_fraction,
        "power": power_of(step),
    }


def _training_cost(step: Step, seconds: float, cost: dict[str, Any]) -> dict[str, Any]:
    """What the GPUs cost meanwhile, at a rent an hour, and the network's part (`netsim.cost.owning`)."""
    rent = step.case.prices.gpu_hour
    network = network_usd_per_hour(cost, step.case.prices)
    usd = seconds / 3600.0 * usd_per_hour(step.plan.gpus, rent.price, network)
    return {
        "usd_per_step": usd,
        "usd_per_trillion_tokens": usd * 1e12 / step.plan.tokens_per_step,
        "network_usd_per_hour": network,
        "network_years": YEARS,
        "gpu_hour_usd": rent.price,
        "date": rent.date,
        "source": rent.source,
    }


def _placement(step: Step) -> dict[str, Any]:
    """Where ranks are, and what of their traffic climbs from a first switch to another."""
    spine, sent = spine_bytes(step), nic_bytes(step)
    return {
        "policy": step.case.workload.placement.policy,
        "ranks_per_stage_group": step.plan.group,
        "hosts_per_stage_group": -(-step.plan.group // step.case.hardware.gpus_per_host),
        "nic_bytes": sent,
        "spine_bytes": spine,
        "spine_share": spine / sent if sent else 0.0,
    }


def _collectives(step: Step) -> list[dict[str, Any]]:
    return [
        {
            "kind": c.kind,
            "count": c.count,
            "mean_ms": c.mean_s * 1e3,
            "p99_ms": c.p99_s * 1e3,
            "mean_alone_ms": None if c.mean_alone_s is None else c.mean_alone_s * 1e3,
            "mean_overlapped_ms": None if c.mean_overlapped_s is None else c.mean_overlapped_s * 1e3,
            "wire_bytes_per_gpu": c.wire_bytes_per_gpu,
            "wire_GBps": c.wire_bytes_per_gpu / c.mean_s / 1e9 if c.mean_s else None,
            "logical_GBps": c.logical_bytes_per_gpu / c.mean_s / 1e9 if c.mean_s else None,
            "bottleneck": c.bottleneck,
        }
        for c in collective_statistics(step)
    ]


def _memory(step: Step) -> dict[str, Any]:
    """The rank that needs most, part by part."""
    worst = max(step.memory, key=lambda rank: rank.total)
    capacity = step.case.hardware.gpu.hbm
    return {
        "rank": worst.rank,
        **{f"{name}_gb": size / 1e9 for name, size in worst.parts.items()},
        "total_gb": worst.total / 1e9,
        "capacity_gb": capacity / 1e9,
        "spare_gb": (capacity - worst.total) / 1e9,
        "microbatches_in_flight": worst.in_flight,
        "fits": worst.total <= capacity,
    }


def warnings(step: Step) -> list[str]:
    """What a reader must know before believing the rest; `--strict` makes errors of them."""
    worst, capacity = max(step.memory, key=lambda rank: rank.total), step.case.hardware.gpu.hbm
    found = []
    if worst.total > capacity:
        found.append(
            f"does not fit: rank {worst.rank} needs {worst.total / 1e9:.1f} GB of {capacity / 1e9:.0f} GB, most of it "
            f"{worst.largest} ({worst.parts[worst.largest] / 1e9:.1f} GB)"
        )
    sms, measured = step.case.workload.communication.sms, step.case.profile.transfer_sms
    if step.case.workload.model.moe and step.case.profile.transfers and sms > measured:
        found.append(
            f"communication.sms = {sms}: matrix products give them up, but dispatch and combine stay as profile "
            f"{step.case.profile.name} measured them with {measured}"
        )
    if missing := step.timing.missing_classes():
        found.append(missing)
    line, kernels = step.case.hardware.nic.line_rate, step.case.profile.transfers
    fastest = max((kernel.alone for kernel in kernels.values()), default=float("inf"))
    if line > _MEASURED_LINE_RATE and fastest < line:
        found.append(
            f"NICs of {line / 1e9:.0f} GB/s gain little: dispatch and combine kernels stay at most at the "
            f"{fastest / 1e9:.1f} GB/s that profile {step.case.profile.name} measured with "
            f"{_MEASURED_LINE_RATE / 1e9:.0f} GB/s NICs (profile.transfers)"
        )
    return [*found, *step.case.idle]


def _provenance(step: Step) -> dict[str, Any]:
    case, clock = step.case, step.case.workload.compute.clock
    specs = {name: getattr(case, name) for name in ("topology", "workload", "hardware", "profile", "prices")}
    evidence = {name: dict(sorted(spec.sources.items())) for name, spec in specs.items()}
    if case.profile.power is not None:
        evidence["profile"]["power"] = case.profile.power.source
    elif case.profile.sustained is not None:
        evidence["profile"]["sustained"] = case.profile.sustained.source
    return {
        "version": netsim.__version__,
        "seed": step.seed,
        "spec_sha256": case.sha256(),
        "compute_profile": case.profile.name,
        "compute_origin": compute_origin(step),
        "compute_sustained_factor": _factor(step),
        "compute_clock_GHz": None if clock is None else clock / 1e9,
        "execution": {
            "folded": step.folded,
            "stage_groups": int(step.traffic.actor_class.size),
            "executed": len(step.traffic.multiplicity),
            "flows": step.traffic.flows,
            "flow_classes": step.traffic.table.n_flows,
            "tasks": len(step.program),
        },
        "evidence": evidence,
    }


def _factor(step: Step) -> float:
    limit = step.timing.limit
    return step.timing.sustained_factor if limit is None else round(limit.factor, 4)


def power_of(step: Step) -> dict[str, float] | None:
    """Clock, power and energy of the average GPU; None where the profile does not know what kernels draw."""
    limit = step.timing.limit
    if limit is None:
        return None
    step_s = float(step.execution.end_s.max())
    joules = limit.energy_j(step_s)
    return {
        "sm_clock_GHz": limit.state.clock_hz / 1e9,
        "mean_w": joules / step_s,
        "gpu_step_j": joules,
        "token_j": joules * step.plan.gpus / step.plan.tokens_per_step,
    }


def speed_words(provenance: dict[str, Any]) -> str:
    """How fast the GPUs compute, against the measurement of the profile."""
    slower, clock = provenance["compute_sustained_factor"], provenance["compute_clock_GHz"]
    if clock is not None:
        return f"at an SM clock of {clock:g} GHz"
    if slower != 1.0:
        return f"layers take {slower:g} x as long as measured, at the power limit"
    return "as fast as measured, no power limit"


def compute_origin(step: Step) -> dict[str, float]:
    """Share of the step's compute time that came from the table, the model, or beyond its domain."""
    seconds = {"table": 0.0, "model": 0.0, "extrapolated": 0.0}
    works, program = step.graph.works, step.program
    uses = [0] * len(works)
    for work, actor, is_transfer in zip(
        (step.graph.work[t] for t in step.instances.task.tolist()),
        step.instances.actor.tolist(),
        (program.transfer >= 0).tolist(),
        strict=True,
    ):
        if not is_transfer:
            uses[work] += int(step.traffic.multiplicity[actor])
    for work, count in zip(works, uses, strict=True):
        if count and work in step.timing.blocks:
            for origin, part in step.timing.blocks[work].by_origin.items():
                seconds[origin] += count * part
    total = sum(seconds.values())
    return {origin: part / total for origin, part in seconds.items()}
